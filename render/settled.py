"""The status that a cluster comes to when every rollout is complete: what `fresco render` shows of main alone. Pure."""

from collections.abc import Mapping
from typing import Literal

from render.normal import Kept, Wanted, WantedDeployment, WantedServer
from schemas import limits
from schemas.status import (
    SCHEMA_VERSION,
    DeploymentStatus,
    Role,
    RouteState,
    ServerSlice,
    ServerStage,
    ServerStatus,
    SliceState,
    Stage,
    StatusMetadata,
    Tree,
)

_API: Literal["serving.fresco.dev/v1alpha1"] = "serving.fresco.dev/v1alpha1"


def settled(wanted: Wanted) -> Tree:
    """A Deployment whose server is not accepted stays out, as does all that is not accepted itself."""
    servers = {key: server(key, one) for key, one in wanted.servers.items()}
    return Tree(
        repository=wanted.repository,
        servers=servers,
        deployments={key: deployment(key, one, servers) for key, one in wanted.deployments.items()},
    )


def _metadata(key: str) -> StatusMetadata:
    namespace, _, name = key.partition("/")
    return StatusMetadata(name=name, namespace=namespace)


def server(key: str, wanted: WantedServer | Kept) -> ServerStatus:
    """One InferenceServer, its pods as they are wanted."""
    accepted = wanted if isinstance(wanted, WantedServer) else None
    replicas = accepted.replicas if accepted is not None else {}
    return ServerStatus(
        api_version=_API,
        kind="InferenceServerStatus",
        schema_version=SCHEMA_VERSION,
        metadata=_metadata(key),
        stage=ServerStage.SERVE if accepted is not None else ServerStage.CREATE,
        message="serving" if accepted is not None else "not accepted",
        quorum=accepted.quorum if accepted is not None else 0,
        deadline=accepted.deadline if accepted is not None else limits.DEADLINE_RESOURCE_ACQUISITION,
        current=accepted.template if accepted is not None else None,
        slices={name: ServerSlice(template=Role.CURRENT, replicas=one) for name, one in replicas.items()},
        findings=wanted.findings,
    )


def deployment(key: str, wanted: WantedDeployment | Kept, servers: Mapping[str, ServerStatus]) -> DeploymentStatus:
    """One Deployment, served on its server of `servers`."""
    accepted = wanted if isinstance(wanted, WantedDeployment) else None
    host = servers.get(f"{key.split('/')[0]}/{accepted.model.server}") if accepted is not None else None
    return DeploymentStatus(
        api_version=_API,
        kind="DeploymentStatus",
        schema_version=SCHEMA_VERSION,
        metadata=_metadata(key),
        stage=Stage.ROLLOUT_COMPLETE if accepted is not None else Stage.VALIDATION,
        message=f"serving {accepted.model.revision}" if accepted is not None else "not accepted",
        rollout=accepted.rollout if accepted is not None else None,
        traffic=accepted.traffic if accepted is not None else None,
        current=accepted.model if accepted is not None else None,
        slices=dict.fromkeys(host.slices, SliceState(serve=Role.CURRENT)) if host is not None else {},
        route=RouteState() if accepted is not None else None,
        findings=wanted.findings,
    )
