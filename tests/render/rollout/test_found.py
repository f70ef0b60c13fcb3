"""What the machine has found, each as a case with a name: it must never come back."""

import dataclasses
from itertools import pairwise

import msgspec
import pytest

from render import plan
from render.objects.model_config import entry
from render.rollout import judge
from schemas.report import ModelState, Reason
from schemas.resources import Strategy
from schemas.status import Role, RolloutPolicy, Stage
from tests.support.simulator import SCORER, SERVER, Simulator, deployment, model, policy, server, simulate


def served(*, main: int = 2, canary: int = 0) -> Simulator:
    """A cluster on which a revision is served, its rollout complete."""
    simulator = simulate(main=main, canary=canary)
    simulator.want(SCORER, deployment(model(1), policy()))
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    return simulator


def test_a_slice_that_is_added_before_everything_was_seen_is_told_its_models_at_once() -> None:
    """Its pods were ready without them, and the common Service led there."""
    simulator = served()
    simulator.complete = False
    simulator.want_server(SERVER, server(main=2, canary=1))
    simulator.step()
    assert simulator.status().slices["canary"].serve is Role.CURRENT


def test_a_pod_that_starts_while_the_route_is_taken_away_is_not_ready_without_the_model() -> None:
    """The gateway may still send requests to it: it has not taken the change over yet."""
    simulator = served()
    simulator.routes_held = True
    simulator.want(SCORER, None)
    simulator.step()
    assert simulator.status().stage is Stage.CLEAN_UP_IN_PROGRESS
    assert simulator.status().route is None
    told = entry(simulator.status(), "main")
    assert told is not None
    assert told.gate


def test_canary_pods_are_not_replaced_while_a_route_that_is_taken_away_may_still_lead_there() -> None:
    """Nothing was waited for but the routes that stay, and the gateway had not taken the end of this one over yet."""
    simulator = served(canary=1)
    simulator.routes_held = True
    simulator.want(SCORER, None)
    simulator.want_server(SERVER, server(main=2, canary=1, image="triton:24.11"))
    simulator.run()
    assert set(simulator.reached[SCORER].slices) == {"main", "canary"}
    assert {state.template for state in simulator.tree.servers[SERVER].slices.values()} == {Role.CURRENT}
    simulator.routes_held = False
    simulator.take_routes()
    simulator.run()
    current = simulator.tree.servers[SERVER].current
    assert current is not None
    assert current.image == "triton:24.11"


STEPS = ((10, 60.0), (50, 3600.0))


@pytest.mark.parametrize(
    "then",
    [policy((10, 60.0), (80, 60.0)), policy((10, 60.0)), policy((10, 60.0), (50, 60.0), strategy=Strategy.EMERGENCY)],
    ids=["another weight", "without the step", "an emergency"],
)
def test_a_policy_that_changes_late_in_a_step_fails_nothing(then: RolloutPolicy) -> None:
    """The new step was judged by the time that the old one had taken, and was late at once."""
    simulator = served(canary=1)
    simulator.want(SCORER, deployment(model(2), policy(*STEPS)))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 2")
    simulator.step()
    simulator.now += 1200
    simulator.want(SCORER, deployment(model(2), then))
    changed = simulator.now
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    assert simulator.status().current == model(2)
    if len(then.steps) > 1 and then.strategy is Strategy.PROGRESSIVE:
        assert simulator.now - changed >= 60  # its own soak, not what was watched at the smaller share


def test_an_attempt_that_is_raised_during_a_rollback_is_made_after_it() -> None:
    """The attempt that failed was noted with the new number, and the new one was never made."""
    simulator = served(canary=1)
    simulator.faults[model(2).digest] = Reason.LOAD_FAILED
    simulator.want(SCORER, deployment(model(2), policy()))
    simulator.run_to(Stage.ROLLBACK_IN_PROGRESS)
    simulator.faults.clear()
    simulator.want(SCORER, deployment(model(2, attempt=1), policy()))
    simulator.run()
    assert simulator.status().current == model(2, attempt=1)


def test_new_pods_are_not_kept_waiting_by_a_rollout_of_which_nothing_can_be_seen() -> None:
    """They are what it needs: the deadlines of neither ran, and each waited for the other."""
    simulator = served()
    simulator.want(SCORER, deployment(model(2), policy()))
    simulator.run_to(Stage.ASSET_PREPARATION)
    for pod in simulator.pods[SERVER]:
        pod.silent = True
    simulator.want_server(SERVER, server(main=2, image="triton:24.11"))
    simulator.run()
    current = simulator.tree.servers[SERVER].current
    assert current is not None
    assert current.image == "triton:24.11"
    assert simulator.status().current == model(2)


def test_a_first_rollout_that_is_sent_to_another_server_begins_with_the_slices_there() -> None:
    """It began in the same look with those of the server that it came from, and waited for one that is not there."""
    simulator = simulate(main=2, canary=1)
    simulator.want_server("fraud/gpu-b", server(main=2))
    simulator.want(SCORER, deployment(model(1), policy((10, 60.0))))
    simulator.run_to(Stage.RESOURCE_ACQUISITION)
    simulator.want(SCORER, deployment(model(1, on="gpu-b"), policy((10, 60.0))))
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    assert simulator.status().current == model(1, on="gpu-b")
    assert set(simulator.status().slices) == {"main"}


def test_a_digest_that_is_not_examined_yet_proves_nothing() -> None:
    """It was taken for proof while the smoke test was still to be answered."""
    simulator = served(canary=0)
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0))))
    simulator.run_to(Stage.RESOURCE_ACQUISITION, "main first pod")
    simulator.step()
    pod = simulator.observe().pods[SERVER][0]
    about = judge.told(simulator.status(), "main")
    assert about is not None
    assert pod.report is not None
    assert judge.serves(pod, about)
    loading = msgspec.structs.replace(pod.report.models["scorer"], state=ModelState.LOADING)
    report = msgspec.structs.replace(pod.report, models={"scorer": loading})
    assert not judge.serves(dataclasses.replace(pod, report=report), about)


def test_a_route_is_rendered_anew_when_the_canary_slice_is_gone() -> None:
    """It had left the canary slice already, so the slices that it may lead to were the same before and after."""
    simulator = served(canary=1)
    trees = [simulator.tree]
    simulator.after_commit = lambda: trees.append(simulator.tree)
    simulator.want_server(SERVER, server(main=2))
    simulator.run()
    written: dict[str, bytes | None] = {**plan.files(trees[0])}
    for before, after in pairwise(trees):
        written |= plan.changes(before, after)
    files = {path: content for path, content in written.items() if content is not None}
    assert set(simulator.tree.servers[SERVER].slices) == {"main"}
    assert files == plan.files(simulator.tree)


def test_a_slice_that_is_added_in_a_first_rollout_has_proven_the_model_before_the_route_appears() -> None:
    """It was told the model only when the rollout was complete, and the route led there by then."""
    simulator = simulate(main=2, canary=0)
    simulator.want(SCORER, deployment(model(1), policy((10, 60.0))))
    simulator.run_to(Stage.RESOURCE_ACQUISITION, "main first pod")
    simulator.want_server(SERVER, server(main=2, canary=1))
    simulator.run(until=lambda: simulator.status().route is not None)
    canary = [pod for pod in simulator.pods[SERVER] if pod.slice == "canary"]
    assert [pod.serving for pod in canary] == [{"scorer": model(1).digest}]
