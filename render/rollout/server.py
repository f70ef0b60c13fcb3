"""How one InferenceServer advances: Create, Provision, Health Check, Serve, Delete. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from render.normal import Kept, WantedServer
from render.rollout.observation import Observation, Pod, key, object_key
from schemas import API_VERSION
from schemas.base import utc
from schemas.status import (
    SCHEMA_VERSION,
    DeploymentStatus,
    Evidence,
    Role,
    ServerSlice,
    ServerStage,
    ServerStatus,
    SliceName,
    StatusMetadata,
    Transition,
)

replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True)
class ServerStep:
    """The status after one look; None means: forget it."""

    status: ServerStatus | None


def new(namespace: str, name: str) -> ServerStatus:
    """The status of an InferenceServer that nothing is known of yet."""
    return ServerStatus(
        api_version=API_VERSION,
        kind="InferenceServerStatus",
        schema_version=SCHEMA_VERSION,
        metadata=StatusMetadata(name=name, namespace=namespace),
        stage=ServerStage.CREATE,
        message="not accepted yet",
        quorum=0,
    )


def advance(
    wanted: WantedServer | Kept | None,
    status: ServerStatus,
    users: Mapping[str, DeploymentStatus],
    observation: Observation,
) -> ServerStep:
    """One look at one InferenceServer. `users`: the Deployments that are served on it, by name.

    `wanted` is None once its file is gone: it stays until nothing is served on it any more.
    """
    if wanted is None:
        return _delete(status, users, observation)
    if isinstance(wanted, Kept):
        status = replace(status, findings=wanted.findings)
        if status.current is None:
            return ServerStep(replace(status, message=_first_message(wanted)))
    else:
        status = _accept(wanted, status, users, observation)
    return ServerStep(_observe(status, observation) if observation.complete else status)


def quorum(status: ServerStatus, name: SliceName) -> int:
    """Live pods that "every replica" of a slice needs at least."""
    return math.ceil(status.slices[name].replicas.min * status.quorum / 100)


def _accept(
    wanted: WantedServer, status: ServerStatus, users: Mapping[str, DeploymentStatus], observation: Observation
) -> ServerStatus:
    slices = {name: ServerSlice(template=Role.CURRENT, replicas=one) for name, one in wanted.replicas.items()}
    slices |= {
        name: status.slices[name] for name in _pinned(users.values()) if name in status.slices and name not in slices
    }
    ordered = {name: slices[name] for name in sorted(slices)}
    accepted = replace(status, quorum=wanted.quorum, findings=wanted.findings, slices=ordered)
    if status.current == wanted.template:
        return accepted
    stage = ServerStage.CREATE if status.current is None else ServerStage.PROVISION
    message = "creating its objects" if status.current is None else "its pods are replaced by the new template"
    accepted = replace(accepted, current=wanted.template, transitions=())
    return _enter(accepted, stage, message, observation, source=wanted.source)


def _pinned(users: Iterable[DeploymentStatus]) -> set[SliceName]:
    """Slices that a rollout began with; they stay until it is over."""
    return {name for one in users if one.progress is not None for name in one.progress.slices}


def _observe(status: ServerStatus, observation: Observation) -> ServerStatus:
    stage, message = _stage(status, observation)
    return status if stage is status.stage else _enter(status, stage, message, observation)


def _stage(status: ServerStatus, observation: Observation) -> tuple[ServerStage, str]:
    namespace, name = status.metadata.namespace, status.metadata.name
    missing = [
        one for one in status.slices if object_key("Deployment", namespace, f"{name}-{one}") not in observation.objects
    ]
    if missing:
        return (status.stage if status.stage is ServerStage.PROVISION else ServerStage.CREATE), "creating its objects"
    pods = observation.pods.get(key(namespace, name), ())
    short = [one for one in status.slices if _count(pods, one) < quorum(status, one)]
    if short:
        return ServerStage.PROVISION, f"starting pods of {', '.join(short)}"
    dead = [one for one in status.slices if _live(pods, one) < (1 if _served(status) else quorum(status, one))]
    if dead:
        return ServerStage.HEALTH_CHECK, f"waits for the servers of {', '.join(dead)} to be live"
    return ServerStage.SERVE, "serving"


def _served(status: ServerStatus) -> bool:
    """Once it serves, single pods that restart are no news: it is until a slice has no live pod."""
    return status.stage is ServerStage.SERVE


def _count(pods: Iterable[Pod], name: str) -> int:
    return sum(pod.slice == name for pod in pods)


def _live(pods: Iterable[Pod], name: str) -> int:
    return sum(pod.slice == name and pod.live is not False for pod in pods if pod.live is not None or pod.ready)


def _delete(status: ServerStatus, users: Mapping[str, DeploymentStatus], observation: Observation) -> ServerStep:
    if not users:
        return ServerStep(None)
    message = f"its file is gone; waits for {', '.join(sorted(users))} to be deleted"
    if status.stage is ServerStage.DELETE and status.message == message:
        return ServerStep(status)
    return ServerStep(_enter(status, ServerStage.DELETE, message, observation))


def _enter(
    status: ServerStatus, stage: ServerStage, message: str, observation: Observation, source: str | None = None
) -> ServerStatus:
    seen = Transition(
        at=utc(observation.now), stage=stage, step=stage, message=message, evidence=Evidence(source=source)
    )
    return replace(status, stage=stage, message=message, transitions=(*status.transitions[-9:], seen))


def _first_message(kept: Kept) -> str:
    return kept.findings[0].message if kept.findings else "not accepted yet"
