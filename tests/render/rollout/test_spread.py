"""How a candidate spreads: over many replicas of which some fail, come, go or are silent, and beside other rollouts."""

import pytest

from schemas.status import SliceName, Stage
from tests.support.simulator import SCORER, SERVER, SimulatedPod, Simulator, deployment, model, policy, server, simulate


def in_main(*, replicas: int, canary: int = 0) -> Simulator:
    """Revision 1 is served by `replicas` pods of main, and revision 2 was committed: main is about to switch."""
    simulator = simulate(main=replicas, canary=canary)
    simulator.want(SCORER, deployment(model(1)))
    simulator.run()
    simulator.want(SCORER, deployment(model(2)))
    return simulator


def pods(simulator: Simulator, name: SliceName = "main") -> list[SimulatedPod]:
    """The pods of a slice."""
    return [pod for pod in simulator.pods[SERVER] if pod.slice == name]


def run_to(simulator: Simulator, step: str) -> None:
    """Runs until the rollout in hand is in that step."""
    simulator.run(until=lambda: simulator._step(simulator.status()) == step)
    assert simulator._step(simulator.status()) == step


def serving(simulator: Simulator, number: int) -> int:
    """How many pods serve that revision."""
    return sum(pod.serving.get("scorer") == model(number).digest for pod in simulator.pods[SERVER])


# ---- some of many fail


@pytest.mark.parametrize(("failing", "stage"), [(2, Stage.ROLLOUT_COMPLETE), (3, Stage.ROLLBACK_COMPLETE)])
def test_a_tenth_of_a_later_wave_may_fail_and_no_more(failing: int, stage: Stage) -> None:
    simulator = in_main(replicas=20)
    run_to(simulator, "main first pod")
    (first,) = simulator.status().slices["main"].first_pods
    for pod in [pod for pod in pods(simulator) if pod.name != first][:failing]:
        pod.refuses = {model(2).digest}
    simulator.run()
    assert simulator.status().stage is stage
    assert serving(simulator, 2) == (20 - failing if stage is Stage.ROLLOUT_COMPLETE else 0)


def test_the_first_pod_may_not_fail_however_many_there_are() -> None:
    simulator = in_main(replicas=20)
    simulator.run_to(Stage.ASSET_PREPARATION)
    for pod in pods(simulator):
        pod.refuses = {model(2).digest}
    simulator.run()
    assert simulator.status().stage is Stage.ROLLBACK_COMPLETE
    failed = simulator.status().failed
    assert failed is not None
    assert failed.reason == "LoadFailed"
    assert serving(simulator, 1) == 20


# ---- replicas come, go and are silent


@pytest.mark.parametrize("step", ["main first pod", "main"])
@pytest.mark.parametrize("replicas", [1, 2, 7])
def test_replicas_that_come_or_go_in_mid_rollout_serve_what_their_slice_is_told(step: str, replicas: int) -> None:
    simulator = in_main(replicas=3)
    run_to(simulator, step)
    simulator.want_server(SERVER, server(main=replicas))
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    assert len(pods(simulator)) == serving(simulator, 2) == replicas


def test_a_replica_that_is_lost_holds_nothing_up_and_its_heir_serves_the_candidate() -> None:
    simulator = in_main(replicas=4)
    run_to(simulator, "main first pod")
    simulator.lose(pods(simulator)[-1])
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    assert len(pods(simulator)) == serving(simulator, 2) == 4


@pytest.mark.parametrize(("dead", "stage"), [(1, Stage.ROLLOUT_COMPLETE), (2, Stage.ROLLBACK_COMPLETE)])
def test_of_four_replicas_one_may_have_no_live_server_and_no_more(dead: int, stage: Stage) -> None:
    simulator = in_main(replicas=4)
    run_to(simulator, "main first pod")
    (first,) = simulator.status().slices["main"].first_pods
    gone = [pod for pod in pods(simulator) if pod.name != first][:dead]
    for pod in gone:
        pod.live = False
    simulator.run(until=lambda: simulator.status().stage in (Stage.ROLLBACK_IN_PROGRESS, Stage.ROLLOUT_COMPLETE))
    for pod in gone:
        pod.live = True
    simulator.run()
    assert simulator.status().stage is stage


def test_a_silent_replica_holds_the_rollout_until_it_is_heard_again() -> None:
    simulator = in_main(replicas=4)
    run_to(simulator, "main first pod")
    silent = pods(simulator)[-1]
    silent.silent = True
    for _ in range(20):
        simulator.step()
    assert simulator._step(simulator.status()) == "main"
    silent.silent = False
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE


# ---- the canary slice changes in mid-rollout


@pytest.mark.parametrize("canary", [1, 4])
@pytest.mark.parametrize("step", ["drain", "canary first pod", "weight 1", "main first pod", "bake"])
def test_a_canary_slice_that_is_resized_in_mid_rollout_goes_on_with_the_steps_it_had(step: str, canary: int) -> None:
    simulator = simulate(main=2, canary=2)
    simulator.want(SCORER, deployment(model(1)))
    simulator.run()
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0), bake=60.0)))
    run_to(simulator, step)
    simulator.want_server(SERVER, server(main=2, canary=canary))
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    expected = ["accepted", "stage", "drain", "canary first pod", "canary", "weight 1"]
    expected += ["main first pod", "main", "bake", "done"]
    assert [one.step for one in simulator.status().transitions] == expected
    assert len(pods(simulator, "canary")) == canary
    assert serving(simulator, 2) == 2 + canary


# ---- beside others


def test_who_began_first_has_the_first_turn_and_the_others_say_whom_they_wait_for() -> None:
    simulator = simulate()
    turns: list[str] = []
    waiting: dict[str, set[str]] = {}

    def watch() -> None:
        for key, one in simulator.tree.deployments.items():
            name = key.removeprefix("fraud/")
            if one.progress is not None and one.progress.step == "canary" and turns[-1:] != [name]:
                turns.append(name)
            if one.message.startswith("waits for") and "which loads" in one.message:
                waiting.setdefault(name, set()).add(one.message)

    simulator.after_commit = watch
    for name in ("zeta", "alpha", "beta"):  # committed one after the other
        simulator.want(f"fraud/{name}", deployment(model(1, name=name), policy(bake=60.0), name=name))
        simulator.step()
        simulator.now += 1.0
    simulator.run()
    assert turns == ["zeta", "alpha", "beta"]
    assert waiting == {
        "alpha": {"waits for zeta, which loads on gpu-a"},
        "beta": {"waits for zeta, which loads on gpu-a", "waits for alpha, which loads on gpu-a"},
    }


def test_a_rollback_waits_for_nobody() -> None:
    simulator = in_main(replicas=2, canary=1)
    simulator.run_to(Stage.RESOURCE_ACQUISITION, "canary")
    simulator.want("fraud/other", deployment(model(7, name="other"), name="other"))
    simulator.want(SCORER, deployment(model(1)))
    simulator.step()
    assert simulator.status().stage is Stage.ROLLBACK_IN_PROGRESS
    simulator.run()
    assert simulator.status().stage is Stage.ROLLBACK_COMPLETE
    assert simulator.status("fraud/other").stage is Stage.ROLLOUT_COMPLETE


# ---- evidence


def test_each_transition_stores_what_was_seen() -> None:
    simulator = in_main(replicas=3, canary=2)
    simulator.run()
    seen = {one.step: one.evidence for one in simulator.status().transitions}
    names = {name: {pod.name for pod in pods(simulator, name)} for name in ("main", "canary")}
    assert seen["accepted"].source == "deployments/scorer.yaml:1"
    assert len(seen["canary"].pods) == 1  # the first one, alone
    assert set(seen["canary"].pods) < names["canary"]
    assert names["canary"] <= set(seen["main first pod"].pods)
    assert set(seen["bake"].pods) == names["main"] | names["canary"]
    assert seen["bake"].digest == model(2).digest
    assert seen["done"].route == simulator.routes[SCORER].content
