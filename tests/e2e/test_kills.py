"""`kill -9` of every program at every stage: no request fails that would not have failed anyway, and all goes on."""

from collections.abc import Callable

import pytest

from schemas.status import DeploymentStatus, Stage
from tests.e2e import artifacts, processes, repository
from tests.e2e.world import SUBJECT, World

WHOLE_LIFE = {
    Stage.VALIDATION,
    Stage.ASSET_PREPARATION,
    Stage.RESOURCE_ACQUISITION,
    Stage.TRAFFIC_ROUTING,
    Stage.ROLLOUT_COMPLETE,
    Stage.ROLLBACK_IN_PROGRESS,
    Stage.ROLLBACK_COMPLETE,
    Stage.CLEAN_UP_IN_PROGRESS,
    Stage.CLEAN_UP_COMPLETE,
}
LIFE = "life"


class Killer:
    """Kills the agent at each new stage of a Deployment, as the branch tells it. `stages`: where it did."""

    def __init__(self, world: World, name: str) -> None:
        self.stages: list[Stage] = []
        self._fresco, self._name = world.fresco, name
        self._last: Stage | None = None

    def until(self, done: Callable[[DeploymentStatus | None], bool]) -> DeploymentStatus | None:
        """Goes on killing until the Deployment's status is as asked."""
        status: DeploymentStatus | None = None

        def look() -> bool:
            nonlocal status
            status = self._fresco.status(self._name)
            if status is not None and status.stage is not self._last:
                self._last = status.stage
                self._kill(status.stage)
            return done(status)

        self._fresco.until(look, f"{self._name} after kills at {', '.join(self.stages)}", seconds=200)
        return status

    def until_at(self, stage: Stage) -> None:
        """As `until`, for the end of a piece of work."""
        self.until(lambda status: status is not None and status.stage is stage and status.progress is None)

    def _kill(self, stage: Stage) -> None:
        processes.kill(self._fresco.until_pid(self._fresco.pid_of_agent))
        self.stages.append(stage)


@pytest.mark.timeout(600)
def test_the_agent_killed_at_every_stage(subject: World) -> None:
    fresco, killer = subject.fresco, Killer(subject, LIFE)
    path = repository.path_of("deployments", LIFE)
    first = fresco.model("life-1")
    without_digest = repository.deployment(LIFE, first).replace(f"    digest: {first.digest}\n", "")

    fresco.commit({path: without_digest})
    killer.until(lambda status: status is not None)
    fresco.deploy(LIFE, first)
    killer.until_at(Stage.ROLLOUT_COMPLETE)
    load = fresco.load(LIFE)
    load.start("life-1", "life-2")
    fresco.deploy(LIFE, fresco.model("life-2"))
    killer.until(lambda status: status is not None and status.candidate is not None)
    killer.until_at(Stage.ROLLOUT_COMPLETE)
    load.expect("life-2")
    fresco.deploy(LIFE, fresco.model("life-3", artifacts.RAISES))
    killer.until(lambda status: status is not None and status.candidate is not None)
    killer.until_at(Stage.ROLLBACK_COMPLETE)
    load.stop()
    assert (load.problems(), load.wrong()) == ([], [])
    fresco.commit({path: None})
    killer.until(lambda status: status is None)

    assert set(killer.stages) >= WHOLE_LIFE - {Stage.CLEAN_UP_COMPLETE}
    assert len(set(fresco.history())) == len(fresco.history())


@pytest.mark.parametrize("slice_name", ["main", "canary"])
@pytest.mark.parametrize("program", ["server", "model-sync"])
def test_a_program_of_a_pod_killed(subject: World, program: str, slice_name: str) -> None:
    fresco, pod = subject.fresco, subject.fresco.pods(slice_name)[0]
    before = fresco.until_pid(lambda: fresco.pid_in_pod(pod, program))
    tip = fresco.tip()
    processes.kill(before)
    fresco.until_pid(lambda: fresco.pid_in_pod(pod, program), other_than=before)
    fresco.until(fresco.is_settled, "the pod serves again")
    subject.answers_go_on()
    assert fresco.manifests() == fresco.manifests(tip)


@pytest.mark.parametrize("program", ["server", "model-sync"])
def test_a_program_of_the_only_canary_pod_killed_at_half_of_the_requests(subject: World, program: str) -> None:
    fresco, revision = subject.fresco, f"after-{program}"
    (canary,) = fresco.pods("canary")
    subject.load.expect(subject.good.revision, revision)
    fresco.deploy(SUBJECT, model := fresco.model(revision), steps=[{"weight": 50, "soak": "2s"}])
    fresco.until(lambda: subject.load.ledger().revisions[revision] > 0, "an answer of the canary")
    processes.kill(fresco.until_pid(lambda: fresco.pid_in_pod(canary, program)))
    fresco.until_stage(SUBJECT, Stage.ROLLOUT_COMPLETE, revision)
    subject.settle(model)


def test_the_gateway_killed(subject: World) -> None:
    fresco = subject.fresco
    before = fresco.until_pid(fresco.pid_of_gateway)
    with subject.gateway_down():
        processes.kill(before)
        fresco.until_pid(fresco.pid_of_gateway, other_than=before)
        subject.answers_go_on()


def test_the_node_killed_in_mid_rollout(subject: World) -> None:
    fresco = subject.fresco
    before, gateway = fresco.until_pid(fresco.pid_of_node), fresco.pid_of_gateway()
    servers = {pod: fresco.pid_in_pod(pod, "server") for pod in (*fresco.pods("main"), *fresco.pods("canary"))}
    subject.load.expect(subject.good.revision, "after-node")
    fresco.deploy(SUBJECT, model := fresco.model("after-node"))
    fresco.until(lambda: subject.status().progress is not None, "work in hand")
    processes.kill(before)
    fresco.until_pid(fresco.pid_of_node, other_than=before)
    fresco.until_stage(SUBJECT, Stage.ROLLOUT_COMPLETE, "after-node")
    subject.settle(model)
    assert fresco.pid_of_gateway() == gateway
    assert {pod: fresco.pid_in_pod(pod, "server") for pod in servers} == servers


def test_the_whole_program_killed_leaves_nothing_and_goes_on_where_it_was(subject: World) -> None:
    fresco = subject.fresco
    tip = fresco.tip()
    with subject.gateway_down():
        fresco.kill_parent()
        fresco.start()
        fresco.until(fresco.is_settled, "every pod serves again")
        subject.answers_go_on()
    assert fresco.manifests() == fresco.manifests(tip)
