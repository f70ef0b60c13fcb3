"""What the machine has found, each as a case with a name: it must never come back."""

from itertools import pairwise

from render import plan
from render.objects.model_config import entry
from schemas.status import Role, Stage
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
