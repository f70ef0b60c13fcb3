"""From a config file that was written to the load call: a real sidecar beside a real Triton, against a bare loop.

The peer is what nobody can beat by much: a process that waits for the same kind of file by inotify and calls load, and
does nothing else. Both are told by the same swap of a link, by turns, each beside a Triton of its own; that server's
own log says when the load began.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from schemas.model_config import ConfigEntry
from tests.bench import triton_log
from tests.bench.numbers import HEADER, Figures, comparison
from tests.support.models import model
from tests.support.sidecar import ROOT, Sidecar, revision, running_sidecar, write_config
from tests.support.triton import TritonServer, wait_until

GOAL = 0.100
CHANGES = 30
_OURS, _PEERS = "scorer", "peer"


def run() -> list[str]:
    """Measures, and gives the lines to print."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ours, peer = Path(folder, "ours"), Path(folder, "peer")
        server = stack.enter_context(_talkative_triton(ours, ours / "models" / "repository"))
        sidecar = stack.enter_context(running_sidecar(ours / "sync", grpc=server.grpc, models=ours / "models"))
        stack.enter_context(_bare_loop(peer))
        figures = _measure(Ours(ours, sidecar), Peer(peer))
    title = f"{CHANGES} changes of a staged model, by turns with the peer:"
    table = [HEADER, figures[0].line("model-sync"), figures[1].line("peer: inotify, then load, nothing else")]
    return [title, *table, *comparison(*figures, goal=GOAL)]


class Ours:
    """The sidecar, switched between two staged revisions."""

    def __init__(self, directory: Path, sidecar: Sidecar) -> None:
        self._log, self._sidecar = directory / "triton.log", sidecar
        self._now, self._next = (revision(model(directory / "artifacts" / name, name)) for name in ("a", "b"))
        sidecar.write(self._entries())
        sidecar.until_serving(_OURS, self._now.digest)
        both = {self._now.digest, self._next.digest}
        sidecar.until(lambda report: both <= set(report.models[_OURS].staged), what="both revisions on disk")

    def change(self) -> float:
        """Seconds from the new file to the load call."""
        self._now, self._next = self._next, self._now
        entries = self._entries()
        seconds = _until_load(self._log, _OURS, lambda: self._sidecar.write(entries))
        self._sidecar.until_serving(_OURS, self._now.digest)
        return seconds

    def _entries(self) -> dict[str, ConfigEntry]:
        return {_OURS: ConfigEntry(serve=self._now, stage=(self._next,))}


class Peer:
    """The bare loop, with a model whose file is new at each change."""

    def __init__(self, directory: Path) -> None:
        self._log, self._config = directory / "triton.log", directory / "config"
        self._code = directory / "repository" / _PEERS / "1" / "model.py"
        self._loads = 0
        self._wait()

    def change(self) -> float:
        """Seconds from the new file to the load call."""
        self._code.touch()
        seconds = _until_load(self._log, _PEERS, lambda: write_config(self._config, b"load"))
        self._wait()
        return seconds

    def _wait(self) -> None:
        self._loads += 1
        wait_until(lambda: len(triton_log.loadings(self._log, _PEERS)) >= self._loads, what="the peer's load")


def _measure(ours: Ours, peer: Peer) -> tuple[Figures, Figures]:
    pairs = [(ours.change(), peer.change()) for _ in range(CHANGES)]
    return Figures([mine for mine, _ in pairs]), Figures([its for _, its in pairs])


def _until_load(log: Path, name: str, write: Callable[[], None]) -> float:
    before = time.time()
    write()
    wait_until(lambda: triton_log.began(log, name, after=before) is not None, what=f"a load of {name}")
    began = triton_log.began(log, name, after=before)
    assert began is not None
    return began - before


@contextmanager
def _talkative_triton(directory: Path, repository: Path) -> Iterator[TritonServer]:
    """A Triton that says when it loads."""
    directory.mkdir(parents=True, exist_ok=True)
    server = TritonServer(directory, repository, flags=["--log-info=true"])
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def _bare_loop(directory: Path) -> Iterator[None]:
    """The peer beside a Triton, with everything in `directory`."""
    model(directory / "repository" / _PEERS, "peer")
    write_config(directory / "config", b"nothing yet")
    with _talkative_triton(directory, directory / "repository") as server:
        command = [sys.executable, "-m", "tests.bench.bare_loop", str(directory / "config"), server.grpc, _PEERS]
        loop = subprocess.Popen(command, cwd=ROOT)
        try:
            yield
        finally:
            loop.kill()
            loop.wait()
