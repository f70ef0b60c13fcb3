"""Faults on a server without a canary slice: what happens to the first pod happens to one that has requests.

Two replicas serve, and the first of them tries the candidate while both are on the route.
"""

from collections.abc import Iterator

import pytest

from schemas.report import Reason
from schemas.status import Stage
from tests.e2e import artifacts, processes
from tests.e2e.world import SUBJECT, World, world


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One Fresco without a canary slice for all tests of this module."""
    with world(tmp_path_factory.mktemp("in-place"), canary=0) as made:
        yield made


@pytest.mark.parametrize(
    ("initialize", "reasons"),
    [
        (artifacts.RAISES, {Reason.LOAD_FAILED}),
        (artifacts.KILLS_ITS_SERVER, {Reason.QUARANTINED}),
        (artifacts.HANGS, {Reason.LOAD_TIMED_OUT, Reason.QUARANTINED}),
    ],
    ids=["raises", "kills", "hangs"],
)
def test_a_bad_model_costs_at_most_the_first_pod(subject: World, initialize: str, reasons: set[Reason]) -> None:
    fresco = subject.fresco
    before = {pod: fresco.pid_in_pod(pod, "server") for pod in fresco.pods("main")}
    bad = fresco.model(f"bad-{len(initialize)}", initialize)
    fresco.deploy(SUBJECT, bad)
    subject.check_said(subject.until_refused(bad), bad, reasons)
    fresco.until(fresco.is_settled, "every pod is ready")
    after = {pod: fresco.pid_in_pod(pod, "server") for pod in before}
    assert sum(before[pod] != after[pod] for pod in before) == int(initialize != artifacts.RAISES)


@pytest.mark.parametrize("first", [True, False], ids=["first", "other"])
def test_a_server_killed_in_mid_rollout(subject: World, first: bool) -> None:
    fresco, revision = subject.fresco, f"in-place-{first}"
    subject.load.expect(subject.good.revision, revision)
    fresco.deploy(SUBJECT, model := fresco.model(revision), steps=[{"weight": 10, "soak": "2s"}])
    fresco.until(lambda: subject.load.ledger().revisions[revision] > 0, "an answer of the first pod")
    chosen = subject.status().slices["main"].first_pods
    pod = next(pod for pod in fresco.pods("main") if (pod in chosen) is first)
    processes.kill(fresco.until_pid(lambda: fresco.pid_in_pod(pod, "server")))
    fresco.until_stage(SUBJECT, Stage.ROLLOUT_COMPLETE, revision)
    subject.settle(model)
