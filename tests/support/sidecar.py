"""A real `fresco-model-sync` process for tests: its config written the kubelet's way, its report read over HTTP."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec

from schemas.model_config import (
    FILE_NAME,
    SCHEMA_VERSION,
    ConfigCandidate,
    ConfigEntry,
    ConfigRevision,
    ModelConfig,
    SmokeTest,
    checksum,
)
from schemas.report import ModelReport, SidecarReport
from tests.support import contracts
from tests.support.models import digest_of_directory
from tests.support.triton import free_port, wait_until

ROOT = Path(__file__).parents[2]
POD = "gpu-a-main-0"


def revision(
    artifact: Path,
    *,
    uri: str | None = None,
    digest: str | None = None,
    options: Mapping[str, str] | None = None,
    smoke: str | None = None,
) -> ConfigRevision:
    """A revision whose artifact is the directory `artifact`, unless told otherwise."""
    return ConfigRevision(
        deployment="scorer",
        type="repository",
        revision=artifact.name,
        uri=uri or artifact.as_uri(),
        digest=digest or digest_of_directory(artifact),
        options=dict(options or {}),
        smoke_test=SmokeTest(request=smoke) if smoke is not None else None,
    )


def candidate(of: ConfigRevision, *pods: str) -> ConfigCandidate:
    """`of` as the candidate of `pods`."""
    return ConfigCandidate(**msgspec.structs.asdict(of), first_pods=pods)


def config(models: dict[str, ConfigEntry], **changes: object) -> bytes:
    """A model config for the sidecars of these tests."""
    fields: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "namespace": "fraud",
        "server": "gpu-a",
        "slice": "main",
        "checksum": checksum(models),
        "models": models,
    }
    return msgspec.json.encode(ModelConfig(**{**fields, **changes}))  # type: ignore[arg-type]


def write_config(directory: Path, data: bytes | None) -> None:
    """Puts `data` (None: no file) into `directory` as the kubelet does: a new folder, and a swap of `..data`."""
    fresh = directory / f"..{uuid4().hex}"
    fresh.mkdir(parents=True)
    if data is not None:
        (fresh / FILE_NAME).write_bytes(data)
    old = (directory / "..data").readlink() if (directory / "..data").is_symlink() else None
    (directory / "..data_tmp").symlink_to(fresh.name)
    (directory / "..data_tmp").replace(directory / "..data")
    if not (directory / FILE_NAME).is_symlink():
        (directory / FILE_NAME).symlink_to(Path("..data", FILE_NAME))
    if old is not None:
        for path in (directory / old).iterdir():
            path.unlink()
        (directory / old).rmdir()


def is_running(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Sidecar:
    """One sidecar process. Its log is in `directory`."""

    def __init__(self, directory: Path, *, grpc: str, models: Path, **settings: object) -> None:
        self.models, self.config_dir, self._directory = models, directory / "config", directory
        self.config_dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        given = {
            "pod": POD,
            "namespace": "fraud",
            "server": "gpu-a",
            "config_dir": self.config_dir,
            "models_dir": models,
            "grpc": grpc,
            "report_host": "127.0.0.1",
            "report_port": self.port,
            "resync": 1,
            **settings,
        }
        self._flags = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it has printed."""
        return (self._directory / "sidecar.log").read_text("utf-8", errors="replace")

    def start(self) -> None:
        """Starts it, and does not wait."""
        with (self._directory / "sidecar.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "agent.modelsync", *self._flags],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the supervisor with a signal, waits for its end, and returns its exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=30)

    def worker(self) -> int | None:
        """The worker's process id, if it runs."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                status, command = (path / "stat").read_text(), (path / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if b"--worker" in command and int(status.rpartition(")")[2].split()[1]) == self.pid:
                return int(path.name)
        return None

    def write(self, models: dict[str, ConfigEntry], **changes: object) -> None:
        """Gives it a config with these entries."""
        write_config(self.config_dir, config(models, **changes))

    def status(self, after: str = "") -> SidecarReport | None:
        """Its report, which keeps its contract; None if it has none."""
        try:
            code, body = self.get(f"/v1/status?after={after}")
        except OSError:
            return None
        if code != 200:
            return None
        contracts.check("sidecar-report", json.loads(body))
        return msgspec.json.decode(body, type=SidecarReport)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as response:
                return int(response.status), response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def model(self, name: str) -> ModelReport | None:
        """What it reports of one model."""
        report = self.status()
        return report.models.get(name) if report else None

    def until(self, condition: Callable[[SidecarReport], bool], *, what: str, seconds: float = 120.0) -> SidecarReport:
        """The first report for which `condition` holds."""
        seen: list[SidecarReport] = []

        def holds() -> bool:
            report = self.status()
            if report is not None:
                seen[:] = [report]
            return report is not None and condition(report)

        try:
            wait_until(holds, what=what, seconds=seconds)
        except AssertionError as error:
            last = json.dumps(msgspec.to_builtins(seen[0]), indent=1) if seen else "none"
            raise AssertionError(f"{error}\nlast report: {last}\nlog: {self.log[-4000:]}") from error
        return seen[0]

    def until_model(self, name: str, condition: Callable[[ModelReport], bool], *, what: str) -> ModelReport:
        """The first report on `name` for which `condition` holds."""
        report = self.until(lambda report: name in report.models and condition(report.models[name]), what=what)
        return report.models[name]

    def until_serving(self, name: str, digest: str | None, **options: float) -> SidecarReport:
        """The first report in which `name` is proven to serve `digest`, and nothing is under way about it."""
        return self.until(lambda report: _serves(report, name, digest), what=f"{name} serves {digest}", **options)

    def kill(self) -> None:
        """SIGKILL to the supervisor; the worker ends by itself."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self._process.wait()


def _serves(report: SidecarReport, name: str, digest: str | None) -> bool:
    model = report.models.get(name)
    if digest is None:
        return model is None
    return model is not None and model.serving == digest and model.state == "Serving"


@contextmanager
def running_sidecar(directory: Path, *, grpc: str, models: Path, **settings: object) -> Iterator[Sidecar]:
    """A started Sidecar; its processes are gone at the end."""
    directory.mkdir(parents=True, exist_ok=True)
    sidecar = Sidecar(directory, grpc=grpc, models=models, **settings)
    sidecar.start()
    try:
        yield sidecar
    finally:
        worker = sidecar.worker()
        sidecar.kill()
        if worker is not None:
            wait_until(lambda: not is_running(worker), what="the worker has ended")
