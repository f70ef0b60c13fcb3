"""From a commit to the first answer of the new revision: a whole Fresco on this machine, against a person's hands.

The clock starts when `git push` returns and stops when the first answer of the new revision is here. What Fresco cannot
hurry is taken off: the time that the server itself needs to load, by its own log, and the gateway's settle time
before a slice is touched that was on the route. Soaks come after the first answer. The peer does the same change with
no Fresco: files copied, load called over gRPC, answered through the same kind of Envoy; its load time is taken off too.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import tritonclient.grpc as triton

from schemas.base import seconds
from schemas.status import Stage
from tests.bench import plain_envoy, triton_log
from tests.bench.numbers import HEADER, Figures, comparison
from tests.e2e import artifacts, repository
from tests.e2e.harness import LocalFresco, local_fresco
from tests.e2e.load import Load
from tests.support.triton import TritonServer, wait_until

GOAL = 1.0
CHANGES = 8  # of each kind
RATE = 100.0  # requests per second: the first answer is seen at most so much later
MODEL = "scorer"
_FIRST_STEP = {"weight": 50, "soak": "100ms"}


def run() -> list[str]:
    """Measures, and gives the lines to print."""
    with tempfile.TemporaryDirectory() as folder:
        ours = _ours(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        peer = _peer(Path(folder))
    lines = [f"{CHANGES} changes of each kind:", HEADER]
    lines += [figures.line(f"Fresco, {name}") for name, figures in ours.items()]
    lines.append(peer.line("peer: copy, load call, answer, by hand"))
    for name, figures in ours.items():
        lines += [f"  {name}:", *comparison(figures, peer, goal=GOAL)]
    return lines


# ---- Fresco


def _ours(directory: Path) -> dict[str, Figures]:
    settle = seconds(repository.SETTLE)
    with local_fresco(directory) as fresco:
        fresco.commit(
            {
                "fresco.yaml": repository.fresco(storage=fresco.grants),
                repository.path_of("servers", repository.SERVER): repository.server(),
                repository.path_of("deployments", MODEL): repository.deployment(MODEL, fresco.model("r0")),
            }
        )
        fresco.start()
        fresco.until_stage(MODEL, Stage.ROLLOUT_COMPLETE, "r0")
        load = fresco.load(MODEL, rate=RATE)
        load.start("r0")
        emergency = {"strategy": "emergency", "reason": "measured"}
        figures = {
            "emergency": Figures([_change(fresco, load, f"e{n}", 0.0, **emergency) for n in range(CHANGES)]),
            "first step": Figures(
                [_change(fresco, load, f"p{n}", settle, steps=[_FIRST_STEP]) for n in range(CHANGES)]
            ),
        }
        load.stop()
        fresco.stop()
    return figures


def _change(fresco: LocalFresco, load: Load, revision: str, settle: float, **rollout: object) -> float:
    """Seconds of one change, without what the server and the gateway need."""
    model = fresco.model(revision)
    load.expect(*load.meant, revision)
    before = time.time()
    fresco.deploy(MODEL, model, **rollout)
    pushed = time.monotonic()
    fresco.until_stage(MODEL, Stage.ROLLOUT_COMPLETE, revision)
    load.expect(revision)
    answer = load.first(revision)
    assert answer is not None
    return answer.ended - pushed - settle - _first_load(fresco, after=before)


def _first_load(fresco: LocalFresco, *, after: float) -> float:
    """How long the server took that was first ready with the new revision."""
    logs = fresco.data.rglob("pods/*/server.log")
    loads = [one for log in logs for one in triton_log.loadings(log, MODEL) if one.began >= after]
    return min(loads, key=lambda one: one.ready).seconds


# ---- the peer


def _peer(directory: Path) -> Figures:
    with (
        _triton(directory) as server,
        plain_envoy.running(directory, server.http_port) as gateway,
        ExitStack() as stack,
    ):
        client = stack.enter_context(triton.InferenceServerClient(server.grpc))
        _copy(directory, server, "r0")
        client.load_model(MODEL)
        load = Load(f"{gateway}/v2/models/{MODEL}/infer", rate=RATE)
        load.start("r0")
        stack.callback(load.stop)
        return Figures([_by_hand(directory, server, client, load, f"r{n}") for n in range(1, CHANGES + 1)])


def _by_hand(
    directory: Path, server: TritonServer, client: triton.InferenceServerClient, load: Load, revision: str
) -> float:
    load.expect(*load.meant, revision)
    artifacts.directory(directory / "storage", revision, artifacts.model(revision))
    began, begin = time.time(), time.monotonic()
    _copy(directory, server, revision)
    client.load_model(MODEL)
    wait_until(lambda: load.first(revision) is not None, what=f"an answer of {revision}")
    load.expect(revision)
    answer = load.first(revision)
    assert answer is not None
    (loaded,) = (one for one in triton_log.loadings(directory / "triton.log", MODEL) if one.began >= began)
    return answer.ended - begin - loaded.seconds


def _copy(directory: Path, server: TritonServer, revision: str) -> None:
    source = directory / "storage" / revision
    if not source.exists():
        artifacts.directory(directory / "storage", revision, artifacts.model(revision))
    shutil.copytree(source, server.repository / MODEL, dirs_exist_ok=True, copy_function=shutil.copy)


@contextmanager
def _triton(directory: Path) -> Iterator[TritonServer]:
    server = TritonServer(directory, flags=["--log-info=true"])
    try:
        server.start()
        yield server
    finally:
        server.kill()
