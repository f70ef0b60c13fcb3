"""Full disks under a running Fresco: it is said whose, nothing that serves is touched, and all goes on by itself."""

from collections.abc import Iterator

import pytest

from schemas.report import Reason
from schemas.status import Stage
from tests.e2e import processes, repository
from tests.e2e.world import SUBJECT, World, world
from tests.support.git import git
from tests.support.small_disk import SmallDisk, limit_of_size, small_disk


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """What the agent keeps its clone on."""
    with small_disk(tmp_path_factory.mktemp("disk") / "agent", megabytes=8) as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, disk: SmallDisk) -> Iterator[World]:
    """One Fresco whose agent has a small disk."""
    with world(tmp_path_factory.mktemp("fresco"), agent_disk=disk) as made:
        yield made


def test_a_model_cache_without_room_holds_the_rollout(subject: World) -> None:
    fresco = subject.fresco
    (canary,) = fresco.pods("canary")
    cache = limit_of_size(fresco.data)
    cache.fill(*fresco.pids_of_sidecar(canary))
    subject.load.expect(subject.good.revision, "after-a-full-cache")
    fresco.deploy(SUBJECT, model := fresco.model("after-a-full-cache"))
    fresco.until(lambda: _error_of(subject, canary) == Reason.INSUFFICIENT_DISK, "the live page names pod and disk")
    assert subject.status().stage is Stage.ASSET_PREPARATION
    subject.answers_go_on()
    cache.free()
    fresco.until_stage(SUBJECT, Stage.ROLLOUT_COMPLETE, "after-a-full-cache")
    subject.settle(model)


def test_a_clone_without_room_holds_everything_and_loses_nothing(subject: World, disk: SmallDisk) -> None:
    fresco, tip = subject.fresco, subject.fresco.tip()
    agent = fresco.until_pid(fresco.pid_of_agent)
    disk.fill(agent)
    subject.load.expect(subject.good.revision, "after-a-full-disk")
    fresco.deploy(SUBJECT, model := fresco.model("after-a-full-disk"))
    fresco.until(lambda: _is_said(subject, times=1), "the agent says that its disk is full")
    assert fresco.tip() == tip
    processes.kill(agent)
    again = fresco.until_pid(fresco.pid_of_agent, other_than=agent)
    if disk.is_mounted:
        fresco.until(lambda: _is_said(subject, times=2), "the next one says so, too")
        assert fresco.tip() == tip
    disk.free()
    fresco.until_stage(SUBJECT, Stage.ROLLOUT_COMPLETE, "after-a-full-disk")
    subject.settle(model)
    assert fresco.pid_of_agent() == again
    git("fsck", "--full", "--strict", cwd=fresco.bare)


def _is_said(world: World, *, times: int) -> bool:
    """An agent without room for its port's number tells it in its log, one without room for its log by its port."""
    told = world.fresco.log().count("clone: cannot write to")
    return told >= times or "cannot write to" in world.fresco.live().get("troubles", {}).get("clone", "")


def _error_of(world: World, pod: str) -> str | None:
    """What the live page says that a pod holds against the subject's candidate."""
    deployment = world.fresco.live().get("deployments", {}).get(f"{repository.NAMESPACE}/{SUBJECT}", {})
    model = deployment.get("pods", {}).get(pod)
    return model.get("error", {}).get("reason") if isinstance(model, dict) else None
