"""The three resources that humans write: Repository, InferenceServer, Deployment. Pure.

These are the forms as written, with defaults where a default does not depend on other files.
`render.normal` turns them into the accepted specs of `schemas.status`, with everything resolved.
"""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from schemas import limits
from schemas.base import ApiVersion, Contract, Digest, Duration, ModelName, Name, ObjectName, Percent, Quantity, Uri


class Metadata(Contract, frozen=True, kw_only=True):
    """Name, namespace, labels and annotations, as everywhere in Kubernetes."""

    name: Name
    namespace: Name = "default"
    labels: Annotated[dict[str, str], Meta(description="For people and tools; Fresco reads none.")] = {}
    annotations: Annotated[dict[str, str], Meta(description="For people and tools; Fresco reads none.")] = {}


# ---- Deployment


class Strategy(StrEnum):
    """How a new revision spreads."""

    PROGRESSIVE = "progressive"
    EMERGENCY = "emergency"


class ModelType(StrEnum):
    """How the server takes a model: from Triton's model repository, as vLLM's base model, or as vLLM's adapter."""

    REPOSITORY = "repository"
    BASE = "base"
    ADAPTER = "adapter"


class SmokeTestSource(Contract, frozen=True, kw_only=True):
    """A request that a freshly loaded model must answer."""

    request: Annotated[str, Meta(description="JSON body as the server's inference API takes it.")]
    timeout: Duration = "10s"


class ModelSource(Contract, frozen=True, kw_only=True):
    """The model to serve. Only `revision` and `uri` cannot be guessed; `fresco lock` fills in `digest`."""

    revision: Annotated[
        str, Meta(min_length=1, max_length=128, description="A label for people.", examples=["2026-11-20"])
    ]
    uri: Uri
    name: Annotated[ModelName, Meta(description="Served name. Default: the Deployment's name.")] | None = None
    type: Annotated[ModelType, Meta(description="Default: `repository` on Triton, `adapter` on vLLM.")] | None = None
    digest: Digest | None = None
    memory: (
        Annotated[Quantity, Meta(description="GPU memory (main memory without GPU) that one copy needs.")] | None
    ) = None
    options: Annotated[dict[str, str], Meta(description="Options for the backend.")] = {}
    smoke_test: SmokeTestSource | None = None


class Step(Contract, frozen=True, kw_only=True):
    """One step of a progressive rollout."""

    weight: Annotated[int, Meta(ge=0, le=100, description="Percent of the requests that the candidate gets.")]
    soak: Annotated[Duration, Meta(description="How long to watch it, in observed time.")] = "0"


class Analysis(Contract, frozen=True, kw_only=True):
    """Limits that the candidate's answers must keep during a step."""

    max_error_rate: (
        Annotated[float, Meta(ge=0, le=1, description="Failed requests of all.", examples=[0.01])] | None
    ) = None
    max_latency_ratio: (
        Annotated[float, Meta(gt=0, description="Mean latency against the current revision's.")] | None
    ) = None
    min_requests: Annotated[int, Meta(ge=1, description="Fewer requests than this prove nothing.")] = 20


class DeadlinesSource(Contract, frozen=True, kw_only=True):
    """Deadlines, in observed time. A missed one rolls back."""

    asset_preparation: Duration | None = None
    resource_acquisition: Duration | None = None
    traffic_routing: Annotated[Duration, Meta(description="Of each step, besides its soak.")] | None = None
    rollback: Duration | None = None


class RolloutDefaults(Contract, frozen=True, kw_only=True):
    """Rollout settings that a Repository may set for all and a Deployment for itself."""

    steps: Annotated[tuple[Step, ...], Meta(description="Weights and soaks, first to last.")] | None = None
    analysis: Analysis | None = None
    deadlines: DeadlinesSource = DeadlinesSource()
    bake: Annotated[Duration, Meta(description="Time after promotion in which a rollback is still at hand.")] | None = (
        None
    )
    max_failed_replicas: Annotated[Percent, Meta(description="Percent of a later wave that may fail.")] | None = None


class RolloutSource(RolloutDefaults, frozen=True, kw_only=True):
    """How this Deployment rolls out. Policy: a change applies live and starts nothing."""

    strategy: Strategy = Strategy.PROGRESSIVE
    reason: Annotated[str, Meta(min_length=1, description="Needed for `emergency`.")] | None = None
    paused: Annotated[bool, Meta(description="Hold the current step.")] = False
    attempt: Annotated[int, Meta(ge=0, description="Raise it to try a failed revision again.")] = 0


class HeaderMatch(Contract, frozen=True, kw_only=True):
    """A request header and the exact value it must have."""

    name: Annotated[
        str, Meta(description="Case-insensitive.", pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=256)
    ]
    value: Annotated[str, Meta(description="Compared exactly.", min_length=1, max_length=4096)]


class Mirror(Contract, frozen=True, kw_only=True):
    """A copy of requests for the candidate, its answers thrown away, while the route is split."""

    percent: Percent


class TrafficSource(Contract, frozen=True, kw_only=True):
    """How requests reach the model. Policy: a change applies live."""

    path: (
        Annotated[
            str,
            Meta(
                pattern=r"^(/[A-Za-z0-9._~-]+)+$",
                max_length=1000,
                description="Default: /<namespace>/<server>/<deployment>.",
            ),
        ]
        | None
    ) = None
    hostnames: Annotated[tuple[str, ...], Meta(description="Hostnames of the route; none means any.")] = ()
    headers: Annotated[tuple[HeaderMatch, ...], Meta(description="All requests must carry these.")] = ()
    canary_headers: Annotated[
        tuple[HeaderMatch, ...], Meta(description="Requests with these go to the candidate.")
    ] = ()
    mirror: Mirror | None = None


class DeploymentSpec(Contract, frozen=True, kw_only=True):
    """One model, served on one InferenceServer."""

    server: Annotated[Name, Meta(description="The InferenceServer, in the same namespace.")]
    model: ModelSource
    rollout: RolloutSource = RolloutSource()
    traffic: TrafficSource = TrafficSource()


class Deployment(Contract, frozen=True, kw_only=True):
    """A model to serve: which, where, how it rolls out and how requests reach it."""

    api_version: ApiVersion
    kind: Annotated[Literal["Deployment"], Meta(description="The kind of this resource.")]
    metadata: Metadata
    spec: DeploymentSpec


# ---- InferenceServer


class BackendType(StrEnum):
    """The serving framework."""

    TRITON = "triton"
    VLLM = "vllm"


class Backend(Contract, frozen=True, kw_only=True):
    """The server program. Default image: the Repository's for this type."""

    type: BackendType
    version: Annotated[str, Meta(description="Tag of the default image.", examples=["24.10"])] | None = None
    image: Annotated[str, Meta(min_length=1, description="A whole image reference; wins over `version`.")] | None = None
    args: Annotated[tuple[str, ...], Meta(description="Further arguments of the server.")] = ()
    env: Annotated[dict[str, str], Meta(description="Further environment of the server.")] = {}


class Autoscale(Contract, frozen=True, kw_only=True):
    """A range of replicas with the target that an autoscaler holds."""

    min: Annotated[int, Meta(description="Fewest replicas; they must be able to carry all traffic.", ge=1)]
    max: Annotated[int, Meta(description="Most replicas.", ge=1, le=limits.MAX_REPLICAS)]
    target_cpu: Annotated[int, Meta(ge=1, le=100, description="Mean CPU use in percent of the request.")] = 70


class Canary(Contract, frozen=True, kw_only=True):
    """A further slice, for candidates."""

    replicas: Annotated[int, Meta(description="Pods of the canary slice.", ge=1, le=limits.MAX_REPLICAS)]


class Gpu(Contract, frozen=True, kw_only=True):
    """GPUs of one pod."""

    count: Annotated[int, Meta(description="GPUs of one pod.", ge=1)] = 1
    resource: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9][a-z0-9.-]*/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$",
            max_length=128,
            description="Resource name, of a MIG profile for example.",
            examples=["nvidia.com/gpu"],
        ),
    ] = "nvidia.com/gpu"
    memory: Annotated[Quantity, Meta(description="Memory of one GPU, for admission.")] | None = None


class Resources(Contract, frozen=True, kw_only=True):
    """What one pod's server gets: requests and limits alike."""

    cpu: Quantity = "1"
    memory: Quantity = "4Gi"
    gpu: Gpu | None = None


class Toleration(Contract, frozen=True, kw_only=True):
    """A Kubernetes toleration."""

    key: Annotated[str, Meta(description="The taint's key; absent: any.")] | None = None
    operator: Annotated[Literal["Exists", "Equal"], Meta(description="How `value` is compared.")] = "Equal"
    value: Annotated[str, Meta(description="The taint's value.")] | None = None
    effect: (
        Annotated[
            Literal["NoSchedule", "PreferNoSchedule", "NoExecute"], Meta(description="The taint's effect; absent: any.")
        ]
        | None
    ) = None
    toleration_seconds: Annotated[int, Meta(description="Seconds that a NoExecute taint is borne.")] | None = None


class Scheduling(Contract, frozen=True, kw_only=True):
    """Where pods may run."""

    node_selector: Annotated[dict[str, str], Meta(description="Labels that a node must have.")] = {}
    tolerations: Annotated[tuple[Toleration, ...], Meta(description="Taints that do not matter.")] = ()
    priority_class_name: Annotated[ObjectName, Meta(description="A PriorityClass.")] | None = None
    runtime_class_name: Annotated[ObjectName, Meta(description="A RuntimeClass.")] | None = None


class Cache(Contract, frozen=True, kw_only=True):
    """The volume that models are kept on: an emptyDir of `sizeLimit`, or a claim that outlives the pod."""

    size_limit: Quantity = "20Gi"
    claim: Annotated[ObjectName, Meta(description="Name of a PersistentVolumeClaim.")] | None = None


class SyncSettings(Contract, frozen=True, kw_only=True):
    """The sidecar's limits."""

    resync: Duration = "15s"
    connections: Annotated[int, Meta(description="Downloads at once.", ge=1)] = limits.DOWNLOAD_CONNECTIONS
    load_deadline: Duration = "5m"


class ServiceAccount(Contract, frozen=True, kw_only=True):
    """The pods' service account."""

    annotations: Annotated[dict[str, str], Meta(description="For workload identity, for example.")] = {}


class InferenceServerSpec(Contract, frozen=True, kw_only=True):
    """A fleet of equal replicas that serve models."""

    backend: Backend
    replicas: Annotated[
        int | Autoscale,
        Meta(description="Pods of the main slice, or a range of them for an autoscaler."),
    ] = 1
    canary: Canary | None = None
    resources: Resources = Resources()
    update: Annotated[Literal["surge", "replace"], Meta(description="`replace` where there is no spare GPU.")] = "surge"
    on_model_failure: Annotated[
        Literal["block", "degrade"], Meta(description="What a starting pod does without a gated model.")
    ] = "block"
    quorum: Annotated[
        Percent, Meta(description='Percent of live pods that "every replica" needs at least, rounded up.')
    ] = limits.QUORUM
    credentials: (
        Annotated[Name, Meta(description="Secret with the storage credentials, for the sidecar alone.")] | None
    ) = None
    scheduling: Scheduling = Scheduling()
    cache: Cache = Cache()
    sync: SyncSettings = SyncSettings()
    service_account: ServiceAccount = ServiceAccount()


class InferenceServer(Contract, frozen=True, kw_only=True):
    """A fleet of Triton or vLLM replicas that Deployments are served on."""

    api_version: ApiVersion
    kind: Annotated[Literal["InferenceServer"], Meta(description="The kind of this resource.")]
    metadata: Metadata
    spec: InferenceServerSpec


# ---- Repository


class Gateway(Contract, frozen=True, kw_only=True):
    """The Gateway that routes are attached to."""

    name: Name
    namespace: Name
    section_name: Annotated[ObjectName, Meta(description="One listener of it.")] | None = None
    implementation: Annotated[
        Literal["envoy", "envoy-gateway", "istio", "cilium", "nginx", "traefik", "kgateway", "gke", "aws"],
        Meta(description="What runs behind it; decides the default of `settle`."),
    ] = "envoy-gateway"
    settle: (
        Annotated[Duration, Meta(description="Time a weight change needs. Default: 0.5s for Envoy, else 2s.")] | None
    ) = None


class Cluster(Contract, frozen=True, kw_only=True):
    """One cluster that this repository feeds."""

    name: Name
    gateway: Gateway
    path: Annotated[str, Meta(description="The only tree that is read for it.", examples=["prod"])] = "."
    branch: Annotated[str, Meta(description="Default: clusters/<name>.")] | None = None
    local: Annotated[bool, Meta(description="A cluster of `fresco-agent local`: `file://` is allowed.")] = False


class Images(Contract, frozen=True, kw_only=True):
    """Default images. `{version}` stands for a server's `backend.version`."""

    triton: Annotated[str, Meta(description="Of Triton.")] = "nvcr.io/nvidia/tritonserver:{version}-py3"
    vllm: Annotated[str, Meta(description="Of vLLM.")] = "docker.io/vllm/vllm-openai:v{version}"
    model_sync: Annotated[str, Meta(description="Of the sidecar.")] = "ghcr.io/fresco/model-sync:0.1.0"


class Grant(Contract, frozen=True, kw_only=True):
    """What one namespace may use. A namespace without a grant may use nothing."""

    storage: Annotated[
        tuple[str, ...], Meta(description="Prefixes of artifact addresses, compared by path segment.")
    ] = ()
    hostnames: Annotated[tuple[str, ...], Meta(description="Hostnames that routes may have.")] = ()
    paths: Annotated[tuple[str, ...], Meta(description="Path prefixes besides the namespace's own.")] = ()
    secrets: Annotated[tuple[str, ...], Meta(description="Secrets that servers may name as credentials.")] = ()
    images: Annotated[tuple[str, ...], Meta(description="Image prefixes besides the defaults.")] = ()


class Guards(Contract, frozen=True, kw_only=True):
    """What keeps one commit from going too far.

    Deletions want a permission where they are more than `maxDeletionsPercent` and more than `maxDeletions` at once.
    """

    max_deletions_percent: Percent = limits.MAX_DELETIONS_SHARE
    max_deletions: Annotated[int, Meta(description="Deletions that need no permission.", ge=0)] = (
        limits.MAX_DELETIONS_COUNT
    )
    allow_deletion: Annotated[
        tuple[str, ...],
        Meta(
            description="Deletions that are allowed, by kind, namespace and name.",
            examples=[["Deployment fraud/scorer"]],
        ),
    ] = ()
    max_servers_at_once: Annotated[
        int, Meta(description="InferenceServers of a cluster whose pods are replaced at the same time.", ge=1)
    ] = limits.MAX_SERVERS_AT_ONCE


class RepositorySpec(Contract, frozen=True, kw_only=True):
    """Settings of the whole repository."""

    clusters: Annotated[tuple[Cluster, ...], Meta(description="The clusters that this repository feeds.", min_length=1)]
    images: Images = Images()
    namespaces: Annotated[dict[Name, Grant], Meta(description="What each namespace may use.")] = {}
    rollout: RolloutDefaults = RolloutDefaults()
    guards: Guards = Guards()


class RepositoryMetadata(Contract, frozen=True, kw_only=True):
    """The repository's name."""

    name: Name = "fresco"


class Repository(Contract, frozen=True, kw_only=True):
    """`fresco.yaml`: clusters, defaults, and what each namespace may use."""

    api_version: ApiVersion
    kind: Annotated[Literal["Repository"], Meta(description="The kind of this resource.")]
    spec: RepositorySpec
    metadata: RepositoryMetadata = RepositoryMetadata()
