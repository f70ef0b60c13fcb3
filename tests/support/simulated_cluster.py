"""A cluster in memory behind the real Protocol: it applies real commits, and its pods answer real HTTP.

Only the inference servers and the kubelet are played: each pod 'downloads' and 'loads' what the rendered model config
of its slice says, as its digest's `Fate` will have it, and reports it as model-sync does.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from aiohttp import web

from agent.status.cluster import ClusterState, Lease, PodState, RouteLive
from render.repository import Repository
from schemas import report
from schemas.model_config import ConfigEntry, ConfigRevision, ModelConfig, entry_hash, wanted
from schemas.report import ModelReport, ModelState, Reason, ReportError, SidecarReport

CONTENT: Final = "serving.fresco.dev/content"
_boots = itertools.count(0x5F3C9A10)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a revision on the pods. `stage` and `load`: the reason of a certain failure, None for none."""

    stage: Reason | None = None
    load: Reason | None = None
    stage_seconds: float = 0.0
    load_seconds: float = 0.0
    hangs: bool = False


class SimulatedPod:
    """A pod: its sidecar's report on a real port, and a server that always does what its models' fates say."""

    def __init__(self, *, namespace: str, server: str, slice_: str, name: str, fates: dict[str, Fate]) -> None:
        self.namespace, self.server, self.slice, self.name = namespace, server, slice_, name
        self.ready = False
        self.live = True
        self.models: dict[str, ModelReport] = {}
        self.served: list[tuple[str, str | None]] = []
        self.overridden: bytes | None = None
        self._config: ModelConfig | None = None
        self._fates = fates
        self._boot = f"{next(_boots):08x}"
        self._sequence = 0
        self._moved = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        application = web.Application()
        application.router.add_get("/v1/status", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        self.port = 0

    async def start(self) -> None:
        """Begins to answer."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stops answering and working."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await self._runner.cleanup()

    def configure(self, config: ModelConfig) -> None:
        """The kubelet brings a new config."""
        if config == self._config:
            return
        self._config = config
        if self._work is not None:
            self._work.cancel()
        self._work = asyncio.create_task(self._pass(config))

    def state(self) -> PodState:
        """What the cluster says of this pod."""
        return PodState(
            namespace=self.namespace,
            server=self.server,
            slice=self.slice,
            name=self.name,
            report=f"127.0.0.1:{self.port}",
            live=self.live,
            ready=self.ready,
            template="",
        )

    def report(self) -> SidecarReport:
        """The report as it is now."""
        return SidecarReport(
            schema_version=report.SCHEMA_VERSION,
            seq=f"{self._boot}.{self._sequence}",
            pod=self.name,
            namespace=self.namespace,
            server_name=self.server,
            slice="canary" if self.slice == "canary" else "main",
            config=report.ConfigReport(checksum=self._config.checksum if self._config else None),
            server=report.ServerReport(type="triton", live=self.live),
            ready=self.ready,
            models=self.models,
        )

    def set(self, name: str, model: ModelReport | None) -> None:
        """Changes one model of the report and moves `seq`."""
        self.models = {key: value for key, value in self.models.items() if key != name}
        if model is not None:
            self.models[name] = model
        before = self.served[-1:] if self.served else []
        now = (name, model.serving if model else None)
        if before != [now]:
            self.served.append(now)
        self.move()

    def move(self) -> None:
        """Something of the report is different: polls end."""
        self._sequence += 1
        self._moved.set()
        self._moved = asyncio.Event()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.query.get("after") == self.report().seq:
            with suppress(TimeoutError):
                async with asyncio.timeout(float(request.query["wait"])):
                    await self._moved.wait()
        body = self.overridden if self.overridden is not None else msgspec.json.encode(self.report())
        return web.Response(body=body, content_type="application/json")

    async def _pass(self, config: ModelConfig) -> None:
        for name in self.models.keys() - config.models.keys():
            self.set(name, None)
        async with asyncio.TaskGroup() as group:
            for name, entry in config.models.items():
                group.create_task(self._apply(name, entry))
        self.ready = True
        self.move()

    async def _apply(self, name: str, entry: ConfigEntry) -> None:
        now = self.models.get(name, ModelReport(state=ModelState.PENDING))
        model = msgspec.structs.replace(now, entry=entry_hash(entry), error=None)
        self.set(name, model)
        for revision in _revisions(entry):
            model = await self._stage(name, model, revision, entry)
        self.set(name, await self._load(name, model, entry))

    async def _stage(self, name: str, model: ModelReport, revision: ConfigRevision, entry: ConfigEntry) -> ModelReport:
        fate = self._fates.get(revision.digest, Fate())
        if revision.digest in model.staged or model.error is not None:
            return model
        if fate.stage_seconds:
            self.set(name, msgspec.structs.replace(model, state=ModelState.DOWNLOADING))
            await asyncio.sleep(fate.stage_seconds)
        if fate.stage is not None:
            return msgspec.structs.replace(model, error=_error(fate.stage, revision, entry))
        return msgspec.structs.replace(model, staged=(*model.staged, revision.digest), state=ModelState.STAGED)

    async def _load(self, name: str, model: ModelReport, entry: ConfigEntry) -> ModelReport:
        revision = wanted(entry, self.name)
        if revision is None:
            return msgspec.structs.replace(model, serving=None)
        if revision.digest == model.serving or revision.digest not in model.staged:
            state = ModelState.SERVING if model.serving else ModelState.FAILED
            return msgspec.structs.replace(model, state=state)
        fate = self._fates.get(revision.digest, Fate())
        if fate.load_seconds or fate.hangs:
            self.set(name, msgspec.structs.replace(model, state=ModelState.LOADING))
            await asyncio.sleep(fate.load_seconds if not fate.hangs else 3600.0)
        if fate.load is not None:
            return msgspec.structs.replace(model, state=ModelState.FAILED, error=_error(fate.load, revision, entry))
        return msgspec.structs.replace(model, state=ModelState.SERVING, serving=revision.digest)


@dataclass(slots=True)
class SimulatedCluster:
    """A cluster whose manifests come from the bare repository at `repository`. `fates`: by digest, changed at will."""

    repository: Path
    fates: dict[str, Fate] = field(default_factory=dict)
    pods: dict[str, SimulatedPod] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)
    renewals: list[float] = field(default_factory=list)
    nudged: list[str] = field(default_factory=list)
    objects: dict[str, str] = field(default_factory=dict)
    routes: dict[str, RouteLive] = field(default_factory=dict)
    routed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _seq: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def apply(self, commit: str) -> None:
        """Takes over the manifests of `commit`, all at once."""
        manifests = _manifests(Repository.open(self.repository), commit)
        self.objects = {_object_key(item): item["metadata"]["annotations"][CONTENT] for item in manifests}
        self._take_routes([item for item in manifests if item["kind"] == "HTTPRoute"])
        await self._take_pods([item for item in manifests if item["kind"] == "Deployment"])
        self._configure([item for item in manifests if item["kind"] == "ConfigMap"])
        self.applied.append(commit)
        self.changed()

    async def watch(self) -> AsyncIterator[ClusterState]:
        """As the Protocol says."""
        while True:
            changed = self._changed
            yield self._state()
            await changed.wait()

    async def nudge(self, pods: Iterable[str]) -> None:
        """Configs arrive at once; who was to get one is noted."""
        self.nudged += pods

    async def lease(self) -> Lease:
        """As the Protocol says."""
        return Lease(last_renewal=self.renewals[-1] if self.renewals else None)

    async def renew(self, now: float) -> None:
        """As the Protocol says."""
        self.renewals.append(now)

    def changed(self) -> None:
        """Something that `watch` tells is different."""
        self._seq += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def stop(self) -> None:
        """Ends every pod."""
        for pod in self.pods.values():
            await pod.stop()

    async def restart_pod(self, name: str) -> None:
        """The pod is replaced by an empty one of the same name, on another port."""
        before = self.pods[name]
        await before.stop()
        await self._start_pod(before.namespace, before.server, before.slice, name.partition("/")[2])
        if before._config is not None:
            self.pods[name].configure(before._config)
        self.changed()

    def _state(self) -> ClusterState:
        return ClusterState(
            seq=self._seq,
            applied=self.applied[-1] if self.applied else None,
            objects=dict(self.objects),
            routes=dict(self.routes),
            pods=tuple(pod.state() for pod in self.pods.values()),
        )

    def _take_routes(self, routes: list[dict[str, Any]]) -> None:
        names = {f"{item['metadata']['namespace']}/{item['metadata']['name']}": item for item in routes}
        self.routes = {
            name: RouteLive(content=item["metadata"]["annotations"][CONTENT], live=True) for name, item in names.items()
        }
        for name, item in names.items():
            self.routed.setdefault(name, []).append({"at": time.time(), "spec": item["spec"]})

    async def _take_pods(self, deployments: list[dict[str, Any]]) -> None:
        wanted_pods = {
            f"{item['metadata']['namespace']}/{item['metadata']['name']}-{index}": item
            for item in deployments
            for index in range(item["spec"]["replicas"])
        }
        for name in self.pods.keys() - wanted_pods.keys():
            await self.pods.pop(name).stop()
        for name in sorted(wanted_pods.keys() - self.pods.keys()):
            labels = wanted_pods[name]["metadata"]["labels"]
            server, slice_ = labels["serving.fresco.dev/server"], labels["serving.fresco.dev/slice"]
            namespace, _, pod = name.partition("/")
            await self._start_pod(namespace, server, slice_, pod)

    async def _start_pod(self, namespace: str, server: str, slice_: str, name: str) -> None:
        pod = SimulatedPod(namespace=namespace, server=server, slice_=slice_, name=name, fates=self.fates)
        await pod.start()
        self.pods[f"{namespace}/{name}"] = pod

    def _configure(self, config_maps: list[dict[str, Any]]) -> None:
        for item in config_maps:
            config = msgspec.json.decode(item["data"]["model-config.json"], type=ModelConfig)
            for pod in self.pods.values():
                if (pod.namespace, pod.server, pod.slice) == (config.namespace, config.server, config.slice):
                    pod.configure(config)


@asynccontextmanager
async def simulated_cluster(repository: Path) -> AsyncIterator[SimulatedCluster]:
    """A cluster without anything, ended with the block."""
    cluster = SimulatedCluster(repository)
    try:
        yield cluster
    finally:
        await cluster.stop()


def _manifests(repository: Repository, commit: str) -> list[dict[str, Any]]:
    blobs = repository.files(commit, "manifests").values()
    read = [yaml.load(repository.read(blob), Loader=yaml.CSafeLoader) for blob in blobs]
    return [item for item in read if "kind" in item]


def _object_key(item: dict[str, Any]) -> str:
    return f"{item['kind']}/{item['metadata']['namespace']}/{item['metadata']['name']}"


def _revisions(entry: ConfigEntry) -> Iterator[ConfigRevision]:
    for revision in (entry.serve, entry.candidate, *entry.stage):
        if revision is not None:
            yield revision


def _error(reason: Reason, revision: ConfigRevision, entry: ConfigEntry) -> ReportError:
    message = f"{reason.value} of {revision.revision}"
    return ReportError(reason=reason, message=message, permanent=True, digest=revision.digest, attempt=entry.attempt)
