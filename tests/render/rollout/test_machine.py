"""The rules under random humans, faults and times. After every step what must always be true is checked."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.report import Reason
from schemas.resources import Strategy
from schemas.status import DeploymentStatus, ModelRevision, Role, RolloutPolicy, SliceName, Stage
from tests.support.simulator import SCORER, SERVER, Simulator, deployment, model, policy, simulate

POLICIES = (
    policy(),
    policy((10, 60.0), (50, 120.0), bake=600.0),
    policy((100, 30.0)),
    policy(strategy=Strategy.EMERGENCY),
)
FINAL = (Stage.ROLLOUT_COMPLETE, Stage.ROLLBACK_COMPLETE)
REVISIONS = st.integers(1, 4)


class Humans(RuleBasedStateMachine):
    """Commits, reverts, deletions, pauses; pods that fall silent, stay busy or fail; time that goes by."""

    simulator: Simulator
    before: DeploymentStatus | None = None

    @initialize(canary=st.integers(0, 2), main=st.integers(1, 3))
    def start(self, canary: int, main: int) -> None:
        self.simulator = simulate(main=main, canary=canary)
        self.simulator.after_commit = self.check

    @rule(number=REVISIONS, how=st.sampled_from(POLICIES), attempt=st.integers(0, 1))
    def commit(self, number: int, how: RolloutPolicy, attempt: int) -> None:
        self.simulator.want(SCORER, deployment(model(number, attempt=attempt), how))

    @rule()
    def delete(self) -> None:
        self.simulator.want(SCORER, None)

    @rule(number=REVISIONS, reason=st.sampled_from([Reason.LOAD_FAILED, Reason.DIGEST_MISMATCH, Reason.QUARANTINED]))
    def fail(self, number: int, reason: Reason) -> None:
        current = self._current()
        if current is None or current.digest != model(number).digest:  # what serves keeps serving
            self.simulator.faults[model(number).digest] = reason

    @rule()
    def heal(self) -> None:
        self.simulator.faults.clear()

    @precondition(lambda self: self.simulator.pods.get(SERVER))
    @rule(pick=st.integers(0, 9), silent=st.booleans(), busy=st.booleans())
    def pod(self, pick: int, silent: bool, busy: bool) -> None:
        pods = self.simulator.pods[SERVER]
        pods[pick % len(pods)].silent, pods[pick % len(pods)].busy = silent, busy

    @rule(times=st.integers(1, 5))
    def look(self, times: int) -> None:
        for _ in range(times):
            self.simulator.step()

    @rule(seconds=st.sampled_from([0.1, 1.0, 30.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.simulator.now += seconds
        self.simulator.step()

    @rule()
    def settle(self) -> None:
        """Without faults and news everything comes to an end."""
        self.simulator.faults.clear()
        for pod in self.simulator.pods.get(SERVER, []):
            pod.silent = pod.busy = False
        self.simulator.run()
        status = self.simulator.tree.deployments.get(SCORER)
        assert status is None or (status.stage in FINAL and status.progress is None), status

    @invariant()
    def is_deterministic(self) -> None:
        """Looking again at the same changes nothing."""
        if hasattr(self, "simulator") and not self.simulator.step():
            assert not self.simulator.step()

    def check(self) -> None:
        status = self.simulator.tree.deployments.get(SCORER)
        before, self.before = self.before, status
        if status is None:
            return
        self._current_is_not_lost(before, status)
        self._routed_slices_serve(status)
        self._one_pod_first(before, status)

    def _current_is_not_lost(self, before: DeploymentStatus | None, status: DeploymentStatus) -> None:
        if before is None or before.current is None or status.current is None:
            assert before is None or before.current is None
            return
        allowed = {before.current.digest, before.candidate.digest if before.candidate else None}
        assert status.current.digest in allowed

    def _routed_slices_serve(self, status: DeploymentStatus) -> None:
        """A slice that the route sends requests to is told to serve, and its pods have proven a revision."""
        for name in self._routed(status):
            assert status.slices[name].serve is not None
        allowed = {one.digest for one in (status.current, status.candidate) if one is not None}
        for pod in self.simulator.pods.get(SERVER, []):
            if pod.slice in self._routed(status) and not pod.silent and "scorer" in pod.serving:
                assert pod.serving["scorer"] in allowed

    def _one_pod_first(self, before: DeploymentStatus | None, status: DeploymentStatus) -> None:
        """Nobody but the first pod of its slice serves a candidate that was not proven there, emergencies apart."""
        emergency = status.rollout is not None and status.rollout.strategy is Strategy.EMERGENCY
        if emergency or before is None or status.candidate is None or before.candidate != status.candidate:
            return
        for name, state in status.slices.items():
            was = before.slices.get(name)
            alone = status.progress is not None and name == "canary" and status.progress.slices[name] == 1
            if not alone and state.serve is Role.CANDIDATE and (was is None or was.serve is not Role.CANDIDATE):
                assert was is not None
                assert len(was.first_pods) == 1

    def _routed(self, status: DeploymentStatus) -> list[SliceName]:
        if status.route is None:
            return []
        if status.route.split is None:
            return list(status.slices)
        return [name for name, weight in status.route.split.items() if weight]

    def _current(self) -> ModelRevision | None:
        status = self.simulator.tree.deployments.get(SCORER)
        return status.current if status else None


TestHumans = Humans.TestCase
TestHumans.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
