"""A Deployment that moves to another server or another served name, on a cluster of values."""

import dataclasses
from typing import Any

import msgspec
import pytest

from render import plan
from render.normal import WantedDeployment
from schemas.report import Reason
from schemas.resources import Strategy
from schemas.status import ModelRevision, Role, RouteState, Stage
from tests.render.rollout import invariants
from tests.support.simulator import SCORER, SERVER, Simulator, deployment, model, policy, server, simulate

OTHER = "fraud/gpu-b"
POLICY = policy((10, 60.0), bake=600.0)
TO_OTHER = model(1, on="gpu-b")
RENAMED = model(1, name="scorer-too")
STEPS = ["stage", "canary", "main first pod", "main", "route", "bake", "unload"]


def served(*, canary: int = 1, there: int = 1) -> Simulator:
    """Two servers with canary slices, and a revision that is served on the first."""
    simulator = simulate(canary=canary)
    simulator.want_server(OTHER, server(main=2, canary=there))
    simulator.want(SCORER, deployment(model(1), policy()))
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    simulator.commits.clear()
    return simulator


def serving(simulator: Simulator, on: str) -> set[str]:
    """The served names on all pods of a server."""
    return {name for pod in simulator.pods[on] for name in pod.serving}


def steps(simulator: Simulator) -> list[str]:
    """The steps of the last rollout, without what came before and after."""
    return [one.step for one in simulator.status().transitions if one.step in STEPS]


def path_of_route(simulator: Simulator) -> str:
    """The path that the rendered route matches first."""
    made = plan.files(simulator.tree)["manifests/fraud/routes/scorer.yaml"].decode()
    return next(line.split("value: ")[1] for line in made.splitlines() if "value: /fraud/" in line).rsplit("/", 1)[0]


def is_back(simulator: Simulator) -> bool:
    """Whether everything is as it was before the move."""
    status = simulator.status()
    here, there = serving(simulator, SERVER), serving(simulator, OTHER)
    told = (status.route, status.there, status.progress, status.candidate)
    return (here, there, told) == ({"scorer"}, set(), (RouteState(), {}, None, None)) and status.current == model(1)


def go_to(simulator: Simulator, revision: ModelRevision, step: str, **how: Any) -> None:
    """Asks for a move and runs until it has come to `step`."""
    simulator.want(SCORER, deployment(revision, how.get("rollout", POLICY)))
    simulator.run(until=lambda: (one := simulator.status().progress) is not None and one.step == step)
    assert (one := simulator.status().progress) is not None
    assert one.step == step


def test_it_is_served_there_before_the_route_is_turned_and_here_until_then() -> None:
    simulator = served()
    seen: list[tuple[str, bool, bool, str]] = []

    def look() -> None:
        one = simulator.status()
        step = one.progress.step if one.progress is not None else "done"
        seen.append((step, bool(one.slices), bool(one.there), simulator.reached[SCORER].server))

    simulator.after_commit = look
    simulator.want(SCORER, deployment(TO_OTHER, POLICY))
    simulator.run()
    assert steps(simulator) == STEPS
    assert {place for step, *_, place in seen if step in STEPS[:4]} == {SERVER}
    assert {place for step, *_, place in seen if step in STEPS[4:]} == {OTHER}
    assert all(here for step, here, *_ in seen if step in STEPS[:-1])
    assert (simulator.status().current, simulator.status().there) == (TO_OTHER, {})
    assert (serving(simulator, SERVER), serving(simulator, OTHER)) == (set(), {"scorer"})


def test_the_other_slices_are_those_of_the_other_server() -> None:
    simulator = served(canary=1, there=0)
    simulator.want(SCORER, deployment(TO_OTHER, POLICY))
    simulator.run()
    assert steps(simulator) == [step for step in STEPS if step != "canary"]
    assert set(simulator.status().slices) == {"main"}


def test_another_name_on_the_same_server_stands_beside_the_old_one() -> None:
    simulator = served()
    go_to(simulator, RENAMED, "bake")
    assert serving(simulator, SERVER) == {"scorer", "scorer-too"}
    simulator.run()
    assert serving(simulator, SERVER) == {"scorer-too"}


def test_the_path_is_turned_with_the_route() -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, "main")
    assert path_of_route(simulator) == "/fraud/gpu-a/scorer"
    simulator.run()
    assert path_of_route(simulator) == "/fraud/gpu-b/scorer"


def test_what_is_left_is_named_to_the_sidecars_guard() -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, "unload")
    made = plan.files(simulator.tree)["manifests/fraud/servers/gpu-a/main-models.yaml"].decode()
    assert '"unload": [\n      "scorer"' in "\n".join(line.removeprefix("  ") for line in made.splitlines())


def test_a_failure_there_changes_nothing_here() -> None:
    simulator = served()
    broken = model(2, on="gpu-b")
    simulator.faults[broken.digest] = Reason.LOAD_FAILED
    simulator.want(SCORER, deployment(broken, POLICY))
    simulator.run()
    failed = simulator.status().failed
    assert simulator.status().stage is Stage.ROLLBACK_COMPLETE
    assert failed is not None
    assert (failed.revision, failed.reason) == ("2", "LoadFailed")
    assert {simulator.reached[SCORER].server} == {SERVER}
    assert is_back(simulator)
    assert path_of_route(simulator) == "/fraud/gpu-a/scorer"


def test_a_failure_after_the_turn_turns_the_route_back_before_anything_is_unloaded() -> None:
    simulator = served(there=0)
    go_to(simulator, TO_OTHER, "bake")
    for pod in simulator.pods[OTHER]:
        pod.silent = pod.busy = True
    simulator.now += 10_000
    for pod in simulator.pods[OTHER]:
        pod.silent = False
        pod.live = False
    simulator.run_to(Stage.ROLLBACK_IN_PROGRESS, "traffic")
    assert simulator.reached[SCORER].server == SERVER
    assert simulator.status().there
    for pod in simulator.pods[OTHER]:
        pod.live, pod.busy = True, False
    simulator.run()
    assert is_back(simulator)


@pytest.mark.parametrize("step", STEPS[:-1])
@pytest.mark.parametrize("revision", [TO_OTHER, RENAMED], ids=["server", "name"])
def test_a_revert_at_every_step_takes_it_back(revision: ModelRevision, step: str) -> None:
    simulator = served()
    go_to(simulator, revision, step)
    simulator.want(SCORER, deployment(model(1), POLICY))
    simulator.run()
    assert is_back(simulator)
    assert simulator.status().failed is None


def test_a_revert_that_comes_too_late_moves_it_back_after_the_end() -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, "unload")
    simulator.want(SCORER, deployment(model(1), POLICY))
    simulator.run()
    assert steps(simulator) == STEPS  # another move
    assert is_back(simulator)


@pytest.mark.parametrize("step", STEPS)
def test_a_newer_revision_at_every_step_is_served_in_the_end(step: str) -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, step)
    newer = model(2, on="gpu-b")
    simulator.want(SCORER, deployment(newer, POLICY))
    simulator.run()
    assert simulator.status().current == newer
    assert (serving(simulator, SERVER), serving(simulator, OTHER)) == (set(), {"scorer"})


@pytest.mark.parametrize("step", STEPS)
def test_a_deletion_at_every_step_takes_away_both(step: str) -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, step)
    simulator.want(SCORER, None)
    simulator.run()
    assert SCORER not in simulator.tree.deployments
    assert (serving(simulator, SERVER), serving(simulator, OTHER)) == (set(), set())
    assert not simulator.routes


def test_a_deletion_while_it_is_taken_away_here_takes_the_route_first() -> None:
    """Nothing was told here any more, and so it seemed that nothing was served."""
    simulator = served()
    go_to(simulator, TO_OTHER, "unload")
    simulator.routes_lag = True

    def check() -> None:
        simulator.observe()
        invariants.routed_models_are_served(simulator)

    simulator.after_commit = check
    simulator.want(SCORER, None)
    simulator.run()
    assert SCORER not in simulator.tree.deployments


def test_a_newer_revision_ends_the_bake_time_that_a_human_held() -> None:
    """The step after it was held too, and no policy could let it go."""
    simulator = served()
    go_to(simulator, TO_OTHER, "bake")
    simulator.want(SCORER, deployment(TO_OTHER, policy(bake=600.0, paused=True)))
    simulator.step()
    newer = model(2, on="gpu-b")
    simulator.want(SCORER, deployment(newer, POLICY))
    simulator.run()
    assert simulator.status().current == newer


def test_a_third_place_begins_when_the_second_is_left() -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, "main")
    simulator.want(SCORER, deployment(RENAMED, POLICY))
    simulator.run()
    assert simulator.status().current == RENAMED
    assert (serving(simulator, SERVER), serving(simulator, OTHER)) == ({"scorer-too"}, set())


def test_policy_applies_in_a_move_but_for_the_path() -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, "main first pod")
    asked = msgspec.structs.replace(TO_OTHER, path="/fraud/new")
    wanted: WantedDeployment = deployment(asked, POLICY)
    traffic = msgspec.structs.replace(wanted.traffic, hostnames=("models.example.com",))
    simulator.want(SCORER, dataclasses.replace(wanted, traffic=traffic))
    simulator.step()
    assert simulator.status().traffic == traffic
    assert path_of_route(simulator) == "/fraud/gpu-a/scorer"
    simulator.run()
    assert path_of_route(simulator) == "/fraud/new"


def test_an_emergency_moves_at_once_and_keeps_the_order() -> None:
    simulator = served()
    simulator.want(SCORER, deployment(TO_OTHER, policy((10, 60.0), strategy=Strategy.EMERGENCY)))
    began = simulator.now
    simulator.run()
    assert steps(simulator) == ["stage", "main", "route", "bake", "unload"]
    assert simulator.now - began < 5


def test_the_last_requests_are_waited_for_before_it_is_taken_away_here() -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, "route")
    for pod in simulator.pods[SERVER]:
        pod.busy = True
    simulator.now += 100
    simulator.step()
    assert (one := simulator.status().progress) is not None
    assert one.step == "route"
    assert {state.serve for state in simulator.status().slices.values()} == {Role.CURRENT}


def test_a_pod_that_cannot_be_reached_does_not_hold_up_the_end() -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, "unload")
    simulator.pods[SERVER][0].silent = True
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    assert simulator.status().current == TO_OTHER


def test_a_slice_that_is_added_here_meanwhile_serves_what_is_served_here() -> None:
    simulator = served(canary=0)
    go_to(simulator, TO_OTHER, "main first pod")
    simulator.want_server(SERVER, server(main=2, canary=1))
    simulator.step()
    assert simulator.status().slices["canary"].serve is Role.CURRENT
    simulator.run()
    assert serving(simulator, SERVER) == set()


@pytest.mark.parametrize(("which", "step"), [(SERVER, "main first pod"), (SERVER, "bake"), (OTHER, "bake")])
def test_servers_on_both_sides_wait_for_it(which: str, step: str) -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, step)
    simulator.want_server(which, server(main=2, canary=1, image="triton:24.11"))
    simulator.run(until=lambda: simulator.status().progress is None)
    one = simulator.tree.servers[which].current
    assert one is not None
    assert one.image == "triton:24.10"
    simulator.run()
    assert (two := simulator.tree.servers[which].current) is not None
    assert two.image == "triton:24.11"


def test_it_waits_for_its_turn_there() -> None:
    simulator = served()
    simulator.want("fraud/other", deployment(model(7, name="other", on="gpu-b"), POLICY, name="other"))
    simulator.run(until=lambda: "fraud/other" in simulator.tree.deployments and _step_of(simulator) == "canary")
    simulator.want(SCORER, deployment(TO_OTHER, POLICY))
    for _ in range(5):
        simulator.step()
    assert simulator.status().message == "waits for other, which loads on gpu-b"
    simulator.run()
    assert simulator.status().current == TO_OTHER


def _step_of(simulator: Simulator) -> str | None:
    progress = simulator.tree.deployments["fraud/other"].progress
    return progress.step if progress is not None else None


def test_a_server_that_is_left_can_be_deleted_in_the_same_commit() -> None:
    simulator = served()
    simulator.want(SCORER, deployment(TO_OTHER, POLICY))
    simulator.want_server(SERVER, None)
    simulator.run()
    assert SERVER not in simulator.tree.servers
    assert simulator.status().current == TO_OTHER


def test_people_are_told_where_it_goes() -> None:
    simulator = served()
    go_to(simulator, TO_OTHER, "route")
    assert simulator.status().message == "revision 1: the route is turned to scorer on gpu-b"
    page = plan.files(simulator.tree)["status/fraud/README.md"].decode()
    assert "1, as scorer on gpu-b | the candidate |" in page
