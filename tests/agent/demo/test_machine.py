"""What the demo leaves behind is seen, and what others do is not."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.demo import models
from agent.demo.machine import AgentFailed, Machine
from agent.demo.run import EXAMPLES
from agent.local.pods import memory_name


@contextmanager
def running(environment: dict[str, str]) -> Iterator[int]:
    """A process for as long as the block lasts."""
    process = subprocess.Popen(["tail", "-f", "/dev/null"], env={**os.environ, **environment})
    try:
        while not Path(f"/proc/{process.pid}/environ").read_bytes():
            time.sleep(0.001)  # Popen returns a moment before the kernel has put them there
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_a_process_of_this_demo_is_seen(tmp_path: Path) -> None:
    """And one of another is none of its business."""
    machine = Machine(tmp_path)
    assert machine.left_behind() == []
    with running({"FRESCO_DEMO": str(tmp_path)}) as pid:
        assert machine.left_behind() == [f"process {pid}: tail -f /dev/null "]
    with running({"FRESCO_DEMO": str(tmp_path / "another")}):
        assert machine.left_behind() == []


def test_shared_memory_of_its_servers_is_seen(tmp_path: Path) -> None:
    """By the name that the node gives it."""
    machine, pod = Machine(tmp_path), tmp_path / "local" / "node" / "pods" / "cpu-a-main-0"
    pod.mkdir(parents=True)
    left = Path(f"/dev/shm/{memory_name(pod)}demo-test")
    left.touch()
    try:
        assert machine.left_behind() == [str(left)]
    finally:
        left.unlink()


async def test_an_agent_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The repository is empty: there is no such cluster."""
    async with Machine(tmp_path) as machine:
        (tmp_path / "local").write_text("a file where its directory should be")
        with pytest.raises(AgentFailed, match="fresco-agent local has ended"):
            await machine.start(cluster="local")


async def test_all_revisions_of_the_examples_are_published(tmp_path: Path) -> None:
    """Each with a digest of its own."""
    artifacts = await models.publish(EXAMPLES / "models" / "scorer", tmp_path / "storage")
    assert list(artifacts) == ["1", "2", "3", "4"]
    assert len({artifact.digest for artifact in artifacts.values()}) == 4
    assert all(artifact.uri.startswith("file:///") for artifact in artifacts.values())
