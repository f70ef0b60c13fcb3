"""A pod on this machine: a directory, four ports, a server and its sidecar. What the kubelet does for one pod. I/O.

A sidecar that does not answer is unknown: that is no reason to touch the server or to change the pod's readiness. A
server that ended makes the pod unready at once, and it is started again only when the sidecar has noticed: until then
the sidecar may still say that models are served which the new server does not have.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shutil import rmtree

import aiohttp
import msgspec
from msgspec.structs import replace

from agent.local import files, triton_wheel
from agent.local.container import Container
from agent.local.desired import Slice, Template
from agent.local.ports import Pool, is_free
from agent.local.process import Process, Program
from agent.local.programs import Place, Ports, Programs
from agent.status.cluster import PodState
from schemas.report import SidecarReport

log = logging.getLogger(__name__)

_PROBE = 0.12  # seconds between two looks at readiness
_LIVENESS = 4  # every how many of those liveness is looked at
_NOTICE = 3.0  # seconds that a server's restart waits for the sidecar to notice its end
_DOUBT = 30.0  # seconds after which a sidecar that noticed nothing is believed nevertheless
_FORGIVING = 10.0  # seconds that a sidecar which was started anew may take until it finds a ready pod ready
_STARTUP = 300.0  # seconds that a server may take until it is live for the first time
_ANSWER = aiohttp.ClientTimeout(total=2.0)
_SERVER_ENDS, _SIDECAR_ENDS = 15.0, 10.0  # seconds


class Identity(msgspec.Struct, frozen=True):
    """What a pod is for as long as it exists. `deployment`: the slice it belongs to."""

    namespace: str
    deployment: str
    server: str
    slice: str
    name: str
    template: Template

    @classmethod
    def of(cls, wanted: Slice, name: str) -> "Identity":
        """The pod `name` of a slice."""
        return cls(wanted.namespace, wanted.name, wanted.server, wanted.slice, name, wanted.template)


def memory_name(directory: Path) -> str:
    """With what the names of all files begin that the server of the pod in `directory` keeps in /dev/shm."""
    return f"fresco-{sha256(str(directory).encode()).hexdigest()[:12]}-"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What pods need of the node.

    `pool`: free ports. `changed`: called when what a pod tells has changed.
    `drained`: waits until the gateway sends nothing more to pods that are not ready.
    """

    programs: Programs
    http: aiohttp.ClientSession
    pool: Pool
    changed: Callable[[], None]
    drained: Callable[[], Awaitable[object]]


class Pod:
    """One pod. `stopping`: it was told to go, and is not to get requests."""

    def __init__(self, identity: Identity, directory: Path, around: Surroundings) -> None:
        """Makes the pod in `directory`, or finds it there with its processes if they still run."""
        self.identity = identity
        self.stopping = False
        self._around = around
        self._directory = directory
        # A server refuses to start without the directory that it is to read models from.
        (directory / "models" / "repository").mkdir(parents=True, exist_ok=True)
        files.put(directory / "pod.json", msgspec.json.encode(identity))
        self._ports = self._remembered_ports() or self._choose_ports()
        self._tasks: list[asyncio.Task[None]] = []
        self._answered = asyncio.Event()  # the sidecar answers
        self._noticed = True  # the sidecar knows that the server before the present one has ended
        self._server = self._container("server", self._before_server, self._server_ended)
        self._sidecar = self._container("model-sync", self._before_sidecar, self._sidecar_ended)
        self._live: bool | None = None
        self._was_live = False  # since its start
        self._ready = self._ready_mark.exists()
        self._forgiving_until = 0.0
        if self._ready and not self._server.running:
            self._server_ended()
        if not self._sidecar.running:
            self._sidecar_ended()

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.identity.namespace}/{self.identity.name}"

    @property
    def labels(self) -> Mapping[str, str]:
        """By which Services select it."""
        return self.identity.template.labels

    @property
    def ready(self) -> bool:
        """Whether it is to get requests."""
        return self._ready and not self.stopping

    @property
    def processes(self) -> list[Process]:
        """Those that run."""
        containers = (self._server, self._sidecar)
        return [container.process for container in containers if container.process and container.running]

    def port(self, name: str) -> int | None:
        """The port of this name: `http`, `grpc`, `metrics` or `report`."""
        return getattr(self._ports, name, None)

    def state(self) -> PodState:
        """It, as the agent wants to know it."""
        return PodState(
            namespace=self.identity.namespace,
            server=self.identity.server,
            slice=self.identity.slice,
            name=self.identity.name,
            report=f"127.0.0.1:{self._ports.report}",
            live=self._live,
            ready=self.ready,
            template=self.identity.template.hash,
        )

    def mount(self, config: Mapping[str, str]) -> bool:
        """Puts the files of its ConfigMap in place, all in one step. Returns whether that changed anything."""
        return files.swap(self._directory / "config", dict(config))

    def start(self, done: Callable[[asyncio.Task[None]], None]) -> None:
        """Lets it run. Its config must be mounted. `done` is called with each of its tasks that ends."""
        if not self._tasks:
            steps = (self._sidecar.run(), self._server.run(), self._probe())
            self._tasks = [asyncio.create_task(step) for step in steps]
            for task in self._tasks:
                task.add_done_callback(done)

    async def stop(self) -> None:
        """Ends the server, then the sidecar. Leaves the directory."""
        self.stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop(patience=_SERVER_ENDS)
        await self._sidecar.stop(patience=_SIDECAR_ENDS)
        triton_wheel.clean_shared_memory(self._memory)

    def remove(self) -> None:
        """Removes its directory, models and all. To be called when it has been stopped."""
        rmtree(self._directory, ignore_errors=True)

    # ---- containers

    def _container(self, name: str, prepare: Callable[[], Awaitable[Program]], ended: Callable[[], None]) -> Container:
        return Container(record=self._directory / f"{name}.json", prepare=prepare, ended=ended)

    async def _before_sidecar(self) -> Program:
        self._renew_ports("report")
        return self._around.programs.sidecar(self.identity.template.sidecar, self._place, self._fields)

    async def _before_server(self) -> Program:
        """The sidecar is first, as in a pod."""
        await self._answered.wait()
        await self._wait_for_notice()
        triton_wheel.clean_shared_memory(self._memory)
        if self._renew_ports("http", "grpc", "metrics"):
            self._sidecar.kill()  # it was told the old ones
        return self._around.programs.server(self.identity.template.server, self._place, self._fields)

    async def _wait_for_notice(self) -> None:
        """Until the sidecar has noticed that the last server has ended, if it does so in time.

        One that missed it would go on with what it knew of that server: that it serves a model, or that it hangs.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NOTICE):
                while not self._noticed:
                    self._noticed = await self._reports_no_server()
                    await asyncio.sleep(0.05)

    async def _reports_no_server(self) -> bool:
        url = f"http://127.0.0.1:{self._ports.report}/v1/status"
        try:
            async with self._around.http.get(url, timeout=_ANSWER) as answer:
                return not msgspec.json.decode(await answer.read(), type=SidecarReport).server.live
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError):
            return False

    def _server_ended(self) -> None:
        if not self.stopping:
            log.warning("server of pod %s has ended", self.key)
        self._was_live = False
        if self._sidecar.running:
            self._noticed = False
        self._set(live=False, ready=False)

    def _sidecar_ended(self) -> None:
        """The next one knows nothing that could be wrong by now, nor at once what it has to know to say: ready."""
        self._noticed = True
        self._forgiving_until = asyncio.get_running_loop().time() + _FORGIVING
        self._set(live=None if self._server.running else False, ready=self._ready)

    @property
    def _place(self) -> Place:
        return Place(self._directory, self._ports, self._memory)

    @property
    def _memory(self) -> str:
        """Of this pod alone, whatever else runs on this machine."""
        return memory_name(self._directory)

    @property
    def _fields(self) -> dict[str, str]:
        return {"metadata.name": self.identity.name, "metadata.namespace": self.identity.namespace}

    def _remembered_ports(self) -> Ports | None:
        known = files.get_json(self._directory / "ports.json")
        if known is not None:
            self._around.pool.keep(*known.values())
        return msgspec.convert(known, Ports | None)

    def _choose_ports(self) -> Ports:
        return self._keep_ports(Ports(*self._around.pool.take(len(Ports.__struct_fields__))))

    def _keep_ports(self, chosen: Ports) -> Ports:
        files.put(self._directory / "ports.json", msgspec.json.encode(chosen))
        return chosen

    def _renew_ports(self, *names: str) -> bool:
        """Takes others for these ports when another program has taken one of them. Returns whether it did."""
        if all(is_free(getattr(self._ports, name)) for name in names):
            return False
        log.warning("another program has taken a port of pod %s: it gets others", self.key)
        fresh = dict(zip(names, self._around.pool.take(len(names)), strict=True))
        self._ports = self._keep_ports(replace(self._ports, **fresh))
        self._around.changed()
        return True

    # ---- probes

    async def _probe(self) -> None:
        turn = 0
        while True:
            if self._sidecar.running:
                self._hear_readiness(await self._ask("/readyz"))
                if turn % _LIVENESS == 0:
                    await self._hear_liveness(await self._ask("/livez"))
            turn += 1
            await asyncio.sleep(_PROBE)

    async def _ask(self, path: str) -> bool | None:
        """The sidecar's answer, or None when there is none, or when the server has ended meanwhile."""
        server = self._server.process
        try:
            async with self._around.http.get(f"http://127.0.0.1:{self._ports.report}{path}", timeout=_ANSWER) as answer:
                good = answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        self._answered.set()
        return good if self._server.process is server else None

    def _hear_readiness(self, ready: bool | None) -> None:
        if not self._server.running:
            return
        if ready is False:
            self._noticed = True
        if ready is None:
            self._set(live=None, ready=self._ready)
        elif ready:
            self._forgiving_until = 0.0
            self._set(live=self._live, ready=self._noticed or self._server.age > _DOUBT)
        elif not self._ready or asyncio.get_running_loop().time() > self._forgiving_until:
            self._set(live=self._live, ready=False)

    async def _hear_liveness(self, live: bool | None) -> None:
        if not self._server.running:
            return
        self._was_live = self._was_live or live is True
        if live is False and (self._was_live or self._server.age > _STARTUP):
            await self._kill_server()
        else:
            self._set(live=live or None, ready=self._ready)

    async def _kill_server(self) -> None:
        """Out of traffic first, then killed: what a liveness probe that fails means."""
        log.warning("server of pod %s is not live any more: it is killed and started again", self.key)
        self._set(live=False, ready=False)
        await self._around.drained()
        self._server.kill()

    @property
    def _ready_mark(self) -> Path:
        """There while the pod is ready, so that the next node knows."""
        return self._directory / "ready"

    def _set(self, *, live: bool | None, ready: bool) -> None:
        if (live, ready) == (self._live, self._ready):
            return
        self._live, self._ready = live, ready
        self._ready_mark.touch() if ready else self._ready_mark.unlink(missing_ok=True)
        self._around.changed()
