"""A cluster of values: pods that do at once what status renders, with faults on request. For tests of the rules."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

from render import places
from render.normal import Kept, Wanted, WantedDeployment, WantedServer
from render.objects import route_content, route_object, template_content
from render.objects.base import Fleet
from render.objects.model_config import entry, model_name
from render.rollout import Advanced, advance
from render.rollout.observation import Observation, Pod, Route, key, object_key
from schemas.model_config import ConfigEntry, entry_hash, wanted
from schemas.report import (
    ConfigReport,
    ModelReport,
    ModelState,
    Reason,
    ReportError,
    Requests,
    ServerReport,
    SidecarReport,
)
from schemas.resources import Analysis, BackendType, Gateway, ModelType, Resources, Scheduling, Strategy
from schemas.status import (
    SCHEMA_VERSION,
    CachePolicy,
    Deadlines,
    DeploymentStatus,
    ModelRevision,
    Replicas,
    RepositoryStatus,
    Role,
    RolloutPolicy,
    ServerTemplate,
    SliceName,
    Stage,
    StepPolicy,
    SyncPolicy,
    TrafficPolicy,
    Tree,
)

replace = msgspec.structs.replace
Update = Literal["surge", "replace"]
SERVER = "fraud/gpu-a"
SCORER = "fraud/scorer"


def digest(number: int) -> str:
    """A digest that tells its number."""
    return f"sha256:{number:064x}"


def model(
    number: int, *, name: str = "scorer", on: str = "gpu-a", attempt: int = 0, path: str | None = None
) -> ModelRevision:
    """Revision `number` of a model."""
    return ModelRevision(
        model_hash=f"sha256:{sha256(f'{on}/{name}/{number}'.encode()).hexdigest()}",
        server=on,
        name=name,
        type=ModelType.REPOSITORY,
        revision=str(number),
        uri=f"file:///models/{name}/{number}",
        digest=digest(number),
        options={},
        attempt=attempt,
        path=path or f"/fraud/{on}/{name}",
    )


def policy(
    *steps: tuple[int, float],
    strategy: Strategy = Strategy.PROGRESSIVE,
    paused: bool = False,
    bake: float = 0.0,
    analysis: Analysis | None = None,
) -> RolloutPolicy:
    """A rollout policy; steps are (weight, soak)."""
    return RolloutPolicy(
        strategy=strategy,
        steps=tuple(StepPolicy(weight=weight, soak=soak) for weight, soak in steps),
        deadlines=Deadlines(asset_preparation=1800, resource_acquisition=600, traffic_routing=300, rollback=600),
        bake=bake,
        max_failed_replicas=10,
        paused=paused,
        reason="fire" if strategy is Strategy.EMERGENCY else None,
        analysis=analysis,
    )


def deployment(
    revision: ModelRevision, rollout: RolloutPolicy | None = None, *, name: str = "scorer"
) -> WantedDeployment:
    """An accepted Deployment."""
    traffic = TrafficPolicy(hostnames=(), headers=(), canary_headers=())
    return WantedDeployment(
        model=revision, rollout=rollout or policy(), traffic=traffic, findings=(), source="deployments/scorer.yaml:1"
    )


def server(*, main: int = 2, canary: int = 0, image: str = "triton:24.10", update: Update = "surge") -> WantedServer:
    """An accepted InferenceServer."""
    template = ServerTemplate(
        template_version=1,
        backend=BackendType.TRITON,
        image=image,
        model_sync_image="model-sync:1",
        args=(),
        env={},
        resources=Resources(),
        scheduling=Scheduling(),
        cache=CachePolicy(size_limit="1Gi"),
        sync=SyncPolicy(resync=15, connections=8, load_deadline=300),
        on_model_failure="block",
        update=update,
    )
    replicas: dict[SliceName, Replicas] = {"main": Replicas(min=main, max=main)}
    if canary:
        replicas["canary"] = Replicas(min=canary, max=canary)
    return WantedServer(
        template=template, replicas=replicas, quorum=75, deadline=600, findings=(), source="servers/gpu-a.yaml:1"
    )


@dataclass
class SimulatedPod:
    """One pod: what it serves, and how it misbehaves. `behind`: it has not seen its newest config yet. `crashed`: its
    server is being started again. `refuses`: digests that it alone cannot load."""

    name: str
    slice: SliceName
    template: str = ""
    image: str = ""
    serving: dict[str, str] = field(default_factory=dict)
    staged: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    live: bool | None = True
    silent: bool = False
    busy: bool = False
    behind: bool = False
    crashed: bool = False
    ready: bool = False
    told: dict[str, ConfigEntry] | None = None
    requests: Requests = field(default_factory=Requests)


class Reach(NamedTuple):
    """Where a live route leads: to which slices of a server (`namespace/name`), and to which served name there."""

    server: str
    slices: tuple[SliceName, ...]
    model: str


@dataclass
class Simulator:
    """`wanted` is what humans want now; `step` lets the agent look once and the cluster do what came of it.

    `faults`: why a digest cannot be served, on any pod. `broken`: images whose server never gets live. `breaks`: by
    image, digests that cannot be loaded on its pods. `routes_held`: the gateway takes over nothing for now;
    `routes_lag`: it takes over a round later than pods do.
    `reached`: by Deployment, where its live route leads; `reached_before`: before the last commit.
    """

    wanted: Wanted
    now: float = 1_800_000_000.0
    faults: dict[str, Reason] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    breaks: dict[str, set[str]] = field(default_factory=dict)
    pods: dict[str, list[SimulatedPod]] = field(default_factory=dict)
    applied: Tree | None = None
    routes: dict[str, Route] = field(default_factory=dict)
    commits: list[Advanced] = field(default_factory=list)
    after_commit: Callable[[], None] = lambda: None
    complete: bool = True
    made: Counter[str] = field(default_factory=Counter)
    routes_held: bool = False
    routes_lag: bool = False
    reached: dict[str, Reach] = field(default_factory=dict)
    reached_before: dict[str, Reach] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tree = Tree(repository=self.wanted.repository)

    def want(self, name: str, one: WantedDeployment | Kept | None) -> None:
        """Commits, changes or deletes a Deployment."""
        deployments = {key: value for key, value in self.wanted.deployments.items() if key != name}
        self._want(deployments | ({name: one} if one else {}), self.wanted.servers)

    def want_server(self, name: str, one: WantedServer | Kept | None) -> None:
        """Commits, changes or deletes an InferenceServer."""
        servers = {key: value for key, value in self.wanted.servers.items() if key != name}
        self._want(self.wanted.deployments, servers | ({name: one} if one else {}))

    def _want(self, deployments: dict[str, WantedDeployment | Kept], servers: dict[str, WantedServer | Kept]) -> None:
        self.wanted = Wanted(repository=self.wanted.repository, servers=servers, deployments=deployments)

    def step(self, resumed: Tree | None = None) -> bool:
        """One round of the cluster, one look of the agent, one commit. False if nothing changed. `resumed`: the tree
        with a gap that is still to be committed."""
        rolled = self.roll()
        done = advance(resumed or self.tree, self.wanted, self.observe())
        if done.tree == self.tree:
            return rolled
        self.tree = done.tree
        self.commits.append(done)
        self.apply()
        self.after_commit()
        return True

    def run(self, *, until: Callable[[], bool] = lambda: False, limit: int = 200) -> None:
        """Steps, with time jumping to the next wake-up, until nothing is left to do."""
        for _ in range(limit):
            if until():
                return
            if not self.step() and not self._sleep():
                return
        raise AssertionError(f"no end after {limit} steps: {[one.message for one in self.tree.deployments.values()]}")

    def run_to(self, stage: Stage, step: str | None = None, name: str = SCORER) -> None:
        """Runs until a Deployment is in a stage, and in a step of it."""

        def there() -> bool:
            one = self.tree.deployments.get(name)
            return one is not None and one.stage is stage and (step is None or self._step(one) == step)

        self.run(until=there)
        assert there(), f"never came to {stage}, {step}: {self.status(name).stage}, {self.status(name).message}"

    def status(self, name: str = SCORER) -> DeploymentStatus:
        """A Deployment's status."""
        return self.tree.deployments[name]

    def apply(self) -> None:
        """The cluster takes over what status renders. Pods follow, round by round."""
        self.applied = self.tree
        self.reached_before = self.reached
        for name, one in self.tree.servers.items():
            self.pods[name] = [pod for pod in self.pods.get(name, []) if pod.slice in one.slices]
            for slice_name, state in one.slices.items():
                if not any(pod.slice == slice_name for pod in self.pods[name]):
                    for _ in range(state.replicas.min):
                        self._make(name, slice_name)
        self.pods = {name: pods for name, pods in self.pods.items() if name in self.tree.servers}
        if not self.routes_held and not self.routes_lag:
            self.take_routes()

    def take_routes(self) -> None:
        """The gateway takes over the routes."""
        tree = self.applied or self.tree
        live = [name for name, one in tree.deployments.items() if one.route is not None]
        self.routes = {name: self._route(name) for name in live}
        self.reached = {name: self._reach(name) for name in live}

    def crash(self, pod: SimulatedPod) -> None:
        """The pod's server dies. It is live again after the next round."""
        pod.live, pod.ready, pod.crashed = False, False, True
        pod.serving.clear()

    def roll(self) -> bool:
        """One round of what Kubernetes does for its pods: crashed servers are started again, and in each slice one pod
        is made or removed at most."""
        self.observe()
        tree = self.applied or self.tree
        if self.routes_lag and not self.routes_held and self.applied is not None:
            self.take_routes()
        for pod in [pod for pods in self.pods.values() for pod in pods if pod.crashed]:
            pod.live, pod.crashed = pod.image not in self.broken, False
        rolled = [self._roll_slice(name, one) for name, server in tree.servers.items() for one in server.slices]
        return any(rolled)

    def lose(self, pod: SimulatedPod) -> None:
        """The pod's node is gone."""
        for pods in self.pods.values():
            if pod in pods:
                pods.remove(pod)

    def _roll_slice(self, server_key: str, name: SliceName) -> bool:
        tree = self.applied or self.tree
        on, mine = tree.servers[server_key], [pod for pod in self.pods[server_key] if pod.slice == name]
        replicas, content = on.slices[name].replicas.min, template_content(tree.repository, on, name)
        old, new = ([pod for pod in mine if (pod.template == content) is fresh] for fresh in (False, True))
        surge = 1 if self._template(server_key, name).update == "surge" else 0
        spare = sum(pod.ready for pod in mine) - (replicas - 1 + surge)
        surplus = new[replicas:] or [pod for pod in old if not pod.ready or spare > 0]
        if surplus and (old or len(mine) > replicas):
            self.pods[server_key].remove(surplus[-1])
        elif len(new) < replicas and len(mine) < replicas + (surge if old else 0):
            self._make(server_key, name)
        else:
            return False
        return True

    def _make(self, server_key: str, name: SliceName) -> None:
        tree = self.applied or self.tree
        on, made = tree.servers[server_key], self._template(server_key, name)
        slice_key = f"{on.metadata.name}-{name}"
        pod = SimulatedPod(
            name=f"{slice_key}-{self.made[slice_key]}",
            slice=name,
            template=template_content(tree.repository, on, name),
            image=made.image,
            live=made.image not in self.broken,
        )
        self.made[slice_key] += 1
        self.pods[server_key].append(pod)

    def _template(self, server_key: str, name: SliceName) -> ServerTemplate:
        on = (self.applied or self.tree).servers[server_key]
        template = on.current if on.slices[name].template is Role.CURRENT else on.candidate
        assert template is not None
        return template

    def _route(self, name: str) -> Route:
        one = places.routed(self.tree.deployments[name])
        on = self.tree.servers[places.home(one) or ""]
        content = route_content(self.tree.repository, on, one)
        assert content is not None
        before = self.routes.get(name)
        return (
            before if before is not None and before.content == content else Route(content=content, live_since=self.now)
        )

    def _reach(self, name: str) -> Reach:
        """What gets requests, as the rendered route has it."""
        one = places.routed((self.applied or self.tree).deployments[name])
        on = (self.applied or self.tree).servers[places.home(one) or ""]
        made = route_object(Fleet(self.wanted.repository, on), one)
        assert made is not None
        weights = {one["name"]: one["weight"] for one in made["spec"]["rules"][0]["backendRefs"]}
        common = on.metadata.name in weights
        reached = [name for name in on.slices if common or weights.get(f"{on.metadata.name}-{name}", 0) > 0]
        rewritten = made["spec"]["rules"][0]["filters"][0]["urlRewrite"]["path"]["replaceFullPath"]
        return Reach(key(on.metadata.namespace, on.metadata.name), tuple(reached), rewritten.split("/")[3])

    def observe(self) -> Observation:
        """What the agent can see."""
        tree = self.applied or Tree(repository=self.wanted.repository)
        return Observation(
            now=self.now,
            pods={name: tuple(self._pod(name, pod) for pod in pods) for name, pods in self.pods.items()},
            objects={
                object_key("Deployment", one.metadata.namespace, f"{one.metadata.name}-{slice_name}"): "applied"
                for one in tree.servers.values()
                for slice_name in one.slices
            },
            routes=dict(self.routes),
            complete=self.complete,
        )

    def _pod(self, server_key: str, pod: SimulatedPod) -> Pod:
        models = self._models(server_key, pod)
        gated = [name for name, one in (pod.told or {}).items() if one.gate and one.serve is not None]
        may_be = bool(pod.live) and pod.told is not None
        pod.ready = may_be and (pod.ready or all(name in pod.serving for name in gated))
        if pod.silent:
            return Pod(pod.name, pod.slice, live=None, ready=False, report=None, template=pod.template)
        report = SidecarReport(
            schema_version=1,
            seq="00000000.1",
            pod=pod.name,
            namespace=server_key.partition("/")[0],
            server_name=server_key.partition("/")[2],
            slice=pod.slice,
            config=ConfigReport(),
            server=ServerReport(type="triton", live=bool(pod.live)),
            ready=pod.ready,
            models=models,
        )
        return Pod(pod.name, pod.slice, live=pod.live, ready=pod.ready, report=report, template=pod.template)

    def _models(self, server_key: str, pod: SimulatedPod) -> dict[str, ModelReport]:
        tree = self.applied or self.tree
        told: dict[str, ConfigEntry] = {}
        views = [view for one in tree.deployments.values() for view in places.views(one)]
        for view in views:
            made = entry(view, pod.slice) if places.home(view) == server_key else None
            told |= {model_name(view) or "": made} if made is not None else {}
        if not pod.behind:
            pod.told = told
        told = pod.told or {}
        if not pod.live:
            pod.serving.clear()
        for name in pod.serving.keys() - told.keys():
            del pod.serving[name]
        return {name: self._model(pod, name, one) for name, one in told.items()}

    def _model(self, pod: SimulatedPod, name: str, told: ConfigEntry) -> ModelReport:
        target = wanted(told, pod.name)
        revisions = [one for one in (told.serve, told.candidate, *told.stage) if one is not None]
        broken = {one.digest for one in revisions if self.faults.get(one.digest) is Reason.DIGEST_MISMATCH}
        pod.staged |= {one.digest for one in revisions} - broken
        error = next((self._error(one, told.attempt) for one in broken), None)
        if target is not None and target.digest not in pod.staged:
            target = None
        if target is not None and self._fault(pod, target.digest) is not None and pod.live:
            error = self._error(target.digest, told.attempt)
        elif target is not None and pod.live:
            pod.serving[name] = target.digest
        elif told.serve is None:
            pod.serving.pop(name, None)
        return ModelReport(
            state=ModelState.SERVING if name in pod.serving else ModelState.STAGED,
            entry=entry_hash(told),
            staged=tuple(sorted(pod.staged)),
            serving=pod.serving.get(name),
            error=error,
            requests=replace(pod.requests, busy=pod.busy),
        )

    def _fault(self, pod: SimulatedPod, of: str) -> Reason | None:
        refused = of in self.breaks.get(pod.image, ()) or of in pod.refuses
        return Reason.LOAD_FAILED if refused else self.faults.get(of)

    def _error(self, of: str, attempt: int) -> ReportError:
        reason = self.faults.get(of, Reason.LOAD_FAILED)
        return ReportError(reason=reason, message="as asked", permanent=True, digest=of, attempt=attempt)

    def _sleep(self) -> bool:
        """Jumps to the next wake-up; False if there is none."""
        wake = advance(self.tree, self.wanted, self.observe()).wake_at
        if wake is None:
            return False
        self.now = max(wake, self.now) + 0.001
        return True

    @staticmethod
    def _step(one: DeploymentStatus) -> str | None:
        return one.progress.step if one.progress else None


def simulate(*, main: int = 2, canary: int = 1) -> Simulator:
    """A cluster with one server and nothing on it."""
    repository = RepositoryStatus(
        api_version="serving.fresco.dev/v1alpha1",
        kind="RepositoryStatus",
        schema_version=SCHEMA_VERSION,
        cluster="prod",
        gateway=Gateway(name="public", namespace="gateway", implementation="envoy"),
        settle=0.5,
    )
    return Simulator(Wanted(repository=repository, servers={SERVER: server(main=main, canary=canary)}, deployments={}))
