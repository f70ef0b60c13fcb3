"""A few faults of every kind, drawn by a seed that is printed; `make soak` tries all. And two agents at once."""

import os
import random
import signal
from collections.abc import Iterator

import pytest

from schemas.status import Stage
from tests.e2e import faults, processes
from tests.e2e.faults import Trial
from tests.e2e.requests_seen import RequestsSeen
from tests.e2e.seed import SEED
from tests.e2e.world import SUBJECT, World, world


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One Fresco whose loads have time enough for a server that is stopped meanwhile."""
    with world(tmp_path_factory.mktemp("faults"), load_deadline="5m") as made:
        yield made


@pytest.mark.parametrize("trial", faults.sample(SEED), ids=str)
def test_a_fault(subject: World, trial: Trial) -> None:
    faults.suffer(subject, trial, random.Random(SEED))


def test_a_server_that_hangs_gets_no_more_requests_once_that_is_seen(subject: World) -> None:
    fresco = subject.fresco
    pod = fresco.pods("main")[0]
    server = fresco.until_pid(lambda: fresco.pid_in_pod(pod, "server"))
    with RequestsSeen(fresco) as seen, faults.stopped(server):
        with subject.server_hangs():
            fresco.until(lambda: pod in fresco.unready(), "the pod is not ready")
        subject.answers_go_on()
        fresco.until(lambda: pod in seen.unready, "it is known to be")
        subject.answers_go_on()
    assert seen.by_unready_pods() == {}
    fresco.until(fresco.is_settled, "it is ready again")
    assert fresco.pid_in_pod(pod, "server") == server


def test_an_agent_that_wakes_up_beside_a_newer_one_writes_nothing_more(subject: World) -> None:
    fresco = subject.fresco
    old = fresco.until_pid(fresco.pid_of_agent)
    subject.load.expect(subject.good.revision, "by-another", "after-both")
    with faults.stopped(old), fresco.another_agent():
        fresco.deploy(SUBJECT, fresco.model("by-another"))
        fresco.until(lambda: "by-another" in _candidate(subject), "the newer one takes it up")
        os.kill(old, signal.SIGCONT)
        fresco.until_stage(SUBJECT, Stage.ROLLOUT_COMPLETE, "by-another")
        fresco.until(lambda: "leader" in fresco.live().get("troubles", {}), "the old one says that it is deposed")
    processes.kill(old)
    fresco.until_pid(fresco.pid_of_agent, other_than=old)
    fresco.deploy(SUBJECT, model := fresco.model("after-both"))
    fresco.until_stage(SUBJECT, Stage.ROLLOUT_COMPLETE, "after-both")
    subject.settle(model)


def _candidate(world: World) -> str:
    candidate = world.status().candidate
    return candidate.revision if candidate is not None else ""
