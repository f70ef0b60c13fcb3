"""How one InferenceServer advances: Create, Provision, Health Check, Serve, Delete; and its own rollouts. Pure.

What a human may change without new pods applies live. A new template goes through the rows of its plan
(`server_plan`), one commit's worth of change after the other; what fails, or what a human takes back, goes back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from render.normal import Kept, WantedServer
from render.rollout import server_evidence, server_judge
from render.rollout.clock import elapsed
from render.rollout.judge import Held, quorum
from render.rollout.observation import Observation, Pod, key, object_key
from render.rollout.server_judge import ServerScene
from render.rollout.server_plan import Row, Told, at, late, rows
from schemas import API_VERSION
from schemas.base import utc
from schemas.status import (
    SCHEMA_VERSION,
    Cause,
    Evidence,
    FailedTemplate,
    Gap,
    Role,
    ServerProgress,
    ServerSlice,
    ServerStage,
    ServerStatus,
    SliceName,
    StatusMetadata,
    Transition,
    Work,
)

replace = msgspec.structs.replace

NOTHING = Evidence()
_TRANSITIONS = 10
_TROUBLES = 3  # named in one message
_DONE = {
    Work.ROLLOUT: "every pod has the new template",
    Work.ROLLBACK: "every pod has the previous template again",
    Work.CLEAN_UP: "the canary slice is taken away",
}


@dataclass(frozen=True, slots=True)
class ServerStep:
    """The status after one look, None means: forget it. `wake_at`: when to look again without an event."""

    status: ServerStatus | None
    wake_at: float | None = None


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


def advance(wanted: WantedServer | Kept | None, status: ServerStatus, scene: ServerScene) -> ServerStep:
    """One look at one InferenceServer. `wanted` is None once its file is gone: it stays until nothing is served on it.

    Call it again until the status stays the same; each call makes at most one step.
    """
    if wanted is None:
        return _delete(status, scene)
    if isinstance(wanted, Kept):
        status = replace(status, findings=wanted.findings)
        if status.current is None:
            return ServerStep(replace(status, message=_first_message(wanted)))
    else:
        status = _accept(wanted, status, scene)
    if not scene.observation.complete:
        return ServerStep(status)
    if isinstance(wanted, WantedServer):
        status = _heed(wanted, status, scene)
    return _work(status, scene) if status.progress is not None else ServerStep(_observe(wanted, status, scene))


def add_gap(status: ServerStatus, start: datetime, end: datetime) -> ServerStatus:
    """The status with a gap in observation that its deadlines do not count."""
    if status.progress is None:
        return status
    gap = Gap(start=start, end=end)
    return replace(status, progress=replace(status.progress, gaps=(*status.progress.gaps, gap)))


# ---- what a human wants


def _accept(wanted: WantedServer, status: ServerStatus, scene: ServerScene) -> ServerStatus:
    """What needs no new pods; and the template, as long as nothing is served on it that new pods could fail to."""
    accepted = replace(
        status,
        quorum=wanted.quorum,
        deadline=wanted.deadline,
        findings=wanted.findings,
        slices=_slices(wanted, status),
    )
    if status.current is None:
        accepted = replace(accepted, current=wanted.template, transitions=())
        return _enter(accepted, ServerStage.CREATE, "creating its objects", scene, evidence=_asked(wanted))
    if status.current == wanted.template or status.progress is not None or _serves(scene):
        return accepted
    accepted = replace(accepted, current=wanted.template, failed=None)
    return _enter(accepted, ServerStage.PROVISION, "its pods are replaced", scene, evidence=_asked(wanted))


def _slices(wanted: WantedServer, status: ServerStatus) -> dict[SliceName, ServerSlice]:
    """The replicas that are wanted now. A slice that is wanted no more stays until it is taken away in order."""
    before: Mapping[SliceName, ServerSlice] = status.slices
    slices = {
        name: replace(before[name], replicas=one)
        if name in before
        else ServerSlice(template=Role.CURRENT, replicas=one)
        for name, one in wanted.replicas.items()
    }
    slices |= {name: one for name, one in before.items() if name not in slices}
    return {name: slices[name] for name in sorted(slices)}


def _serves(scene: ServerScene) -> bool:
    return any(user.current is not None or user.route is not None for user in scene.users)


def _heed(wanted: WantedServer, status: ServerStatus, scene: ServerScene) -> ServerStatus:
    """Begins what a difference between what is wanted and what is asks for, or ends what is wanted no more."""
    if status.progress is not None:
        return _heed_at_work(wanted, status, status.progress, scene)
    if status.failed is not None and wanted.template != status.failed.template:
        status = replace(status, failed=None)
    if status.current != wanted.template and status.failed is None and _may_begin(scene):
        return _begin(replace(status, candidate=wanted.template), Work.ROLLOUT, scene, _asked(wanted))
    if status.slices.keys() - wanted.replicas.keys() and not _is_held(scene):
        return _begin(status, Work.CLEAN_UP, scene, _asked(wanted))
    return status


def _heed_at_work(
    wanted: WantedServer, status: ServerStatus, progress: ServerProgress, scene: ServerScene
) -> ServerStatus:
    """A human always wins: a newer template, or a return to the one before, ends the work in hand."""
    unwanted = wanted.template != status.candidate
    if progress.work is Work.CLEAN_UP:
        unwanted = not status.slices.keys() - wanted.replicas.keys()
    if progress.step == "turn" and not unwanted and _is_held(scene):
        return _put_down(status, "a rollout on it is held", scene)
    if progress.work is Work.ROLLBACK or not unwanted:
        return status
    if progress.step == "turn" or progress.work is Work.CLEAN_UP:
        return _put_down(status, "the InferenceServer was changed", scene, _asked(wanted))
    message = "the InferenceServer was changed before all pods were new"
    if wanted.template == status.current:
        cause = Cause(kind="withdrawn", reason="Withdrawn", message=message)
    else:
        cause = Cause(kind="superseded", reason="Superseded", message=message)
    return _begin_rollback(status, scene, cause, _asked(wanted))


def _may_begin(scene: ServerScene) -> bool:
    return scene.has_room and not _is_held(scene)


def _is_held(scene: ServerScene) -> bool:
    """Whether a human holds a rollout on it, which may take days: the room is for others."""
    return any(user.progress is not None and user.progress.paused_at is not None for user in scene.users)


def _begin(status: ServerStatus, work: Work, scene: ServerScene, evidence: Evidence) -> ServerStatus:
    now = utc(scene.now)
    slices = {name: max(1, one.replicas.max) for name, one in status.slices.items()}
    status = replace(status, progress=ServerProgress(work=work, step="", started_at=now, since=now, slices=slices))
    return _enter_row(status, rows(status)[0], scene, evidence)


def _begin_rollback(
    status: ServerStatus, scene: ServerScene, cause: Cause, evidence: Evidence = NOTHING
) -> ServerStatus:
    progress = replace(_progress(status), work=Work.ROLLBACK, cause=cause)
    status = replace(status, progress=progress)
    return _enter_row(status, rows(status)[0], scene, evidence)


def _put_down(status: ServerStatus, why: str, scene: ServerScene, evidence: Evidence = NOTHING) -> ServerStatus:
    """Ends work that has changed no pod."""
    slices = {name: replace(one, routed=True) for name, one in status.slices.items()}
    status = replace(status, progress=None, candidate=None, slices=slices)
    message = f"no pod was replaced: {why}"
    return _enter(status, ServerStage.PROVISION, message, scene, step="done", evidence=evidence)


def _asked(wanted: WantedServer) -> Evidence:
    return Evidence(source=wanted.source)


# ---- work in hand


def _work(status: ServerStatus, scene: ServerScene) -> ServerStep:
    plan = rows(status)
    index = at(plan, _progress(status).step)
    row = plan[index]
    cause = server_judge.failure(row, status, scene) if _progress(status).work is Work.ROLLOUT else None
    if cause is not None:
        return ServerStep(_begin_rollback(status, scene, cause))
    held = server_judge.holds(row, status, scene)
    if not held.ok:
        return _wait(status, row, held, scene)
    evidence = server_evidence.of(row, status, scene.repository, scene.users, held.pods)
    if index + 1 < len(plan):
        return ServerStep(_enter_row(status, plan[index + 1], scene, evidence))
    return ServerStep(_finish(status, scene, evidence))


def _wait(status: ServerStatus, row: Row, held: Held, scene: ServerScene) -> ServerStep:
    """Unknown is never failure: it holds the row until the deadline, which runs while any pod can be observed."""
    progress = _progress(status)
    if row.deadline is None:
        return ServerStep(status, held.wake_at)
    left = row.deadline - elapsed(progress.since, scene.now, progress.gaps)
    if left > 0:
        return ServerStep(status, min(scene.now + left, held.wake_at or scene.now + left))
    if not any(pod.report for pod in _pods(status, scene.observation)):
        return ServerStep(status, held.wake_at)
    message = f"{row.step}: not done in {row.deadline:g} s: {held.why}"
    if progress.work is Work.ROLLOUT:
        cause = Cause(kind="failed", reason="DeadlineMissed", message=message)
        return ServerStep(_begin_rollback(status, scene, cause), held.wake_at)
    if status.message == late(row):
        return ServerStep(status, held.wake_at)
    return ServerStep(_record(replace(status, message=late(row)), scene, step=row.step), held.wake_at)


def _enter_row(status: ServerStatus, row: Row, scene: ServerScene, evidence: Evidence) -> ServerStatus:
    progress = replace(_progress(status), step=row.step, since=utc(scene.now))
    slices = {name: _told(one, row.slices.get(name)) for name, one in status.slices.items()}
    cause = f" ({progress.cause.reason}: {progress.cause.message})" if progress.cause is not None else ""
    status = replace(status, progress=progress, slices=slices)
    return _enter(status, ServerStage.PROVISION, row.message + cause, scene, step=row.step, evidence=evidence)


def _told(state: ServerSlice, told: Told | None) -> ServerSlice:
    """A slice that came after the work had begun is told nothing."""
    return state if told is None else replace(state, template=told.template, routed=told.routed)


def _finish(status: ServerStatus, scene: ServerScene, evidence: Evidence) -> ServerStatus:
    progress = _progress(status)
    slices = {name: replace(one, template=Role.CURRENT, routed=True) for name, one in status.slices.items()}
    done = replace(status, progress=None, candidate=None, slices=slices)
    match progress.work:
        case Work.ROLLOUT:
            done = replace(done, current=status.candidate, failed=None)
        case Work.ROLLBACK:
            done = replace(done, failed=_failed(status, progress.cause, scene))
        case Work.CLEAN_UP:
            done = replace(done, slices={name: one for name, one in slices.items() if name == "main"})
    return _enter(done, ServerStage.SERVE, _DONE[progress.work], scene, step="done", evidence=evidence)


def _failed(status: ServerStatus, cause: Cause | None, scene: ServerScene) -> FailedTemplate | None:
    if status.candidate is None or cause is None or cause.kind != "failed":
        return None
    return FailedTemplate(template=status.candidate, reason=cause.reason, message=cause.message, at=utc(scene.now))


def _progress(status: ServerStatus) -> ServerProgress:
    if status.progress is None:
        raise ValueError("no work in hand")
    return status.progress


# ---- nothing in hand


def _observe(wanted: WantedServer | Kept, status: ServerStatus, scene: ServerScene) -> ServerStatus:
    stage, message = _stage(status, scene)
    if stage is ServerStage.SERVE:
        message = "; ".join(["serving", *_notes(wanted, status, scene)])
    if stage is status.stage:
        keep = status.message if stage is not ServerStage.SERVE else message
        return replace(status, message=keep)
    pods = _proving(status, scene) if stage is ServerStage.SERVE else ()
    return _enter(status, stage, message, scene, evidence=Evidence(pods=pods))


def _notes(wanted: WantedServer | Kept, status: ServerStatus, scene: ServerScene) -> list[str]:
    """What a person should know of a server that serves."""
    notes = []
    if status.failed is not None:
        notes.append(f"the newer template was rolled back: {status.failed.reason}: {status.failed.message}")
    elif isinstance(wanted, WantedServer) and wanted.template != status.current:
        held = "a paused rollout on it" if _is_held(scene) else "other servers whose pods are being replaced"
        notes.append(f"a newer template waits for {held}")
    troubles = server_judge.troubles(status, scene)
    more = [f"{len(troubles) - _TROUBLES} more"] if len(troubles) > _TROUBLES else []
    return [*notes, *troubles[:_TROUBLES], *more]


def _stage(status: ServerStatus, scene: ServerScene) -> tuple[ServerStage, str]:
    namespace, name = status.metadata.namespace, status.metadata.name
    objects = scene.observation.objects
    missing = [one for one in status.slices if object_key("Deployment", namespace, f"{name}-{one}") not in objects]
    if missing:
        return (status.stage if status.stage is ServerStage.PROVISION else ServerStage.CREATE), "creating its objects"
    pods = _pods(status, scene.observation)
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


def _pods(status: ServerStatus, observation: Observation) -> tuple[Pod, ...]:
    return tuple(observation.pods.get(key(status.metadata.namespace, status.metadata.name), ()))


def _count(pods: Iterable[Pod], name: str) -> int:
    return sum(pod.slice == name for pod in pods)


def _live(pods: Iterable[Pod], name: str) -> int:
    return sum(pod.slice == name and _is_live(pod) for pod in pods)


def _is_live(pod: Pod) -> bool:
    """Where its server cannot be asked, the pod's own readiness counts."""
    return pod.ready if pod.live is None else pod.live


def _proving(status: ServerStatus, scene: ServerScene) -> tuple[str, ...]:
    """The names of the pods whose servers are live."""
    return tuple(pod.name for pod in _pods(status, scene.observation) if pod.slice in status.slices and _is_live(pod))


def _delete(status: ServerStatus, scene: ServerScene) -> ServerStep:
    """Work in hand goes on: what is still served on it is served by pods that are known to serve."""
    if not scene.users:
        return ServerStep(None)
    if status.progress is not None:
        return _work(status, scene) if scene.observation.complete else ServerStep(status)
    names = sorted({user.metadata.name for user in scene.users})
    message = f"its file is gone; waits for {', '.join(names)} to be deleted"
    if status.stage is ServerStage.DELETE and status.message == message:
        return ServerStep(status)
    return ServerStep(_enter(status, ServerStage.DELETE, message, scene))


# ---- small parts


def _enter(
    status: ServerStatus,
    stage: ServerStage,
    message: str,
    scene: ServerScene,
    *,
    step: str | None = None,
    evidence: Evidence = NOTHING,
) -> ServerStatus:
    status = replace(status, stage=stage, message=message)
    return _record(status, scene, step=step or stage, evidence=evidence)


def _record(status: ServerStatus, scene: ServerScene, *, step: str, evidence: Evidence = NOTHING) -> ServerStatus:
    about = status.candidate or status.current
    if about is not None:
        evidence = replace(evidence, digest=server_evidence.digest(about))
    seen = Transition(at=utc(scene.now), stage=status.stage, step=step, message=status.message, evidence=evidence)
    return replace(status, transitions=(*status.transitions[1 - _TRANSITIONS :], seen))


def _first_message(kept: Kept) -> str:
    return kept.findings[0].message if kept.findings else "not accepted yet"
