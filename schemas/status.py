"""What the agent writes about each resource: accepted specs in normal form, where each rollout stands, and why. Pure.

A status tree needs nothing else: `render` makes every manifest from it. It keeps times, evidence and settled
facts; never running counters, ages or progress. Times are UTC, durations seconds, memory bytes.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from schemas import limits
from schemas.base import ApiVersion, Contract, Digest, ModelName, Name, Percent, SchemaVersion, Seconds, Uri
from schemas.model_config import SmokeTest
from schemas.resources import Analysis, BackendType, Gateway, HeaderMatch, ModelType, Resources, Scheduling, Strategy

SCHEMA_VERSION = 2  # `render.migrate` reads the older ones
SliceName = Literal["main", "canary"]


class OtherPlace(Contract, frozen=True, kw_only=True):
    """The second place that a finding is about: of two that clash the other, what was probably meant, or what the first
    is held against."""

    file: Annotated[str, Meta(description="Path inside the repository.")]
    line: Annotated[int, Meta(description="Counted from 1.", ge=1)]
    column: Annotated[int, Meta(description="Counted from 1.", ge=1)]


class Finding(Contract, frozen=True, kw_only=True):
    """A problem in a human's file."""

    file: Annotated[str, Meta(description="Path inside the repository.")]
    line: Annotated[int, Meta(description="Counted from 1.", ge=1)]
    column: Annotated[int, Meta(description="Counted from 1.", ge=1)]
    rule: Annotated[str, Meta(description="Rule id; `docs/` lists them.", pattern=r"^FR[0-9]{3}$", examples=["FR001"])]
    message: Annotated[str, Meta(description="What was expected and what was found.")]
    severity: Annotated[
        Literal["error", "warning"],
        Meta(description="An error keeps the resource as it was accepted last; a warning does not."),
    ] = "error"
    hint: Annotated[str, Meta(description="What to do about it.")] | None = None
    other: OtherPlace | None = None


class StatusMetadata(Contract, frozen=True, kw_only=True):
    """The resource that a status is about."""

    name: Name
    namespace: Name


# ---- Deployment


class Stage(StrEnum):
    """The stages of a Deployment, in the words of the specification."""

    VALIDATION = "Validation"
    ASSET_PREPARATION = "Asset Preparation"
    RESOURCE_ACQUISITION = "Resource Acquisition"
    TRAFFIC_ROUTING = "Model Traffic Routing"
    ROLLOUT_COMPLETE = "Rollout Complete"
    ROLLBACK_IN_PROGRESS = "Rollback In Progress"
    ROLLBACK_COMPLETE = "Rollback Complete"
    ROLLBACK_FAILED = "Rollback Failed"
    CLEAN_UP_IN_PROGRESS = "Clean Up In Progress"
    CLEAN_UP_COMPLETE = "Clean Up Complete"


class ModelRevision(Contract, frozen=True, kw_only=True):
    """One revision of a model, accepted and in normal form. `modelHash` identifies what is served of it."""

    model_hash: Digest
    server: Name
    name: ModelName
    type: ModelType
    revision: Annotated[str, Meta(description="The human's label.")]
    uri: Uri
    digest: Digest
    options: Annotated[dict[str, str], Meta(description="Options for the backend.")]
    attempt: Annotated[int, Meta(description="Raised by a human to try a failed revision again.", ge=0)]
    path: Annotated[str, Meta(description="Path prefix under which requests reach it.")]
    memory: Annotated[int, Meta(ge=0, description="Bytes that one copy needs.")] | None = None
    smoke_test: SmokeTest | None = None


class StepPolicy(Contract, frozen=True, kw_only=True):
    """One traffic step."""

    weight: Percent
    soak: Seconds


class Deadlines(Contract, frozen=True, kw_only=True):
    """Seconds of observed time."""

    asset_preparation: Seconds
    resource_acquisition: Seconds
    traffic_routing: Seconds
    rollback: Seconds


class RolloutPolicy(Contract, frozen=True, kw_only=True):
    """How revisions spread. Applies live."""

    strategy: Strategy
    steps: Annotated[tuple[StepPolicy, ...], Meta(description="Weights and soaks, first to last.")]
    deadlines: Deadlines
    bake: Seconds
    max_failed_replicas: Percent
    paused: Annotated[bool, Meta(description="A human holds the current step.")]
    reason: Annotated[str, Meta(description="Why it is an emergency.")] | None = None
    analysis: Analysis | None = None


class TrafficPolicy(Contract, frozen=True, kw_only=True):
    """How requests reach the model, besides their path. Applies live."""

    hostnames: Annotated[tuple[str, ...], Meta(description="Hostnames of the route; none means any.")]
    headers: Annotated[tuple[HeaderMatch, ...], Meta(description="All requests must carry these.")]
    canary_headers: Annotated[tuple[HeaderMatch, ...], Meta(description="Requests with these go to the candidate.")]
    mirror_percent: Percent = 0


class Role(StrEnum):
    """Which of a Deployment's two revisions."""

    CURRENT = "current"
    CANDIDATE = "candidate"


class SliceState(Contract, frozen=True, kw_only=True):
    """What one slice is told: what all its pods serve, what the first wave serves instead, what is on disk besides."""

    serve: Annotated[Role, Meta(description="What all pods serve; absent: nothing.")] | None = None
    first_pods: Annotated[tuple[str, ...], Meta(description="Pods that serve the candidate instead.")] = ()
    stage: Annotated[tuple[Role, ...], Meta(description="What is on disk besides.")] = ()


class RouteState(Contract, frozen=True, kw_only=True):
    """Where the route sends requests: to all slices through the common Service (`split` absent), or split by weight."""

    to: Annotated[
        Role, Meta(description="While the Deployment moves: the revision at whose place the route arrives.")
    ] = Role.CURRENT
    split: Annotated[
        dict[SliceName, Percent] | None,
        Meta(
            description="Percent of the requests by slice; absent: all slices alike.",
            examples=[{"main": 90, "canary": 10}],
        ),
    ] = None


class Work(StrEnum):
    """What is being done about a Deployment."""

    ROLLOUT = "Rollout"
    ROLLBACK = "Rollback"
    CLEAN_UP = "CleanUp"


class Gap(Contract, frozen=True, kw_only=True):
    """A time in which nothing was observed, or a human held the rollout. Neither deadlines nor soaks run in it."""

    start: Annotated[datetime, Meta(description="The last sign of life before.")]
    end: Annotated[datetime, Meta(description="When everything was seen again.")]


class Counters(Contract, frozen=True, kw_only=True):
    """Requests to one slice at one time, summed over its pods; the baseline that an analysis subtracts."""

    count: Annotated[int, Meta(description="Requests.")]
    failures: Annotated[int, Meta(description="Failed requests among them.")]
    latency_seconds: Annotated[float, Meta(description="Sum of their latencies, seconds.")]


class Cause(Contract, frozen=True, kw_only=True):
    """Why a rollback or clean-up began. `superseded` and `withdrawn` are a human's will, `failed` is not."""

    kind: Annotated[
        Literal["failed", "superseded", "withdrawn", "deleted"],
        Meta(description="`failed` marks the revision; the others are a human's will."),
    ]
    reason: Annotated[str, Meta(description="Machine-readable.", examples=["LoadFailed"])]
    message: Annotated[str, Meta(description="One line for people.")]


class Progress(Contract, frozen=True, kw_only=True):
    """The work in hand: which row of its plan (`render.rollout.plan`), since when, on which slices."""

    work: Work
    step: Annotated[str, Meta(description="Row of the plan.", examples=["canary first pod"])]
    started_at: Annotated[datetime, Meta(description="Start of the work.")]
    since: Annotated[datetime, Meta(description="Start of this step.")]
    slices: Annotated[dict[SliceName, int], Meta(description="Replicas of the slices that the rollout began with.")]
    moved: Annotated[
        tuple[SliceName, ...], Meta(description="Slices in which the candidate was served, for a way back.")
    ] = ()
    first: Annotated[bool, Meta(description="No revision was current when it began.")] = False
    live_since: (
        Annotated[datetime, Meta(description="Since when the step's condition holds: its soak runs.")] | None
    ) = None
    gaps: Annotated[tuple[Gap, ...], Meta(description="What neither deadlines nor soaks count.")] = ()
    paused_at: Annotated[datetime, Meta(description="Since when a human holds it.")] | None = None
    cause: Cause | None = None
    baseline: Annotated[
        dict[SliceName, Counters], Meta(description="Requests at the start of the soak, by slice.")
    ] = {}


class FailedRevision(Contract, frozen=True, kw_only=True):
    """The revision that was rolled back last. It is tried again when `modelHash` changes or `attempt` is raised."""

    model_hash: Digest
    attempt: Annotated[int, Meta(description="The attempt that failed.")]
    revision: Annotated[str, Meta(description="The human's label.")]
    digest: Digest
    reason: Annotated[str, Meta(description="Machine-readable.")]
    message: Annotated[str, Meta(description="One line for people.")]
    at: Annotated[datetime, Meta(description="When the rollback was complete.")]


class Evidence(Contract, frozen=True, kw_only=True):
    """What was seen when a transition was made: the digest proven, by which pods, the routes' generation."""

    digest: Annotated[Digest, Meta(description="Of a revision; of a server, of its template.")] | None = None
    pods: Annotated[tuple[str, ...], Meta(description="Names of the pods that proved it.")] = ()
    route: (
        Annotated[str, Meta(description="Content hash of the live route; of a server, of all live routes to it.")]
        | None
    ) = None
    source: Annotated[str, Meta(description="`file:line` on main.")] | None = None
    templates: Annotated[
        dict[SliceName, str], Meta(description="Of a server: content hash of the template of these pods, by slice.")
    ] = {}
    models: Annotated[
        dict[SliceName, str],
        Meta(description="Of a server: hash of all that a slice is told of models, which these pods prove."),
    ] = {}
    passed_over: Annotated[
        tuple[str, ...],
        Meta(description="Of a server: Deployments that it did not wait for, since nothing of its pods could be seen."),
    ] = ()


class Transition(Contract, frozen=True, kw_only=True):
    """One change of stage or step."""

    at: Annotated[datetime, Meta(description="When it was decided.")]
    stage: Annotated[str, Meta(description="The stage entered.")]
    step: Annotated[str, Meta(description="The row of the plan entered.")]
    message: Annotated[str, Meta(description="One line for people.")]
    evidence: Evidence = Evidence()


class DeploymentStatus(Contract, frozen=True, kw_only=True):
    """`status/<namespace>/deployments/<name>.yaml`."""

    api_version: ApiVersion
    kind: Annotated[Literal["DeploymentStatus"], Meta(description="The kind of this file.")]
    schema_version: SchemaVersion
    metadata: StatusMetadata
    stage: Stage
    message: Annotated[str, Meta(description="One line for people: what it waits for, or why it ended so.")]
    rollout: RolloutPolicy | None = None
    traffic: TrafficPolicy | None = None
    current: ModelRevision | None = None
    candidate: ModelRevision | None = None
    failed: FailedRevision | None = None
    progress: Progress | None = None
    slices: Annotated[dict[SliceName, SliceState], Meta(description="What each slice is told.")] = {}
    there: Annotated[
        dict[SliceName, SliceState],
        Meta(description="While the Deployment moves: what the slices are told at the candidate's server or name."),
    ] = {}
    route: RouteState | None = None
    findings: Annotated[tuple[Finding, ...], Meta(description="Problems of the resource on main.")] = ()
    transitions: Annotated[tuple[Transition, ...], Meta(description="Of the last rollout; older ones are in git.")] = ()


# ---- InferenceServer


class ServerStage(StrEnum):
    """The stages of an InferenceServer."""

    CREATE = "Create"
    PROVISION = "Provision"
    HEALTH_CHECK = "Health Check"
    SERVE = "Serve"
    DELETE = "Delete"


class Replicas(Contract, frozen=True, kw_only=True):
    """Replicas of the main slice: `min` equals `max` without an autoscaler."""

    min: Annotated[int, Meta(description="Fewest replicas.", ge=0)]
    max: Annotated[int, Meta(description="Most replicas; equal to `min` without an autoscaler.", ge=0)]
    target_cpu: Annotated[int, Meta(description="Mean CPU use in percent that the autoscaler holds.")] | None = None


class CachePolicy(Contract, frozen=True, kw_only=True):
    """The model volume."""

    size_limit: Annotated[str, Meta(description="Size of the volume.")]
    claim: Annotated[str, Meta(description="Name of a PersistentVolumeClaim.")] | None = None


class SyncPolicy(Contract, frozen=True, kw_only=True):
    """The sidecar's limits, in seconds and counts."""

    resync: Seconds
    connections: Annotated[int, Meta(description="Downloads at once.")]
    load_deadline: Seconds


class ServerTemplate(Contract, frozen=True, kw_only=True):
    """All that a change of replaces pods, resolved."""

    template_version: Annotated[int, Meta(ge=1, description="Version of Fresco's pod template.")]
    backend: BackendType
    image: Annotated[str, Meta(description="Image of the server.")]
    model_sync_image: Annotated[str, Meta(description="Image of the sidecar.")]
    args: Annotated[tuple[str, ...], Meta(description="Further arguments of the server.")]
    env: Annotated[dict[str, str], Meta(description="Further environment of the server.")]
    resources: Resources
    scheduling: Scheduling
    cache: CachePolicy
    sync: SyncPolicy
    on_model_failure: Annotated[
        Literal["block", "degrade"], Meta(description="What a starting pod does without a gated model.")
    ]
    update: Annotated[Literal["surge", "replace"], Meta(description="`replace` where there is no spare GPU.")]
    credentials: Name | None = None
    service_account_annotations: Annotated[
        dict[str, str], Meta(description="Annotations of the pods' service account.")
    ] = {}


class ServerSlice(Contract, frozen=True, kw_only=True):
    """One slice as it is rendered."""

    template: Role
    replicas: Replicas
    routed: Annotated[bool, Meta(description="Whether routes may lead to it: not while its pods are replaced.")] = True


class ServerProgress(Contract, frozen=True, kw_only=True):
    """The work in hand: which row of its plan (`render.rollout.server_plan`), since when, on which slices.

    Rollout and Rollback replace pods; CleanUp takes a slice away.
    """

    work: Work
    step: Annotated[str, Meta(description="Row of the plan.", examples=["canary first pod"])]
    started_at: Annotated[datetime, Meta(description="Start of the work.")]
    since: Annotated[datetime, Meta(description="Start of this step.")]
    slices: Annotated[dict[SliceName, int], Meta(description="Most replicas of the slices that it began with.")]
    gaps: Annotated[tuple[Gap, ...], Meta(description="What deadlines do not count.")] = ()
    cause: Cause | None = None


class FailedTemplate(Contract, frozen=True, kw_only=True):
    """The template that was rolled back last. Another one is tried, or this one again after a return to `current`."""

    template: ServerTemplate
    reason: Annotated[str, Meta(description="Machine-readable.")]
    message: Annotated[str, Meta(description="One line for people.")]
    at: Annotated[datetime, Meta(description="When the rollback was complete.")]


class ServerStatus(Contract, frozen=True, kw_only=True):
    """`status/<namespace>/servers/<name>.yaml`."""

    api_version: ApiVersion
    kind: Annotated[Literal["InferenceServerStatus"], Meta(description="The kind of this file.")]
    schema_version: SchemaVersion
    metadata: StatusMetadata
    stage: ServerStage
    message: Annotated[str, Meta(description="One line for people.")]
    quorum: Percent
    deadline: Annotated[
        Seconds, Meta(description="Observed time that one pod of a new template may take until it proves its models.")
    ] = limits.DEADLINE_RESOURCE_ACQUISITION
    current: ServerTemplate | None = None
    candidate: ServerTemplate | None = None
    failed: FailedTemplate | None = None
    progress: ServerProgress | None = None
    slices: Annotated[dict[SliceName, ServerSlice], Meta(description="The slices as they are rendered.")] = {}
    findings: Annotated[tuple[Finding, ...], Meta(description="Problems of the resource on main.")] = ()
    transitions: Annotated[tuple[Transition, ...], Meta(description="The last ten.")] = ()


# ---- Repository


class RepositoryStatus(Contract, frozen=True, kw_only=True):
    """`status/repository.yaml`: the settings in force, and findings that belong to no resource."""

    api_version: ApiVersion
    kind: Annotated[Literal["RepositoryStatus"], Meta(description="The kind of this file.")]
    schema_version: SchemaVersion
    cluster: Name
    gateway: Gateway
    settle: Seconds
    max_servers_at_once: Annotated[
        int, Meta(description="InferenceServers whose pods are replaced at the same time.", ge=1)
    ] = limits.MAX_SERVERS_AT_ONCE
    frozen: Annotated[bool, Meta(description="fresco.yaml is missing or broken: nothing is accepted.")] = False
    held_deletions: Annotated[tuple[str, ...], Meta(description="Deletions that wait for a permission.")] = ()
    findings: Annotated[tuple[Finding, ...], Meta(description="Problems that belong to no resource.")] = ()


class Tree(Contract, frozen=True, kw_only=True):
    """A whole status tree. Keys are (namespace, name) pairs, written `namespace/name`."""

    repository: RepositoryStatus
    servers: dict[str, ServerStatus] = {}
    deployments: dict[str, DeploymentStatus] = {}
