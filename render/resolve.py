"""What was written, with every default resolved: the accepted forms of `schemas.status`. Pure."""

import hashlib
import math
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from schemas import limits
from schemas.base import amount, seconds
from schemas.model_config import SmokeTest
from schemas.resources import (
    Autoscale,
    BackendType,
    Cluster,
    DeadlinesSource,
    Deployment,
    Gateway,
    Images,
    InferenceServer,
    ModelType,
    RolloutDefaults,
    RolloutSource,
    TrafficSource,
)
from schemas.status import (
    SCHEMA_VERSION,
    CachePolicy,
    Deadlines,
    Finding,
    ModelRevision,
    Replicas,
    RepositoryStatus,
    RolloutPolicy,
    ServerTemplate,
    SliceName,
    StepPolicy,
    SyncPolicy,
    TrafficPolicy,
)

T = TypeVar("T")

BRANCHES = "clusters/"  # what the branches of clusters are called below, unless fresco.yaml says another name
TEMPLATE_VERSION = 1  # of the pod template that `render.objects` makes

_DEFAULT_TYPES = {BackendType.TRITON: ModelType.REPOSITORY, BackendType.VLLM: ModelType.ADAPTER}
_ENVOY = ("envoy", "envoy-gateway")


def branch(cluster: Cluster) -> str:
    """The branch that the agent of `cluster` writes."""
    return cluster.branch or default_branch(cluster.name)


def default_branch(cluster: str) -> str:
    """The same where `fresco.yaml` does not say one, or was not read yet."""
    return f"{BRANCHES}{cluster}"


def repository_status(
    cluster: Cluster,
    *,
    max_servers_at_once: int,
    held_deletions: tuple[str, ...] = (),
    findings: tuple[Finding, ...] = (),
) -> RepositoryStatus:
    """The settings in force for one cluster."""
    return RepositoryStatus(
        api_version="serving.fresco.dev/v1alpha1",
        kind="RepositoryStatus",
        schema_version=SCHEMA_VERSION,
        cluster=cluster.name,
        gateway=cluster.gateway,
        settle=settle(cluster.gateway),
        max_servers_at_once=max_servers_at_once,
        held_deletions=held_deletions,
        findings=findings,
    )


def settle(gateway: Gateway) -> float:
    """Seconds that a change of weights needs on this gateway."""
    if gateway.settle is not None:
        return seconds(gateway.settle)
    return limits.SETTLE_ENVOY if gateway.implementation in _ENVOY else limits.SETTLE


def model_type(deployment: Deployment, backend: BackendType) -> ModelType:
    """How the server takes the model."""
    return deployment.spec.model.type or _DEFAULT_TYPES[backend]


def model_name(deployment: Deployment) -> str:
    """The name it is served under."""
    return deployment.spec.model.name or deployment.metadata.name


def model_revision(deployment: Deployment, backend: BackendType, digest: str) -> ModelRevision:
    """The revision to serve. `digest` is the model's, which may not be written down yet."""
    model, server = deployment.spec.model, deployment.spec.server
    name, type_ = model_name(deployment), model_type(deployment, backend)
    smoke = model.smoke_test
    return ModelRevision(
        model_hash=model_hash(server=server, name=name, kind=type_, digest=digest, options=model.options),
        server=server,
        name=name,
        type=type_,
        revision=model.revision,
        uri=model.uri,
        digest=digest,
        options=model.options,
        attempt=deployment.spec.rollout.attempt,
        path=path(deployment),
        memory=math.ceil(amount(model.memory)) if model.memory is not None else None,
        smoke_test=SmokeTest(request=smoke.request, timeout_seconds=seconds(smoke.timeout)) if smoke else None,
    )


def path(deployment: Deployment) -> str:
    """The path prefix of its route. The default tells the server: a Deployment that moves to another one gets a new
    path there."""
    metadata = deployment.metadata
    return deployment.spec.traffic.path or f"/{metadata.namespace}/{deployment.spec.server}/{metadata.name}"


def model_hash(*, server: str, name: str, kind: ModelType, digest: str, options: Mapping[str, str]) -> str:
    """Identity of what is served, `sha256:<hex>` over canonical JSON of just these: only a change of it rolls out."""
    served = {"server": server, "name": name, "type": kind.value, "digest": digest, "options": dict(options)}
    return "sha256:" + hashlib.sha256(msgspec.json.encode(served, order="sorted")).hexdigest()


def rollout_policy(source: RolloutSource, defaults: RolloutDefaults) -> RolloutPolicy:
    """How it spreads: the Deployment's word, else the Repository's, else the table of limits."""
    steps = _either(source.steps, defaults.steps) or ()
    bake = _either(source.bake, defaults.bake)
    failed = _either(source.max_failed_replicas, defaults.max_failed_replicas)
    return RolloutPolicy(
        strategy=source.strategy,
        steps=tuple(StepPolicy(weight=step.weight, soak=seconds(step.soak)) for step in steps),
        deadlines=_deadlines(source.deadlines, defaults.deadlines),
        bake=seconds(bake) if bake is not None else limits.BAKE,
        max_failed_replicas=failed if failed is not None else limits.MAX_FAILED_REPLICAS,
        paused=source.paused,
        reason=source.reason,
        analysis=_either(source.analysis, defaults.analysis),
    )


def server_deadline(defaults: RolloutDefaults) -> float:
    """Seconds that one pod of an InferenceServer may take until it proves its models: the Repository's word."""
    return _deadlines(defaults.deadlines, defaults.deadlines).resource_acquisition


def _deadlines(source: DeadlinesSource, defaults: DeadlinesSource) -> Deadlines:
    def one(field: str, limit: float) -> float:
        chosen = _either(getattr(source, field), getattr(defaults, field))
        return seconds(chosen) if chosen is not None else limit

    return Deadlines(
        asset_preparation=one("asset_preparation", limits.DEADLINE_ASSET_PREPARATION),
        resource_acquisition=one("resource_acquisition", limits.DEADLINE_RESOURCE_ACQUISITION),
        traffic_routing=one("traffic_routing", limits.DEADLINE_TRAFFIC_ROUTING),
        rollback=one("rollback", limits.DEADLINE_ROLLBACK),
    )


def _either(own: T | None, default: T | None) -> T | None:
    return own if own is not None else default


def traffic_policy(deployment: Deployment) -> TrafficPolicy:
    """How requests reach it."""
    source: TrafficSource = deployment.spec.traffic
    return TrafficPolicy(
        hostnames=source.hostnames,
        headers=source.headers,
        canary_headers=source.canary_headers,
        mirror_percent=source.mirror.percent if source.mirror else 0,
    )


def image(server: InferenceServer, images: Images) -> str:
    """The server's image; `{version}` is still in it when a version is asked for and none is given."""
    backend = server.spec.backend
    if backend.image is not None:
        return backend.image
    default = default_image(backend.type, images)
    return default.replace("{version}", backend.version) if backend.version is not None else default


def default_image(backend: BackendType, images: Images) -> str:
    """The Repository's image for `backend`."""
    return images.triton if backend is BackendType.TRITON else images.vllm


def server_template(server: InferenceServer, images: Images) -> ServerTemplate:
    """All that a change of replaces pods."""
    spec = server.spec
    return ServerTemplate(
        template_version=TEMPLATE_VERSION,
        backend=spec.backend.type,
        image=image(server, images),
        model_sync_image=images.model_sync,
        args=spec.backend.args,
        env=spec.backend.env,
        resources=spec.resources,
        scheduling=spec.scheduling,
        cache=CachePolicy(size_limit=spec.cache.size_limit, claim=spec.cache.claim),
        sync=SyncPolicy(
            resync=seconds(spec.sync.resync),
            connections=spec.sync.connections,
            load_deadline=seconds(spec.sync.load_deadline),
        ),
        on_model_failure=spec.on_model_failure,
        update=spec.update,
        credentials=spec.credentials,
        service_account_annotations=spec.service_account.annotations,
    )


def replicas(server: InferenceServer) -> dict[SliceName, Replicas]:
    """Replicas by slice."""
    wanted, canary = server.spec.replicas, server.spec.canary
    if isinstance(wanted, Autoscale):
        slices: dict[SliceName, Replicas] = {
            "main": Replicas(min=wanted.min, max=wanted.max, target_cpu=wanted.target_cpu)
        }
    else:
        slices = {"main": Replicas(min=wanted, max=wanted)}
    if canary is not None:
        slices["canary"] = Replicas(min=canary.replicas, max=canary.replicas)
    return slices
