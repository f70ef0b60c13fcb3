"""What the agent asks of its process."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent.status import process

_LIMITS = "import resource; from agent.status import process; process.raise_open_files(); "
_LIMITS += "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"


def test_as_many_files_may_be_open_as_the_machine_allows() -> None:
    command = ["bash", "-c", 'ulimit -Sn 256; ulimit -Hn 300; exec "$@"', "-", sys.executable, "-c", _LIMITS]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "300 300\n"


@pytest.fixture
def usual() -> Iterator[tuple[int, int, int]]:
    """The collector as it was."""
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)
    gc.unfreeze()


async def test_the_collector_rests_while_all_is_read_and_looks_at_what_is_new_after(
    usual: tuple[int, int, int],
) -> None:
    settled = asyncio.Event()
    sparing = asyncio.create_task(process.spare_collector(settled))
    await asyncio.sleep(0)
    assert gc.get_threshold()[2] > usual[2]
    assert gc.get_freeze_count() == 0
    reading = gc.get_threshold()[2]
    settled.set()
    await sparing
    assert gc.get_freeze_count() > 0
    assert usual[2] < gc.get_threshold()[2] < reading
