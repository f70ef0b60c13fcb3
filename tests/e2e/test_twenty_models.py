"""Twenty models on one server, and a twenty-first that is slow, broken, or deadly: the twenty do not notice."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from schemas.report import Reason
from schemas.status import DeploymentStatus, Stage
from tests.e2e import artifacts, repository
from tests.e2e.artifacts import Artifact
from tests.e2e.harness import LocalFresco, local_fresco
from tests.e2e.load import Load
from tests.e2e.requests_seen import RequestsSeen

NAMES = tuple(f"model-{number:02}" for number in range(1, 21))
NEW = "model-21"
SLOW = "time.sleep(3)"


@dataclass
class Twenty:
    """A server of two main pods and a canary with twenty models, each under load."""

    fresco: LocalFresco
    loads: dict[str, Load] = field(default_factory=dict)

    def statuses(self) -> dict[str, DeploymentStatus | None]:
        """Of the twenty."""
        return {name: self.fresco.status(name) for name in NAMES}

    def servers(self) -> dict[str, int | None]:
        """The tritonserver of each pod."""
        pods = (*self.fresco.pods("main"), *self.fresco.pods("canary"))
        return {pod: self.fresco.pid_in_pod(pod, "server") for pod in pods}

    def refuse(self, bad: Artifact) -> DeploymentStatus:
        """Deploys a bad twenty-first, waits until it is taken back and every pod is ready."""
        self.fresco.deploy(NEW, bad)

        def refused() -> bool:
            status = self.fresco.status(NEW)
            failed = status.failed.revision if status and status.failed else None
            return failed == bad.revision and status is not None and status.progress is None

        self.fresco.until(refused, f"{bad.revision} is refused")
        self.fresco.until(self.fresco.is_settled, "every pod is ready")
        status = self.fresco.status(NEW)
        assert status is not None
        return status

    def check(self, since: float) -> None:
        """Every one of the twenty answered on, and no request failed or was answered by another."""
        enough = {name: load.answered + 3 for name, load in self.loads.items()}
        self.fresco.until(
            lambda: all(load.answered > enough[name] for name, load in self.loads.items()), "answers of all"
        )
        for name, load in self.loads.items():
            ledger = load.ledger(since)
            assert ledger.sent > 0
            assert (ledger.failed, ledger.wrong) == (0, 0), f"{name}: {load.problems(since)}\n{self.fresco.tail()}"


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twenty]:
    """All twenty serve, and have been asked by somebody since."""
    directory: Path = tmp_path_factory.mktemp("twenty")
    with local_fresco(directory) as fresco, ExitStack() as stack:
        made = Twenty(fresco)
        fresco.commit(
            {
                "fresco.yaml": repository.fresco(storage=fresco.grants),
                repository.path_of("servers", repository.SERVER): repository.server(),
                **dict(_deployment(fresco, name) for name in NAMES),
            },
            message="a server and twenty models",
        )
        fresco.start()
        for name in NAMES:
            fresco.until_stage(name, Stage.ROLLOUT_COMPLETE, name)
        for name in NAMES:
            made.loads[name] = fresco.load(name, rate=3.0)
            made.loads[name].start(name)
            stack.callback(made.loads[name].stop)
        yield made
        stack.close()
        fresco.stop()
        fresco.check_history()


def _deployment(fresco: LocalFresco, name: str) -> tuple[str, str]:
    """A model that comes to all pods at once: twenty rollouts one after the other are not what this is about."""
    at_once = {"strategy": "emergency", "reason": "nothing serves yet"}
    text = repository.deployment(name, fresco.model(name), **at_once)
    return repository.path_of("deployments", name), text


def test_all_twenty_answer(twenty: Twenty) -> None:
    twenty.check(since=0.0)


def test_a_slow_load_holds_up_nobody(twenty: Twenty) -> None:
    since, before, servers = time.monotonic(), twenty.statuses(), twenty.servers()
    twenty.fresco.deploy(NEW, twenty.fresco.model("slow", SLOW))
    twenty.fresco.until_stage(NEW, Stage.ROLLOUT_COMPLETE, "slow")
    twenty.check(since)
    assert twenty.statuses() == before
    assert twenty.servers() == servers


@pytest.mark.parametrize(
    ("revision", "initialize", "reasons", "crashes"),
    [
        ("broken", artifacts.RAISES, {Reason.LOAD_FAILED, Reason.MODEL_INVALID}, 0),
        ("deadly", artifacts.KILLS_ITS_SERVER, {Reason.QUARANTINED}, 1),
    ],
    ids=["broken", "deadly"],
)
def test_a_bad_one_costs_at_most_one_pod(
    twenty: Twenty, revision: str, initialize: str, reasons: set[Reason], crashes: int
) -> None:
    since, before, servers = time.monotonic(), twenty.statuses(), twenty.servers()
    with RequestsSeen(twenty.fresco) as seen:
        status = twenty.refuse(twenty.fresco.model(revision, initialize))
        twenty.check(since)
    assert status.stage is Stage.ROLLBACK_COMPLETE
    assert status.current is not None
    assert (status.current.revision, status.failed and status.failed.revision) == ("slow", revision)
    assert status.failed is not None
    assert status.failed.reason in {reason.value for reason in reasons}
    assert status.failed.message
    assert status.failed.reason in twenty.fresco.pages()
    assert twenty.statuses() == before
    ended = {pod for pod, pid in twenty.servers().items() if servers[pod] != pid}
    assert len(ended) == crashes
    assert ended <= set(twenty.fresco.pods("canary"))
    assert seen.unready == ended
    assert seen.by_unready_pods() == {}
