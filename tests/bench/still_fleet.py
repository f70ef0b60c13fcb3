"""A cluster in which everything is as its status says: its pods' reports, and a picture of it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent.status.cluster import ClusterState, PodState, RouteLive
from render import plan
from render.objects import model_config, route_content, template_content
from render.rollout.observation import Observation, Pod, Route, key, object_key
from schemas import report
from schemas.model_config import ConfigEntry, ModelConfig, entry_hash, wanted
from schemas.report import ConfigReport, ModelReport, ModelState, Requests, ServerReport, SidecarReport
from schemas.status import ServerStatus, SliceName, Tree

_SERVED = Requests(count=1_284_117, failures=12, latency_seconds=9_871.25)


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of a server: its pods' names, the hash of their template, and what they are told."""

    server: ServerStatus
    name: SliceName
    pods: tuple[str, ...]
    template: str
    config: ModelConfig

    @property
    def key(self) -> str:
        """The server's key."""
        return key(self.server.metadata.namespace, self.server.metadata.name)

    def report(self, pod: str) -> SidecarReport:
        """What the sidecar of `pod`, which has done all that it is told, reports."""
        return SidecarReport(
            schema_version=report.SCHEMA_VERSION,
            seq="5f3c9a10.42",
            pod=pod,
            namespace=self.server.metadata.namespace,
            server_name=self.server.metadata.name,
            slice=self.name,
            config=ConfigReport(checksum=self.config.checksum),
            server=ServerReport(type="triton", live=True, started_at=1_800_000_000.25, version="2.51.0"),
            ready=True,
            models={name: _model(entry, pod) for name, entry in self.config.models.items()},
        )


def slices(tree: Tree) -> Iterator[Slice]:
    """All slices of `tree`, by server."""
    indexed = plan.index(tree)
    for server_key, server in tree.servers.items():
        fleet = indexed.fleet(server_key)
        assert fleet is not None
        for name, one in server.slices.items():
            yield Slice(
                server=server,
                name=name,
                pods=tuple(f"{server.metadata.name}-{name}-{number}" for number in range(one.replicas.min)),
                template=template_content(tree.repository, server, name),
                config=model_config.config(
                    fleet.deployments, namespace=fleet.namespace, server=fleet.name, slice_name=name
                ),
            )


def observation(tree: Tree, now: float) -> Observation:
    """The whole cluster at `now`, POSIX seconds."""
    pods: dict[str, tuple[Pod, ...]] = {}
    for one in slices(tree):
        made = tuple(Pod(name, one.name, True, True, one.report(name), one.template) for name in one.pods)
        pods[one.key] = pods.get(one.key, ()) + made
    routes = {name: Route(content, live_since=now - 3600.0) for name, content in _routes(tree).items()}
    return Observation(now=now, pods=pods, objects=_objects(tree), routes=routes)


def cluster_state(tree: Tree, reports: dict[str, str]) -> ClusterState:
    """The same as a cluster tells it. `reports`: the address of each pod's sidecar, by `namespace/pod`."""
    pods = [
        PodState(
            namespace=one.server.metadata.namespace,
            server=one.server.metadata.name,
            slice=one.name,
            name=name,
            report=reports[key(one.server.metadata.namespace, name)],
            live=True,
            ready=True,
            template=one.template,
        )
        for one in slices(tree)
        for name in one.pods
    ]
    routes = {name: RouteLive(content=content, live=True) for name, content in _routes(tree).items()}
    return ClusterState(seq=1, objects=_objects(tree), routes=routes, pods=tuple(pods))


def _model(entry: ConfigEntry, pod: str) -> ModelReport:
    served = wanted(entry, pod)
    revisions = [one for one in (entry.serve, entry.candidate, *entry.stage) if one is not None]
    return ModelReport(
        state=ModelState.SERVING if served is not None else ModelState.STAGED,
        entry=entry_hash(entry),
        staged=tuple(sorted({one.digest for one in revisions})),
        serving=served.digest if served is not None else None,
        load_seconds=2.75,
        requests=_SERVED,
    )


def _routes(tree: Tree) -> dict[str, str]:
    """Content hash of each route that is rendered."""
    indexed = plan.index(tree)
    contents = {
        name: route_content(tree.repository, *found)
        for name in tree.deployments
        if (found := indexed.routed(name)) is not None
    }
    return {name: content for name, content in contents.items() if content is not None}


def _objects(tree: Tree) -> dict[str, str]:
    """Content hash of what is applied, by key; which hash it is nobody asks here."""
    named = {
        object_key(kind, one.server.metadata.namespace, f"{one.server.metadata.name}-{one.name}{ending}"): one.template
        for one in slices(tree)
        for kind, ending in (("Deployment", ""), ("ConfigMap", "-models"), ("Service", ""))
    }
    routes = {object_key("HTTPRoute", *name.split("/")): content for name, content in _routes(tree).items()}
    return {**named, **routes}
