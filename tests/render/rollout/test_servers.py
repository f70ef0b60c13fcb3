"""The rules of an InferenceServer's own rollout, on a cluster of values."""

import dataclasses
from itertools import pairwise

import msgspec
import pytest

from render.errors import StatusUnreadable
from render.normal import WantedServer
from render.objects import pod
from render.rollout import has_more_room, resume
from schemas.report import Reason
from schemas.resources import Strategy
from schemas.status import Role, ServerStage, ServerStatus, Stage
from tests.support.simulator import SCORER, SERVER, Simulator, deployment, model, policy, server, simulate

OLD, NEW, NEWER = "triton:24.10", "triton:24.11", "triton:24.12"
OTHER = "fraud/ranker"


def served(simulator: Simulator) -> Simulator:
    """A cluster on which a revision is served, its rollout complete."""
    simulator.want(SCORER, deployment(model(1), policy()))
    simulator.run()
    simulator.commits.clear()
    return simulator


def status(simulator: Simulator) -> ServerStatus:
    """The server's status."""
    return simulator.tree.servers[SERVER]


def image(simulator: Simulator) -> str:
    """The image that the server has, when no work is in hand."""
    one = status(simulator)
    assert one.progress is None
    assert one.candidate is None
    assert {state.template for state in one.slices.values()} == {Role.CURRENT}
    assert all(state.routed for state in one.slices.values())
    assert one.current is not None
    return one.current.image


def images(simulator: Simulator, slice_name: str | None = None) -> set[str]:
    """The images of the pods there are."""
    pods = simulator.pods[SERVER]
    return {pod.image for pod in pods if slice_name is None or pod.slice == slice_name}


def steps(simulator: Simulator) -> list[str]:
    """The rows that the server went through, commit by commit."""
    rows = [commit.tree.servers[SERVER].progress for commit in simulator.commits]
    names = [row.step if row is not None else "" for row in rows]
    return [name for before, name in pairwise(["", *names]) if name != before]


def run_to(simulator: Simulator, step: str) -> None:
    """Runs until the server is in a step of its work."""

    def there() -> bool:
        progress = status(simulator).progress
        return progress is not None and progress.step == step

    simulator.run(until=there)
    assert there(), status(simulator)


def wanted(simulator: Simulator, one: WantedServer) -> None:
    """Commits the server."""
    simulator.want_server(SERVER, one)


def test_the_canary_slice_is_replaced_off_the_routes_and_main_follows() -> None:
    simulator = served(simulate(main=3, canary=2))
    wanted(simulator, server(main=3, canary=2, image=NEW))
    run_to(simulator, "canary first pod")
    canary = status(simulator).slices["canary"]
    assert (canary.template, canary.routed) == (Role.CANDIDATE, False)
    assert status(simulator).slices["main"].template is Role.CURRENT
    run_to(simulator, "main first pod")
    assert images(simulator, "canary") == {NEW}
    assert images(simulator, "main") == {OLD}
    assert status(simulator).slices["canary"].routed
    simulator.run()
    assert steps(simulator) == ["drain", "canary first pod", "canary", "route", "main first pod", "main", ""]
    assert image(simulator) == NEW
    assert images(simulator) == {NEW}
    assert status(simulator).stage is ServerStage.SERVE
    assert status(simulator).message == "serving"


def test_without_canary_slice_the_first_pod_goes_before_the_others() -> None:
    simulator = served(simulate(main=3, canary=0))
    wanted(simulator, server(main=3, image=NEW))
    simulator.run()
    assert steps(simulator) == ["main first pod", "main", ""]
    assert images(simulator) == {NEW}


def test_a_pod_counts_only_when_it_proves_every_model() -> None:
    simulator = served(simulate(main=2, canary=1))
    simulator.want(OTHER, deployment(model(2, name="ranker"), policy(), name="ranker"))
    simulator.run()
    wanted(simulator, server(main=2, canary=1, image=NEW))
    run_to(simulator, "canary")
    while images(simulator, "canary") != {NEW}:
        simulator.step()
    fresh = next(pod for pod in simulator.pods[SERVER] if pod.slice == "canary")
    fresh.behind, fresh.told, fresh.serving = True, {}, {}
    for _ in range(5):
        simulator.step()
    assert status(simulator).slices["main"].template is Role.CURRENT
    fresh.behind = False
    simulator.run()
    assert image(simulator) == NEW


def test_a_broken_image_never_reaches_main() -> None:
    simulator = served(simulate(main=2, canary=1))
    simulator.broken.add(NEW)
    wanted(simulator, server(main=2, canary=1, image=NEW))
    simulator.run()
    assert all(commit.tree.servers[SERVER].slices["main"].template is Role.CURRENT for commit in simulator.commits)
    assert image(simulator) == OLD
    assert images(simulator) == {OLD}
    failed = status(simulator).failed
    assert failed is not None
    assert (failed.template.image, failed.reason) == (NEW, "DeadlineMissed")
    assert "waits for canary" in status(simulator).message
    assert simulator.status().message == "revision 1 serves"


def test_a_failed_template_is_tried_again_only_when_somebody_changes_something() -> None:
    simulator = served(simulate(main=2, canary=1))
    simulator.broken.add(NEW)
    wanted(simulator, server(main=2, canary=1, image=NEW))
    simulator.run()
    simulator.broken.clear()
    commits = len(simulator.commits)
    simulator.now += 10_000
    simulator.run()
    assert len(simulator.commits) == commits
    wanted(simulator, server(main=2, canary=1, image=OLD))
    simulator.run()
    assert status(simulator).failed is None
    wanted(simulator, server(main=2, canary=1, image=NEW))
    simulator.run()
    assert image(simulator) == NEW


def test_a_model_that_the_new_pods_cannot_load_ends_it_at_once_and_is_named() -> None:
    simulator = served(simulate(main=2, canary=1))
    simulator.breaks[NEW] = {model(1).digest}
    began = simulator.now
    wanted(simulator, server(main=2, canary=1, image=NEW))
    simulator.run()
    assert simulator.now - began < 60
    assert image(simulator) == OLD
    failed = status(simulator).failed
    assert failed is not None
    assert failed.reason == Reason.LOAD_FAILED
    assert "gpu-a-canary-1: scorer: as asked" in failed.message


@pytest.mark.parametrize(("update", "lost"), [("surge", 0), ("replace", 1)])
def test_a_broken_image_without_canary_slice_costs_one_pod_at_most(update: str, lost: int) -> None:
    simulator = served(simulate(main=3, canary=0))
    wanted(simulator, server(main=3, update=update))  # type: ignore[arg-type]
    simulator.run()
    simulator.broken.add(NEW)
    fewest = []
    simulator.after_commit = lambda: fewest.append(sum(pod.ready for pod in simulator.pods[SERVER]))
    wanted(simulator, server(main=3, image=NEW, update=update))  # type: ignore[arg-type]
    simulator.run()
    assert min(fewest) == 3 - lost
    assert image(simulator) == OLD
    assert images(simulator) == {OLD}


@pytest.mark.parametrize("step", ["turn", "drain", "canary", "route", "main first pod", "main"])
@pytest.mark.parametrize("then", [OLD, NEWER])
def test_a_human_always_wins(step: str, then: str) -> None:
    simulator = served(simulate(main=2, canary=1))
    if step == "turn":
        simulator.want(SCORER, deployment(model(2), policy((10, 60.0))))
        simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    wanted(simulator, server(main=2, canary=1, image=NEW))
    run_to(simulator, step)
    wanted(simulator, server(main=2, canary=1, image=then))
    simulator.run()
    assert image(simulator) == then
    assert images(simulator) == {then}
    assert status(simulator).failed is None
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE


def test_it_waits_for_rollouts_in_hand_and_new_ones_wait_for_it() -> None:
    simulator = served(simulate(main=2, canary=1))
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0))))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    wanted(simulator, server(main=2, canary=1, image=NEW))
    simulator.want(OTHER, deployment(model(1, name="ranker"), policy(), name="ranker"))
    simulator.step()
    assert status(simulator).message == "waits for the rollouts in hand on it"
    assert "waits until InferenceServer gpu-a" in simulator.status(OTHER).message
    run_to(simulator, "canary")
    assert simulator.status().current == model(2)
    assert simulator.status(OTHER).current is None
    simulator.run()
    assert image(simulator) == NEW
    assert simulator.status(OTHER).stage is Stage.ROLLOUT_COMPLETE


def test_an_emergency_does_not_wait() -> None:
    simulator = served(simulate(main=2, canary=1))
    simulator.broken.add(NEW)
    wanted(simulator, server(main=2, canary=1, image=NEW))
    run_to(simulator, "canary")
    simulator.want(SCORER, deployment(model(2), policy(strategy=Strategy.EMERGENCY)))
    began = simulator.now
    simulator.run(until=lambda: simulator.status().current == model(2))
    assert simulator.now - began < 700  # the canary slice's only pod is dead until the old template is back
    simulator.run()
    assert image(simulator) == OLD


def test_a_rollout_that_a_human_holds_keeps_nobody_waiting() -> None:
    simulator = served(simulate(main=2, canary=1))
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0), paused=True)))
    simulator.run()
    wanted(simulator, server(main=2, canary=1, image=NEW))
    simulator.run()
    assert status(simulator).progress is None
    assert "a newer template waits for a paused rollout on it" in status(simulator).message
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0))))
    simulator.run()
    assert image(simulator) == NEW


def test_a_bounded_number_of_servers_at_a_time() -> None:
    simulator = simulate(main=2, canary=0)
    names = [f"fraud/gpu-{number}" for number in range(4)]
    repository = msgspec.structs.replace(simulator.wanted.repository, max_servers_at_once=2)
    for name in names:
        simulator.want_server(name, server(main=2))
    for name in names:
        plain = name.partition("/")[2]
        revision = msgspec.structs.replace(model(1, name=plain), server=plain)
        simulator.want(f"fraud/m-{plain}", deployment(revision, policy(), name=f"m-{plain}"))
    simulator.run()
    simulator.wanted = dataclasses.replace(simulator.wanted, repository=repository)
    for name in names:
        simulator.want_server(name, server(main=2, image=NEW))
    rolling: list[int] = []

    def count() -> None:
        at_work = [one for one in simulator.tree.servers.values() if one.progress is not None]
        rolling.append(len(at_work))

    simulator.after_commit = count
    simulator.run()
    assert max(rolling) == 2
    current = [simulator.tree.servers[name].current for name in names]
    assert {one.image for one in current if one is not None} == {NEW}


def test_more_room_is_seen() -> None:
    simulator = served(simulate(main=2, canary=0))
    idle = simulator.tree
    wanted(simulator, server(main=2, image=NEW))
    run_to(simulator, "main")
    assert has_more_room(simulator.tree, idle)
    assert not has_more_room(idle, simulator.tree)


def test_where_nothing_is_served_pods_are_replaced_at_once() -> None:
    simulator = simulate(main=2, canary=1)
    simulator.broken.add(OLD)
    simulator.run()
    assert status(simulator).stage is ServerStage.HEALTH_CHECK
    wanted(simulator, server(main=2, canary=1, image=NEW))
    simulator.run()
    assert image(simulator) == NEW
    assert status(simulator).stage is ServerStage.SERVE


def test_a_canary_slice_that_is_removed_goes_when_no_route_leads_to_it() -> None:
    simulator = served(simulate(main=2, canary=1))
    wanted(simulator, server(main=2))
    simulator.pods[SERVER][0].busy = True
    busy = next(pod for pod in simulator.pods[SERVER] if pod.slice == "canary")
    busy.busy = True
    run_to(simulator, "drain")
    simulator.now += 3600
    simulator.step()
    assert busy in simulator.pods[SERVER]
    busy.busy = False
    simulator.run()
    assert set(status(simulator).slices) == {"main"}
    assert set(simulator.status().slices) == {"main"}
    assert status(simulator).message == "serving"


def test_a_canary_slice_that_comes_back_in_time_never_went() -> None:
    simulator = served(simulate(main=2, canary=1))
    pods = list(simulator.pods[SERVER])
    next(pod for pod in pods if pod.slice == "canary").busy = True
    wanted(simulator, server(main=2))
    run_to(simulator, "drain")
    wanted(simulator, server(main=2, canary=1))
    simulator.run()
    assert simulator.pods[SERVER] == pods
    assert image(simulator) == OLD


def test_a_canary_slice_that_is_removed_in_mid_rollout_stays_until_its_end() -> None:
    simulator = served(simulate(main=2, canary=1))
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0))))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    wanted(simulator, server(main=2))
    simulator.step()
    assert set(status(simulator).slices) == {"main", "canary"}
    simulator.run()
    assert simulator.status().current == model(2)
    assert set(status(simulator).slices) == {"main"}


def test_deadlines_count_observed_time_only() -> None:
    simulator = served(simulate(main=2, canary=1))
    simulator.broken.add(NEW)
    wanted(simulator, server(main=2, canary=1, image=NEW))
    run_to(simulator, "canary")
    away = simulator.now
    simulator.now += 3600
    simulator.tree = resume(simulator.tree, away, simulator.now)
    simulator.step()
    progress = status(simulator).progress
    assert progress is not None
    assert progress.step == "canary"


def test_pods_that_cannot_be_seen_are_not_late() -> None:
    simulator = served(simulate(main=2, canary=1))
    simulator.broken.add(NEW)
    wanted(simulator, server(main=2, canary=1, image=NEW))
    run_to(simulator, "canary")
    while NEW not in images(simulator, "canary"):
        simulator.step()
    for one in simulator.pods[SERVER]:
        one.silent = True
    simulator.now += 3600
    simulator.step()
    progress = status(simulator).progress
    assert progress is not None
    assert progress.step == "canary"


def test_work_goes_on_when_the_file_is_deleted() -> None:
    simulator = served(simulate(main=2, canary=1))
    wanted(simulator, server(main=2, canary=1, image=NEW))
    run_to(simulator, "canary")
    simulator.want_server(SERVER, None)
    simulator.run()
    assert status(simulator).stage is ServerStage.DELETE
    assert images(simulator) == {NEW}
    simulator.want(SCORER, None)
    simulator.run()
    assert SERVER not in simulator.tree.servers


def test_a_deletion_before_everything_was_seen_leaves_the_work_in_hand() -> None:
    simulator = served(simulate(main=2, canary=1))
    wanted(simulator, server(main=2, canary=1, image=NEW))
    run_to(simulator, "drain")
    simulator.complete = False
    simulator.want_server(SERVER, None)
    simulator.step()
    assert status(simulator).stage is ServerStage.PROVISION
    simulator.complete = True
    simulator.run()
    assert status(simulator).stage is ServerStage.DELETE
    assert images(simulator) == {NEW}


def test_models_that_a_new_pod_cannot_get_are_named() -> None:
    simulator = served(simulate(main=2, canary=0))
    simulator.faults[model(1).digest] = Reason.DOWNLOAD_FAILED
    for one in simulator.pods[SERVER]:
        one.behind = True  # what serves goes on serving
    wanted(simulator, server(main=3))
    simulator.run()
    assert status(simulator).stage is ServerStage.SERVE
    assert status(simulator).message == "serving; gpu-a-main-2: scorer: DownloadFailed: as asked"


def test_a_template_of_a_newer_fresco_rolls_and_that_of_a_newer_one_still_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = served(simulate(main=2, canary=1))
    before = {pod.template for pod in simulator.pods[SERVER]}
    spec = pod.SPECS[1]
    monkeypatch.setattr(pod, "SPECS", {1: spec, 2: lambda part: {**spec(part), "terminationGracePeriodSeconds": 90}})
    newer = server(main=2, canary=1)
    newer = WantedServer(
        template=msgspec.structs.replace(newer.template, template_version=2),
        replicas=newer.replicas,
        quorum=newer.quorum,
        deadline=newer.deadline,
        findings=(),
        source=newer.source,
    )
    simulator.run()
    assert {pod.template for pod in simulator.pods[SERVER]} == before
    wanted(simulator, newer)
    simulator.run()
    assert not {pod.template for pod in simulator.pods[SERVER]} & before
    assert steps(simulator)[-1] == ""
    monkeypatch.setattr(pod, "SPECS", {1: spec})
    with pytest.raises(StatusUnreadable, match="pod template of version 2; known: 1"):
        simulator.roll()


def without_quorum(image: str = OLD) -> WantedServer:
    """One pod, of which no share has to be live."""
    return dataclasses.replace(server(main=1, image=image, update="replace"), quorum=0)


def test_a_server_without_quorum_does_not_serve_without_a_pod() -> None:
    """It served and did not, in turn, with every look."""
    simulator = simulate(main=1, canary=0)
    wanted(simulator, without_quorum())
    served(simulator)
    simulator.broken.add(OLD)
    simulator.crash(simulator.pods[SERVER][0])
    simulator.run()
    assert status(simulator).stage is ServerStage.HEALTH_CHECK


def test_a_template_that_no_pod_has_proven_is_never_current_even_without_quorum() -> None:
    simulator = simulate(main=1, canary=0)
    wanted(simulator, without_quorum())
    served(simulator)
    simulator.broken.add(NEW)
    wanted(simulator, without_quorum(NEW))
    simulator.run()
    assert image(simulator) == OLD
    assert status(simulator).failed is not None
