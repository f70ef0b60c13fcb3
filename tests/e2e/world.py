"""One running Fresco with two models under constant load: the one that a test does things to, and its neighbour.

The neighbour is served by the same pods, so whatever happens to those shows in its answers. I/O through the harness.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from schemas.report import Reason
from schemas.status import DeploymentStatus, ServerStatus, Stage
from tests.e2e import repository
from tests.e2e.artifacts import Artifact
from tests.e2e.harness import LocalFresco, local_fresco
from tests.e2e.load import Load
from tests.support.small_disk import SmallDisk

SUBJECT, NEIGHBOUR = "scorer", "neighbour"
SUBJECT_FILE = repository.path_of("deployments", SUBJECT)
SERVER_FILE = repository.path_of("servers", repository.SERVER)


@dataclass
class World:
    """`good`: the subject's revision that serves between tests. `server`: the InferenceServer's file then. `loads`: by
    Deployment."""

    fresco: LocalFresco
    good: Artifact
    server: str
    loads: dict[str, Load] = field(default_factory=dict)

    @property
    def load(self) -> Load:
        """The load on the subject."""
        return self.loads[SUBJECT]

    def status(self) -> DeploymentStatus:
        """The subject's status."""
        status = self.fresco.status(SUBJECT)
        assert status is not None
        return status

    def replace(self, artifact: Artifact, **rollout: object) -> DeploymentStatus:
        """Rolls out another good revision of the subject, and waits until it alone is there."""
        self.load.expect(self.good.revision, artifact.revision)
        self.fresco.deploy(SUBJECT, artifact, **rollout)
        status = self.fresco.until_stage(SUBJECT, Stage.ROLLOUT_COMPLETE, artifact.revision)
        self.settle(artifact)
        return status

    def until_refused(self, bad: Artifact) -> DeploymentStatus:
        """Waits until a bad revision of the subject is rolled back."""

        def refused() -> bool:
            status = self.status()
            failed = status.failed.revision if status.failed else None
            return status.stage is Stage.ROLLBACK_COMPLETE and failed == bad.revision and status.progress is None

        self.fresco.until(refused, f"{bad.revision}: {Stage.ROLLBACK_COMPLETE}")
        status = self.status()
        assert status.current is not None
        assert status.current.digest == self.good.digest
        return status

    def check_said(self, status: DeploymentStatus, bad: Artifact, reasons: set[Reason]) -> None:
        """The status and the pages for people say which revision was refused, and why."""
        assert status.failed is not None
        assert (status.failed.revision, status.failed.digest) == (bad.revision, bad.digest)
        assert status.failed.reason in {reason.value for reason in reasons}, status.failed
        assert status.failed.message
        assert status.failed.reason in self.fresco.pages()

    def settle(self, artifact: Artifact) -> None:
        """From now on `artifact` is the one good revision."""
        self.good = artifact
        self.load.expect(artifact.revision)

    def put_back(self) -> None:
        """The files say again what is served."""
        fresco = self.fresco
        fresco.commit(
            {
                SUBJECT_FILE: repository.deployment(SUBJECT, self.good),
                SERVER_FILE: self.server,
                **dict.fromkeys(self._strays()),
            },
            message="put back",
        )
        fresco.until(self._is_quiet, "no findings, nothing in hand, all pods serve")

    @contextmanager
    def gateway_down(self) -> Iterator[None]:
        """While the block runs there is no gateway, for anybody."""
        with ExitStack() as stack:
            for load in self.loads.values():
                stack.enter_context(load.gateway_down())
            yield

    @contextmanager
    def server_hangs(self) -> Iterator[None]:
        """While the block runs a server that has requests answers none."""
        with ExitStack() as stack:
            for load in self.loads.values():
                stack.enter_context(load.server_hangs())
            yield

    def answers_go_on(self) -> None:
        """Waits for further answers to both."""
        enough = {name: load.answered + 20 for name, load in self.loads.items()}
        self.fresco.until(lambda: all(self.loads[name].answered > count for name, count in enough.items()), "answers")

    def check(self, since: float) -> None:
        """No request failed that would not have failed without Fresco, and nothing answered that was not meant to."""
        for name, load in self.loads.items():
            ledger = load.ledger(since)
            assert ledger.sent > 0
            problems = load.problems(since)
            assert (ledger.failed, problems) == (0, []), f"{name}: {ledger}: {problems}\n{self.fresco.tail()}"
            assert load.wrong(since) == [], f"{name}: {ledger}\n{self.fresco.tail()}"

    def _strays(self) -> list[str]:
        """Files of the person that are not there between tests."""
        known = {SUBJECT_FILE, SERVER_FILE, repository.path_of("deployments", NEIGHBOUR)}
        return [path for path in self.fresco.files() if "/" in path and path not in known]

    def _is_as_written(self, server: ServerStatus) -> bool:
        args = list(server.current.args) if server.current is not None else None
        return (args, set(server.slices)) == _args_and_slices(self.server)

    def _is_quiet(self) -> bool:
        fresco, status = self.fresco, self.fresco.status(SUBJECT)
        server, settings = fresco.server_status(), fresco.repository_status()
        if status is None or server is None or settings is None or status.progress is not None:
            return False
        if server.progress is not None or server.failed is not None or not self._is_as_written(server):
            return False
        current = status.current
        if current is None or (current.server, current.name) != (repository.SERVER, SUBJECT):
            return False
        if current.digest != self.good.digest:
            return False
        findings = [one for place in (status, server, settings) for one in place.findings if one.severity == "error"]
        return not findings and fresco.is_settled()


def _args_and_slices(text: str) -> tuple[list[str], set[str]]:
    spec = yaml.safe_load(text)["spec"]
    return spec["backend"]["args"], {"main", "canary"} if "canary" in spec else {"main"}


def server_text(*, canary: int = 1, load_deadline: str = "8s", **others: Any) -> str:
    """An InferenceServer with two replicas, and canaries; a load that hangs is given up early."""
    return repository.server(canary=canary, load_deadline=load_deadline, **others)


@contextmanager
def world(
    directory: Path, *, canary: int = 1, load_deadline: str = "8s", agent_disk: SmallDisk | None = None
) -> Iterator[World]:
    """A World. At its end everything is stopped as a person would, and nothing may be left. `agent_disk`: what the
    agent keeps its clone on, if that is to be a disk of its own."""
    with local_fresco(directory) as fresco:
        made = World(fresco, fresco.model("r1"), server_text(canary=canary, load_deadline=load_deadline))
        fresco.commit(
            {
                "fresco.yaml": repository.fresco(storage=fresco.grants),
                SERVER_FILE: made.server,
                SUBJECT_FILE: repository.deployment(SUBJECT, made.good),
                repository.path_of("deployments", NEIGHBOUR): repository.deployment(NEIGHBOUR, fresco.model("n1")),
            },
            message="a server and two models",
        )
        fresco.agent_disk = agent_disk
        fresco.start()
        for name, revision in ((SUBJECT, "r1"), (NEIGHBOUR, "n1")):
            fresco.until_stage(name, Stage.ROLLOUT_COMPLETE, revision)
            made.loads[name] = fresco.load(name)
            made.loads[name].start(revision)
        try:
            yield made
        finally:
            for load in made.loads.values():
                load.stop()
        fresco.stop()
        fresco.check_history()


@contextmanager
def checked(world: World) -> Iterator[World]:
    """The block does something to the world; afterwards the files are put back, and no request may have failed."""
    since = time.monotonic()
    yield world
    world.put_back()
    world.answers_go_on()
    world.check(since)
