"""Michelangelo's own two resources, `michelangelo.api/v2` InferenceServer and Deployment, as people write them. Pure.

Their API is protobuf shown as YAML: an empty text, a zero and false are the same as nothing. `render.compat` turns
these forms into Fresco's own, field by field.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import Meta

from schemas.base import Contract, ObjectName
from schemas.resources import Metadata

TheirVersion = Annotated[Literal["michelangelo.api/v2"], Meta(description="Group and version of Michelangelo's API.")]
Size = Annotated[
    str,
    Meta(
        pattern=r"^([0-9]+(\.[0-9]+)?(k|K|Ki|M|Mi|G|Gi|T|Ti)?)?$",
        max_length=20,
        description="Bytes, with a unit.",
        examples=["4Gi"],
    ),
]
Count = Annotated[int, Meta(ge=0, description="A whole number; 0 is the same as nothing.")]
Whatever = Annotated[dict[str, Any], Meta(description="Read, and not looked into.")]
Status = Annotated[dict[str, Any], Meta(description="What a cluster said of it; Fresco reads none.")]


class Reference(Contract, frozen=True, kw_only=True):
    """Another resource, by name and namespace."""

    name: Annotated[ObjectName, Meta(description="Its name.")]
    namespace: Annotated[ObjectName, Meta(description="Default: this resource's namespace.")] | None = None


class User(Contract, frozen=True, kw_only=True):
    """Who touched the resource last."""

    name: Annotated[str, Meta(description="The user's name.")] = ""
    proxy_user: Annotated[str, Meta(description="On whose behalf.")] = ""


# ---- InferenceServer


class TenancyType(StrEnum):
    """For how many projects a server is."""

    DEDICATED = "TENANCY_TYPE_DEDICATED"
    MULTI_TENANT = "TENANCY_TYPE_MULTI_TENANT"


class TheirBackend(StrEnum):
    """The serving framework."""

    TRITON = "BACKEND_TYPE_TRITON"
    LLM_D = "BACKEND_TYPE_LLM_D"
    DYNAMO = "BACKEND_TYPE_DYNAMO"
    TORCHSERVE = "BACKEND_TYPE_TORCHSERVE"
    KSERVE = "BACKEND_TYPE_KSERVE"


class OwnerSpec(Contract, frozen=True, kw_only=True):
    """To whom the server's capacity is attributed."""

    owner_info: Whatever = {}
    tier: Annotated[int, Meta(ge=0, le=4, description="From 1, the highest, to 4.")] = 0


class ResourceSpec(Contract, frozen=True, kw_only=True):
    """What one instance gets."""

    cpu: Annotated[Count, Meta(description="Whole cores.")] = 0
    memory: Annotated[Size, Meta(description="Main memory.")] = ""
    disk_size: Annotated[Size, Meta(description="Room for models.")] = ""
    gpu: Annotated[Count, Meta(description="Number of GPUs.")] = 0
    gpu_sku: Annotated[str, Meta(description="Kind of GPU.")] = ""
    file_descriptors: Annotated[Count, Meta(description="Open files at most.")] = 0


class ServingSpec(Contract, frozen=True, kw_only=True):
    """The server program."""

    version: Annotated[str, Meta(description="Its version.", examples=["24.10"])] = ""
    container_build_template: Annotated[str, Meta(description="What its image is made from.")] = ""


class InitSpec(Contract, frozen=True, kw_only=True):
    """What the server is made with."""

    resource_spec: ResourceSpec = ResourceSpec()
    serving_spec: ServingSpec = ServingSpec()
    num_instances: Annotated[Count, Meta(description="Replicas.")] = 0


class DecomSpec(Contract, frozen=True, kw_only=True):
    """Whether the server is to go."""

    decommission: Annotated[bool, Meta(description="True deletes it.")] = False


class TheirServerSpec(Contract, frozen=True, kw_only=True):
    """A fleet of equal instances."""

    backend_type: Annotated[TheirBackend, Meta(description="The serving framework; Fresco serves BACKEND_TYPE_TRITON.")]
    tenancy_type: TenancyType = TenancyType.DEDICATED
    owner_spec: OwnerSpec = OwnerSpec()
    init_spec: InitSpec = InitSpec()
    decom_spec: DecomSpec = DecomSpec()
    owner: User = User()
    cluster_targets: Annotated[tuple[Whatever, ...], Meta(description="The clusters that serve it.")] = ()
    deployment_strategy: Annotated[Whatever, Meta(description="In which kind of cluster it is served.")] = {}


class TheirServer(Contract, frozen=True, kw_only=True):
    """Michelangelo's InferenceServer."""

    api_version: TheirVersion
    kind: Annotated[Literal["InferenceServer"], Meta(description="The kind of this resource.")]
    metadata: Metadata
    spec: TheirServerSpec
    status: Status = {}


# ---- Deployment


class TargetType(StrEnum):
    """What a model is deployed to."""

    INFERENCE_SERVER = "TARGET_TYPE_INFERENCE_SERVER"
    OFFLINE = "TARGET_TYPE_OFFLINE"
    MOBILE = "TARGET_TYPE_MOBILE"
    SELF_HOSTED = "TARGET_TYPE_SELF_HOSTED"


class TargetDefinition(Contract, frozen=True, kw_only=True):
    """What the model is deployed to."""

    type: TargetType = TargetType.INFERENCE_SERVER
    sub_type: Annotated[str, Meta(description="Which of its kind.", examples=["realtime-serving"])] = ""


class LabelSelector(Contract, frozen=True, kw_only=True):
    """Instances of the server, by label."""

    match_labels: Annotated[dict[str, str], Meta(description="Labels that they have.")] = {}
    match_expressions: Annotated[tuple[Whatever, ...], Meta(description="Conditions on their labels.")] = ()


class DeletionSpec(Contract, frozen=True, kw_only=True):
    """Whether the Deployment is to go."""

    deleted: Annotated[bool, Meta(description="True deletes it.")] = False


class Rolling(Contract, frozen=True, kw_only=True):
    """A share of the instances at a time."""

    increment_percentage: Annotated[int, Meta(ge=0, le=100, description="Percent of the instances at a time.")] = 0


class Zonal(Contract, frozen=True, kw_only=True):
    """A zone at a time."""

    rollout_period_in_seconds: Annotated[float, Meta(ge=0, le=10**8, description="Wait after each zone.")] = 0.0


class Blast(Contract, frozen=True, kw_only=True):
    """All instances at once."""

    with_rollback_trigger: Annotated[bool, Meta(description="Whether alerts roll it back.")] = False
    issue_link: Annotated[str, Meta(description="The ticket that says why.")] = ""
    jira_link: Annotated[str, Meta(description="The older name of `issueLink`.")] = ""


class RedBlack(Contract, frozen=True, kw_only=True):
    """A second fleet beside the first."""

    zonal_parallel: Annotated[bool, Meta(description="Whether all zones go at once.")] = False


class Disaggregated(Contract, frozen=True, kw_only=True):
    """An environment at a time, each in its own way."""

    steps: Annotated[tuple[Whatever, ...], Meta(description="The environments, first to last.")] = ()


class TheirStrategy(Contract, frozen=True, kw_only=True):
    """How a new revision spreads: one of these."""

    rolling: Rolling | None = None
    zonal: Zonal | None = None
    blast: Blast | None = None
    red_black: RedBlack | None = None
    disaggregated: Disaggregated | None = None


class ShadowSpec(Contract, frozen=True, kw_only=True):
    """A copy of requests for the new revision."""

    traffic_percentage: Annotated[float, Meta(ge=0, le=100, description="Percent of the requests.")] = 0.0
    duration: Annotated[str, Meta(description="How long.", examples=["3600s"])] = ""
    metrics: Annotated[tuple[Whatever, ...], Meta(description="How the answers are compared.")] = ()
    enabled: Annotated[bool, Meta(description="Whether there is one.")] = False
    dryrun: Annotated[bool, Meta(description="Whether no request is copied yet.")] = False


class TheirDeploymentSpec(Contract, frozen=True, kw_only=True):
    """One revision of a model, on one target."""

    desired_revision: Annotated[Reference, Meta(description="The revision to serve.")] | None = None
    inference_server: Annotated[Reference, Meta(description="The server that serves it.")] | None = None
    mobile_spec: Annotated[Whatever, Meta(description="The devices that carry it.")] | None = None
    selector: LabelSelector = LabelSelector()
    deletion_spec: DeletionSpec = DeletionSpec()
    strategy: TheirStrategy = TheirStrategy()
    definition: TargetDefinition = TargetDefinition()
    model_family: Annotated[Reference, Meta(description="The family that the model is of.")] | None = None
    owner: User = User()
    shadow_spec: ShadowSpec = ShadowSpec()
    health_check_config: Annotated[Whatever, Meta(description="What is asked before the next zone.")] = {}
    resource_links: Annotated[dict[str, str], Meta(description="Links for people.")] = {}


class TheirDeployment(Contract, frozen=True, kw_only=True):
    """Michelangelo's Deployment."""

    api_version: TheirVersion
    kind: Annotated[Literal["Deployment"], Meta(description="The kind of this resource.")]
    metadata: Metadata
    spec: TheirDeploymentSpec
    status: Status = {}
