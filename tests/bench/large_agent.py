"""The agent that `size` measures: the real one, in a process of its own, on a cluster where nothing happens by itself.

python -m tests.bench.large_agent <directory> <url of the repository>

The directory has `cluster.json`, the state that the cluster tells. All else is real: git over HTTP, and an open poll of
every pod's report. It answers in lines of JSON: when it has seen everything and its branch is in order, and after each
line that it is sent. `refresh`: somebody says that main has moved. `memory`: what the process takes.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec

from agent.status import process, reports
from agent.status.cluster import ClusterState, Lease
from agent.status.loop import Agent
from agent.status.settings import Settings
from tests.support.fleet import CLUSTER


class StillCluster:
    """A `Cluster` that takes over each commit at once and changes nothing else."""

    def __init__(self, state: ClusterState) -> None:
        self._state = state
        self._moved = asyncio.Event()

    async def apply(self, commit: str) -> None:
        """As the Protocol says."""
        self._state = msgspec.structs.replace(self._state, seq=self._state.seq + 1, applied=commit)
        self._moved.set()

    async def watch(self) -> AsyncIterator[ClusterState]:
        """As the Protocol says."""
        while True:
            self._moved.clear()
            yield self._state
            await self._moved.wait()

    async def nudge(self, pods: Iterable[str]) -> None:
        """Nothing to do."""

    async def lease(self) -> Lease:
        """Held until now: there is no gap to record."""
        return Lease(last_renewal=time.time())

    async def renew(self, now: float) -> None:
        """Nothing to do."""


async def main(directory: Path, url: str) -> None:
    """Works until standard input ends. Raises what the agent raises."""
    state = msgspec.json.decode((directory / "cluster.json").read_bytes(), type=ClusterState)
    settings = Settings(repository=url, cluster=CLUSTER, data=directory / "agent", poll=3600.0)
    async with reports.session() as http:
        agent = Agent(settings=settings, cluster=StillCluster(state), http=http, clock=time.time)
        start = time.perf_counter()
        running = asyncio.create_task(agent.run())
        sparing = asyncio.create_task(process.spare_collector(agent.settled))  # as the program does
        await asyncio.wait({running, sparing}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        _say({"seconds": time.perf_counter() - start, **memory()})
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip() == "refresh":
                agent.refresh()
            _say(memory())
        running.cancel()
        await asyncio.wait({running})


def memory() -> dict[str, int]:
    """Bytes that this process has in memory now, and had at most."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    return {name: int(lines[field].split()[0]) * 1024 for name, field in (("now", "VmRSS"), ("most", "VmHWM"))}


def _say(what: dict[str, float] | dict[str, int]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
