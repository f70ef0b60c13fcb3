"""The node of local mode: what kubelet, controllers and gateway are in a cluster, as one program.

    python -m agent.local.node --data DIR --repository PATH [--port PORT] [--parent-stdin]

It follows the commits it is told of (`api`), reads their manifests from the clone at PATH and keeps servers, sidecars
and Envoy as they ask. Killed at any moment, all of these run on, and the next node on DIR finds them and takes over.
SIGTERM, SIGINT and, with --parent-stdin, the end of its input end everything; DIR stays.
"""

import argparse
import asyncio
import fcntl
import logging
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import aiohttp
from aiohttp import web

from agent.local import api, files
from agent.local.board import Board
from agent.local.committed import Committed
from agent.local.desired import Desired, ManifestInvalid
from agent.local.ending import told_to_end
from agent.local.fleet import Fleet
from agent.local.gateway import Gateway, Plan, PortTaken
from agent.local.pods import Surroundings
from agent.local.ports import NoFreePort, Pool, is_free
from agent.local.ports import number as port_number
from agent.local.process import sweep
from agent.local.programs import Programs
from agent.local.triton_wheel import WheelUnusable
from agent.status.cluster import ClusterState
from agent.status.local_cluster import ADDRESSES
from render.errors import NotFound

log = logging.getLogger(__name__)

_APPLIED = "applied.json"
_PREDECESSOR = 60.0  # seconds that an earlier node may take to end


class Busy(Exception):
    """Another node works in this data directory."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`data`: the node's directory. `repository`: the clone. `port`: where the gateway listens, None for any."""

    data: Path
    repository: Path
    port: int | None = None


class Node:
    """All parts, connected. To be made where an event loop runs."""

    def __init__(self, settings: Settings, http: aiohttp.ClientSession) -> None:
        """Takes over what an earlier node left running. Raises PortTaken, WheelUnusable."""
        data, pool = settings.data, Pool()
        self.board = Board(seq=time.time_ns() // 1_000_000)
        self._data = data
        self._refresh_due = False
        self._one_at_a_time = asyncio.Lock()
        self._committed = Committed(settings.repository)
        self._desired = Desired()
        self._applied: str | None = None
        programs = Programs(data / "backends")
        self.gateway = Gateway(data / "gateway", http, port=settings.port, pool=pool, changed=self._changed)
        around = Surroundings(programs, http, pool, self._changed, self.gateway.settled)
        self._fleet = Fleet(data / "pods", around, self._changed)
        self.api_port = _api_port(data, pool)
        self._sweep()

    async def run(self) -> None:
        """Works until cancelled. Everything runs on then, see `stop`."""
        await self._resume()
        self._fleet.resume()
        async with _serving(api.application(self.board, self.apply), self.api_port):
            addresses = {"api": f"127.0.0.1:{self.api_port}", "gateway": self.gateway.address}
            files.put_json(self._data / ADDRESSES, addresses)
            log.info("the gateway listens on http://%s", self.gateway.address)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.gateway.run())
                group.create_task(self._watch_fleet())

    async def _watch_fleet(self) -> None:
        await self._fleet.failed

    async def stop(self) -> None:
        """Ends all that was started."""
        await asyncio.gather(self.gateway.stop(), self._fleet.stop())

    async def apply(self, commit: str) -> None:
        """Takes over the manifests of `commit`. Raises NotFound, ManifestInvalid; then nothing has changed."""
        async with self._one_at_a_time:
            if commit == self._applied:
                return
            self._take_over(await asyncio.to_thread(self._committed.desired, commit))
            self._applied = commit
            files.put_json(self._data / _APPLIED, {"commit": commit})
            self._changed()

    def _take_over(self, desired: Desired) -> None:
        """Configs first: they are what is waited for, and pods need theirs before they start."""
        self._desired = desired
        self._fleet.mount(desired.configs)
        self._fleet.apply(desired)
        self.gateway.set_endpoints(self._fleet.endpoints(desired.services))
        self.gateway.apply(Plan(desired.services, desired.routes))

    async def _resume(self) -> None:
        """Takes over again what was applied last. Without it everything that runs is left as it is."""
        known = files.get_json(self._data / _APPLIED)
        if known is None:
            return
        try:
            await self.apply(known["commit"])
        except (NotFound, ManifestInvalid):
            log.exception("cannot read again what was applied last; all that runs is left as it is")

    def _changed(self) -> None:
        """Something differs: told to the gateway and to those who wait, once for all that happens at the same time."""
        if not self._refresh_due:
            self._refresh_due = True
            asyncio.get_running_loop().call_soon(self._refresh)

    def _refresh(self) -> None:
        self._refresh_due = False
        if self._applied is None:
            return
        self.gateway.set_endpoints(self._fleet.endpoints(self._desired.services))
        self._fleet.reconcile()
        self.board.publish(self._state())

    def _state(self) -> ClusterState:
        live = self.gateway.live
        pods = sorted(self._fleet.pods.values(), key=lambda pod: pod.key)
        routes = {f"HTTPRoute/{key}": route.content for key, route in live.items()}
        others = {key: value for key, value in self._desired.objects.items() if not key.startswith("HTTPRoute/")}
        return ClusterState(
            seq=0,
            applied=self._applied,
            objects={**others, **routes},
            routes=dict(live),
            pods=tuple(pod.state() for pod in pods),
        )

    def _sweep(self) -> None:
        found = [*self._fleet.processes, *([self.gateway.process] if self.gateway.process else [])]
        lost = sweep(self._data, spare=found)
        log.info("took over %d processes, ended %d that were lost", len(found), lost)


def _api_port(data: Path, pool: Pool) -> int:
    """That of the last time if it can be had: who waits for this node finds it there."""
    known = files.get_json(data / ADDRESSES)
    port = int(known["api"].rpartition(":")[2]) if known else None
    return port if port is not None and is_free(port) else pool.take(1)[0]


@asynccontextmanager
async def _serving(application: web.Application, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def _lock(lock: TextIO, data: Path) -> None:
    """Only one node at a time works in a data directory. One that is about to end is waited for. Raises Busy."""
    loop = asyncio.get_running_loop()
    last = loop.time() + _PREDECESSOR
    while not _locked(lock):
        if loop.time() > last:
            raise Busy(f"another node works in {data}")
        await asyncio.sleep(0.05)


def _locked(lock: TextIO) -> bool:
    """Takes the lock if it is free. It goes with the process."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def run(settings: Settings, *, parent_stdin: bool) -> None:
    """Runs a node until it is told to end. Raises Busy, PortTaken, WheelUnusable."""
    end = told_to_end(parent_stdin=parent_stdin)
    settings.data.mkdir(parents=True, exist_ok=True)
    with (settings.data / "lock").open("w") as lock:
        await _lock(lock, settings.data)
        async with aiohttp.ClientSession() as http:
            # Even when it was told to end meanwhile: what an earlier node left running has to end.
            await _work(Node(settings, http), end)


async def _work(node: Node, end: asyncio.Future[None]) -> None:
    work = asyncio.create_task(node.run())
    await asyncio.wait([work, end], return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        # A bug. What was started runs on: the next node takes over.
        work.result()
    work.cancel()
    await asyncio.wait([work])
    await node.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns 0 when it was told to end, 2 when it cannot work here, and says why."""
    parser = argparse.ArgumentParser(prog="fresco-local-node", description="The node of Fresco's local mode.")
    parser.add_argument("--data", type=Path, required=True, help="the node's directory")
    parser.add_argument("--repository", type=Path, required=True, help="the clone that commits are read from")
    parser.add_argument(
        "--port", type=port_number, help="where the gateway listens on 127.0.0.1 (default: any free port)"
    )
    parser.add_argument("--parent-stdin", action="store_true", help="end when the standard input ends")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings(given.data.absolute(), given.repository.absolute(), given.port)
        asyncio.run(run(settings, parent_stdin=given.parent_stdin))
    except (Busy, NoFreePort, PortTaken, WheelUnusable) as error:
        print(f"fresco-agent local: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
