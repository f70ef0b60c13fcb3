"""The rules of a rollout, on a cluster of values."""

import pytest

from render.normal import Kept
from render.rollout import resume
from schemas.report import Reason, Requests
from schemas.resources import Analysis, Strategy
from schemas.status import Finding, Role, RouteState, ServerStage, SliceName, Stage
from tests.support.simulator import SCORER, SERVER, SimulatedPod, Simulator, deployment, model, policy, server, simulate

STEPS = policy((10, 60.0), (50, 120.0), bake=600.0)


def served(simulator: Simulator, number: int = 1, canary: int = 1) -> Simulator:
    """A cluster on which a revision is served, its rollout complete."""
    simulator.want(SCORER, deployment(model(number), policy()))
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    assert simulator.status().progress is None
    simulator.commits.clear()
    return simulator


def steps(simulator: Simulator) -> list[tuple[str, str]]:
    """(stage, step) of the last rollout's transitions."""
    return [(one.stage, one.step) for one in simulator.status().transitions]


def splits(simulator: Simulator) -> list[dict[SliceName, int] | str | None]:
    """The route's weights, commit by commit, without repetitions."""
    seen: list[dict[SliceName, int] | str | None] = []
    for commit in simulator.commits:
        one = commit.tree.deployments.get(SCORER)
        route = None if one is None or one.route is None else (dict(one.route.split) if one.route.split else "common")
        if not seen or seen[-1] != route:
            seen.append(route)
    return seen


def test_first_rollout_goes_in_waves_and_the_route_comes_last() -> None:
    simulator = simulate(canary=2)
    simulator.want(SCORER, deployment(model(1), STEPS))
    simulator.run()
    assert steps(simulator) == [
        ("Validation", "accepted"),
        ("Asset Preparation", "stage"),
        ("Resource Acquisition", "canary first pod"),
        ("Resource Acquisition", "canary"),
        ("Resource Acquisition", "main first pod"),
        ("Resource Acquisition", "main"),
        ("Model Traffic Routing", "route"),
        ("Rollout Complete", "bake"),
        ("Rollout Complete", "done"),
    ]
    assert splits(simulator) == [None, "common"]
    assert simulator.tree.servers[SERVER].stage is ServerStage.SERVE


def test_progressive_rollout_drains_the_canary_then_gives_it_its_shares() -> None:
    simulator = served(simulate(canary=2))
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run()
    assert [step for _, step in steps(simulator)] == [
        "accepted", "stage", "drain", "canary first pod", "canary", "weight 1", "weight 2",
        "main first pod", "main", "bake", "done",
    ]  # fmt: skip
    main_alone: dict[SliceName, int] = {"main": 100, "canary": 0}
    shares: list[dict[SliceName, int] | str] = [
        "common",
        main_alone,
        {"main": 90, "canary": 10},
        {"main": 50, "canary": 50},
        "common",
    ]
    assert splits(simulator) == shares
    done = simulator.status()
    assert done.current is not None
    assert done.current.revision == "2"
    assert {state.serve for state in done.slices.values()} == {Role.CURRENT}


def test_a_canary_slice_of_one_pod_has_one_wave() -> None:
    simulator = simulate(canary=1)
    simulator.want(SCORER, deployment(model(1), STEPS))
    began = simulator.now
    simulator.run_to(Stage.RESOURCE_ACQUISITION, "main first pod")
    assert simulator.now - began >= 60  # the first step's soak, before any other pod
    assert [step for _, step in steps(simulator)] == ["accepted", "stage", "canary", "main first pod"]
    simulator.run()
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    assert [step for _, step in steps(simulator)] == ["accepted", "stage", "drain", "canary", "weight 1"]


def test_soaks_take_their_time_in_observed_seconds() -> None:
    simulator = served(simulate())
    began = simulator.now
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run()
    assert 60 + 120 + 600 <= simulator.now - began < 60 + 120 + 600 + 10


def test_without_canary_slice_one_pod_goes_first_and_the_route_never_changes() -> None:
    simulator = served(simulate(canary=0))
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.RESOURCE_ACQUISITION, "main first pod")
    assert len(simulator.status().slices["main"].first_pods) == 1
    assert sorted(pod.serving["scorer"] for pod in simulator.pods[SERVER])[0] == model(1).digest
    simulator.run()
    assert [step for _, step in steps(simulator)] == ["accepted", "stage", "main first pod", "main", "bake", "done"]
    assert splits(simulator) == ["common"]


def test_emergency_switches_everything_at_once_without_soaks() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0), strategy=Strategy.EMERGENCY)))
    began = simulator.now
    simulator.run()
    assert [step for _, step in steps(simulator)] == ["accepted", "stage", "main", "route", "bake", "done"]
    assert simulator.now - began < 5


@pytest.mark.parametrize("reason", [Reason.LOAD_FAILED, Reason.DIGEST_MISMATCH, Reason.QUARANTINED])
def test_a_certain_failure_rolls_back_and_marks_the_revision(reason: Reason) -> None:
    simulator = served(simulate())
    simulator.faults[model(2).digest] = reason
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run()
    done = simulator.status()
    assert done.stage is Stage.ROLLBACK_COMPLETE
    assert done.failed is not None
    assert (done.failed.revision, done.failed.reason) == ("2", reason.value)
    assert done.current is not None
    assert done.current.revision == "1"
    assert done.route == RouteState()
    assert {pod.serving["scorer"] for pod in simulator.pods[SERVER]} == {model(1).digest}


def test_a_failed_revision_is_tried_again_only_when_asked() -> None:
    simulator = served(simulate())
    simulator.faults[model(2).digest] = Reason.LOAD_FAILED
    simulator.want(SCORER, deployment(model(2), policy()))
    simulator.run()
    commits = len(simulator.commits)
    simulator.faults.clear()
    simulator.run()
    assert len(simulator.commits) == commits
    simulator.want(SCORER, deployment(model(2, attempt=1), policy()))
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE


def test_first_rollout_that_fails_leaves_no_route_and_no_model() -> None:
    simulator = simulate()
    simulator.faults[model(1).digest] = Reason.LOAD_FAILED
    simulator.want(SCORER, deployment(model(1), policy()))
    simulator.run()
    done = simulator.status()
    assert (done.stage, done.route, done.slices, done.current) == (Stage.ROLLBACK_COMPLETE, None, {}, None)
    assert not any(pod.serving for pod in simulator.pods[SERVER])


@pytest.mark.parametrize("step", ["stage", "drain", "canary first pod", "canary", "weight 1", "weight 2", "main"])
def test_revert_in_mid_rollout_puts_the_old_one_back(step: str) -> None:
    simulator = served(simulate(canary=2))
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run(until=lambda: simulator._step(simulator.status()) == step)
    simulator.want(SCORER, deployment(model(1), STEPS))
    simulator.run()
    done = simulator.status()
    assert done.stage is Stage.ROLLBACK_COMPLETE
    assert done.failed is None
    assert {pod.serving["scorer"] for pod in simulator.pods[SERVER]} == {model(1).digest}
    assert done.route == RouteState()


@pytest.mark.parametrize("step", ["stage", "canary", "weight 1", "main", "bake"])
def test_newer_revision_in_mid_rollout_wins(step: str) -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run(until=lambda: simulator._step(simulator.status()) == step)
    simulator.want(SCORER, deployment(model(3), STEPS))
    simulator.run()
    done = simulator.status()
    assert done.current is not None
    assert (done.stage, done.current.revision) == (Stage.ROLLOUT_COMPLETE, "3")


@pytest.mark.parametrize("step", [None, "stage", "canary", "weight 1", "main", "bake"])
def test_deletion_takes_the_route_first_then_the_model(step: str | None) -> None:
    simulator = served(simulate())
    if step is not None:
        simulator.want(SCORER, deployment(model(2), STEPS))
        simulator.run(until=lambda: simulator._step(simulator.status()) == step)
    simulator.commits.clear()
    simulator.want(SCORER, None)
    simulator.run()
    told = [commit.tree.deployments.get(SCORER) for commit in simulator.commits]
    routed = [one is not None and one.route is not None for one in told]
    loaded = [one is not None and bool(one.slices) for one in told]
    assert not any(routed)
    assert loaded[0]
    complete = [one.stage for one in told if one is not None][-1]
    assert complete is Stage.CLEAN_UP_COMPLETE
    assert told[-1] is None
    assert not any(pod.serving for pod in simulator.pods[SERVER])


def test_pause_holds_the_step_and_stops_the_clock() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    paused = policy((10, 60.0), (50, 120.0), bake=600.0, paused=True)
    simulator.want(SCORER, deployment(model(2), paused))
    simulator.run()
    simulator.now += 10_000
    simulator.run()
    assert simulator._step(simulator.status()) == "weight 1"
    simulator.want(SCORER, deployment(model(2), STEPS))
    began = simulator.now
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    assert simulator.now - began >= 60 + 120 + 600


def test_a_paused_step_still_takes_its_share_from_a_slice_without_a_ready_pod() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0), (50, 120.0), bake=600.0, paused=True)))
    simulator.step()
    (canary,) = (pod for pod in simulator.pods[SERVER] if pod.slice == "canary")
    canary.live = False
    simulator.run()
    assert simulator.status().route == RouteState(split={"main": 100, "canary": 0})
    assert simulator.status().message.startswith("paused: ")
    canary.live = True
    simulator.run()
    assert simulator.status().route == RouteState(split={"main": 90, "canary": 10})
    assert simulator.status().message.startswith("paused: ")
    assert simulator._step(simulator.status()) == "weight 1"


def test_silence_is_unknown_and_holds_until_the_deadline() -> None:
    simulator = served(simulate())
    simulator.pods[SERVER][0].silent = True
    simulator.want(SCORER, deployment(model(2), policy()))
    simulator.run_to(Stage.ASSET_PREPARATION, "stage")
    began = simulator.now
    simulator.step()
    assert simulator.status().stage is Stage.ASSET_PREPARATION
    simulator.run(until=lambda: simulator.status().stage is Stage.ROLLBACK_IN_PROGRESS)
    assert simulator.now - began >= 1800
    progress = simulator.status().progress
    assert progress is not None
    assert progress.cause is not None
    assert progress.cause.reason == "DeadlineMissed"
    assert simulator.pods[SERVER][0].name in progress.cause.message


def test_what_is_invalid_keeps_its_last_accepted_state() -> None:
    simulator = served(simulate())
    finding = Finding(file="deployments/scorer.yaml", line=3, column=5, rule="FR001", message="expected a number")
    simulator.want(SCORER, Kept(findings=(finding,)))
    simulator.run()
    kept = simulator.status()
    assert kept.findings == (finding,)
    assert kept.current is not None
    assert kept.route == RouteState()


def test_two_models_on_one_server_take_turns() -> None:
    simulator = simulate()
    names = ("alpha", "beta")
    for number, name in enumerate(names, start=1):
        simulator.want(f"fraud/{name}", deployment(model(number, name=name), policy(), name=name))
    loading: list[set[str]] = []

    def watch() -> None:
        busy = {
            name
            for name in names
            if (one := simulator.tree.deployments[f"fraud/{name}"].progress) and one.step not in ("stage", "bake")
        }
        loading.append(busy)

    simulator.after_commit = watch
    simulator.run()
    assert max(len(busy) for busy in loading) == 1
    assert all(simulator.status(f"fraud/{name}").stage is Stage.ROLLOUT_COMPLETE for name in names)


def test_a_server_waits_for_its_deployments_before_it_goes() -> None:
    simulator = served(simulate())
    simulator.want_server(SERVER, None)
    simulator.run()
    assert simulator.tree.servers[SERVER].stage is ServerStage.DELETE
    assert "scorer" in simulator.tree.servers[SERVER].message
    simulator.want(SCORER, None)
    simulator.run()
    assert simulator.tree.servers == {}
    assert simulator.tree.deployments == {}


def test_a_slice_added_later_serves_the_current_revision() -> None:
    simulator = served(simulate(canary=0))
    simulator.want_server(SERVER, server(main=2, canary=1))
    simulator.run()
    assert {pod.slice for pod in simulator.pods[SERVER]} == {"main", "canary"}
    assert {pod.serving["scorer"] for pod in simulator.pods[SERVER]} == {model(1).digest}


def test_nothing_is_judged_before_everything_was_observed_once() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    simulator.complete = False
    simulator.now += 10_000
    assert not simulator.step()


def test_a_deployment_on_a_server_that_was_never_accepted_says_so() -> None:
    simulator = simulate()
    finding = Finding(file="servers/gpu-a.yaml", line=7, column=3, rule="FR001", message="expected an integer")
    simulator.want_server(SERVER, Kept(findings=(finding,)))
    simulator.want(SCORER, deployment(model(1), STEPS))
    simulator.run()
    assert simulator.status().stage is Stage.VALIDATION
    assert "expected an integer" in simulator.status().message


def test_a_gap_in_observation_does_not_count() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    simulator.step()
    away = simulator.now
    simulator.now += 3600
    simulator.tree = resume(simulator.tree, away, simulator.now)
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 2")
    assert simulator.now - away >= 3600 + 60


def test_a_gap_within_a_pause_counts_once() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    simulator.step()
    simulator.now += 50  # of the soak of 60 s
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0), (50, 120.0), bake=600.0, paused=True)))
    simulator.step()
    simulator.now += 1000
    simulator.tree = resume(simulator.tree, simulator.now - 900, simulator.now)
    simulator.want(SCORER, deployment(model(2), STEPS))
    began = simulator.now
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 2")
    assert 10 <= simulator.now - began < 11


def test_a_first_pod_that_goes_away_is_replaced_by_another() -> None:
    simulator = served(simulate(canary=0))
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.RESOURCE_ACQUISITION, "main first pod")
    first = simulator.status().slices["main"].first_pods
    simulator.pods[SERVER] = [pod for pod in simulator.pods[SERVER] if pod.name not in first]
    simulator.step()
    assert simulator.status().slices["main"].first_pods not in ((), first)
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE


@pytest.mark.parametrize(
    ("canary", "reason"),
    [
        (Requests(count=100, failures=0, latency_seconds=1.0), None),
        (Requests(count=100, failures=5, latency_seconds=1.0), "AnalysisErrorRate"),
        (Requests(count=100, failures=0, latency_seconds=3.0), "AnalysisLatency"),
        (Requests(count=10, failures=10, latency_seconds=0.0), None),  # too few requests prove nothing
    ],
)
def test_analysis_compares_the_slices_since_the_step_began(canary: Requests, reason: str | None) -> None:
    limits = Analysis(max_error_rate=0.01, max_latency_ratio=1.5)
    simulator = served(simulate())
    for pod in simulator.pods[SERVER]:
        pod.requests = Requests(count=1000, failures=500, latency_seconds=500.0)  # before: does not count
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0), analysis=limits)))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    simulator.step()
    steady = Requests(count=100, failures=0, latency_seconds=1.0)
    for pod in simulator.pods[SERVER]:
        more = canary if pod.slice == "canary" else steady
        pod.requests = Requests(
            count=1000 + more.count,
            failures=500 + more.failures,
            latency_seconds=500.0 + more.latency_seconds,
        )
    simulator.run()
    done = simulator.status()
    assert (done.failed.reason if done.failed else None) == reason
    assert done.stage is (Stage.ROLLBACK_COMPLETE if reason else Stage.ROLLOUT_COMPLETE)


def test_policy_applies_live_and_starts_nothing() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    began = simulator.status().progress
    simulator.want(SCORER, deployment(model(2), policy((25, 60.0))))
    simulator.step()
    progress = simulator.status().progress
    assert began is not None
    assert progress is not None
    assert progress.started_at == began.started_at
    assert simulator.status().route == RouteState(split={"main": 75, "canary": 25})
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE


def test_a_step_that_was_taken_out_goes_on_with_the_next() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 2")
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0))))
    simulator.step()
    assert simulator._step(simulator.status()) in {"weight 2", "main first pod", "main"}
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE


def test_a_canary_slice_without_a_ready_pod_loses_its_share_and_its_soak_starts_again() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    simulator.step()
    simulator.now += 50
    (canary,) = (pod for pod in simulator.pods[SERVER] if pod.slice == "canary")
    canary.live = False
    simulator.step()
    assert simulator.status().route == RouteState(split={"main": 100, "canary": 0})
    assert "main gets all requests" in simulator.status().message
    assert not simulator.step()
    canary.live, back = True, simulator.now
    simulator.step()
    assert simulator.status().route == RouteState(split={"main": 90, "canary": 10})
    assert "main gets all requests" not in simulator.status().message
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 2")
    assert simulator.now - back >= 60


def test_a_canary_slice_that_stays_away_misses_the_deadline() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    next(pod for pod in simulator.pods[SERVER] if pod.slice == "canary").live = False
    simulator.run(until=lambda: simulator.status().stage is Stage.ROLLBACK_IN_PROGRESS)
    progress = simulator.status().progress
    assert progress is not None
    assert progress.cause is not None
    assert progress.cause.reason == "DeadlineMissed"


def test_a_rollback_that_cannot_finish_says_so_and_goes_on_trying() -> None:
    simulator = served(simulate(canary=0))
    simulator.faults[model(2).digest] = Reason.LOAD_FAILED
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.ROLLBACK_IN_PROGRESS, "restore")
    silent = simulator.pods[SERVER][-1]
    silent.silent = True
    simulator.run()
    assert simulator.status().stage is Stage.ROLLBACK_FAILED
    assert silent.name in simulator.status().message
    silent.silent = False
    simulator.run()
    assert simulator.status().stage is Stage.ROLLBACK_COMPLETE
    assert simulator.status().failed is not None


def failed_rollback() -> Simulator:
    """A revision that is taken back, and a canary pod that nobody can reach while that is done."""
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    simulator.want(SCORER, deployment(model(1), STEPS))
    simulator.run_to(Stage.ROLLBACK_IN_PROGRESS, "restore")
    canary(simulator).silent = True
    simulator.run_to(Stage.ROLLBACK_FAILED)
    return simulator


def canary(simulator: Simulator) -> SimulatedPod:
    """The canary slice's only pod."""
    (found,) = (pod for pod in simulator.pods[SERVER] if pod.slice == "canary")
    return found


def test_a_rollback_that_failed_goes_on_trying() -> None:
    simulator = failed_rollback()
    canary(simulator).silent = False
    simulator.run()
    assert (simulator.status().stage, simulator.status().route) == (Stage.ROLLBACK_COMPLETE, RouteState())


def test_a_newer_revision_does_not_wait_for_a_rollback_that_failed() -> None:
    simulator = failed_rollback()
    simulator.want(SCORER, deployment(model(3), STEPS))
    simulator.run_to(Stage.ASSET_PREPARATION, "stage")
    assert simulator.status().candidate == model(3)
    assert simulator.reached[SCORER].slices == ("main",)  # what the canary slice serves is not known
    canary(simulator).silent = False
    simulator.run()
    assert simulator.status().current == model(3)


def test_a_newer_revision_waits_while_requests_may_reach_what_is_taken_back() -> None:
    simulator = served(simulate())
    simulator.want(SCORER, deployment(model(2), STEPS))
    simulator.run_to(Stage.TRAFFIC_ROUTING, "weight 1")
    simulator.routes_held = True
    simulator.want(SCORER, deployment(model(3), STEPS))
    simulator.run_to(Stage.ROLLBACK_FAILED, "traffic")
    simulator.run()
    assert simulator.status().candidate == model(2)
    simulator.routes_held = False
    simulator.take_routes()
    simulator.run()
    assert simulator.status().current == model(3)
