"""How one Deployment advances: status' = advance(wanted, status, scene). Pure.

Work in hand goes through the rows of its plan: a row is entered (slices and route are told), it is observed until
its conditions hold and its soak is over, then comes the next. A certain failure or a missed deadline turns a
rollout into a rollback; a human's newer will ends it the same way. Without work in hand a difference between what
is wanted and what is current starts a rollout.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import msgspec

from render import places
from render.normal import Kept, WantedDeployment
from render.objects.route import MAIN_ALONE
from render.places import is_moving
from render.rollout import judge
from render.rollout.clock import elapsed
from render.rollout.judge import Held, Scene
from render.rollout.observation import key
from render.rollout.plan import COMMON, Row, at, is_decided, loads_candidate, rows
from schemas import API_VERSION
from schemas.base import utc
from schemas.resources import Strategy
from schemas.status import (
    SCHEMA_VERSION,
    Cause,
    DeploymentStatus,
    FailedRevision,
    Gap,
    ModelRevision,
    Progress,
    Role,
    RouteState,
    ServerStatus,
    SliceName,
    SliceState,
    Stage,
    StatusMetadata,
    Transition,
    Work,
)

replace = msgspec.structs.replace

_NO_SHARE = "main gets all requests until the canary slice has a ready pod"


@dataclass(frozen=True, slots=True)
class Step:
    """The status after one look, and when to look again without a new event (POSIX seconds)."""

    status: DeploymentStatus | None
    wake_at: float | None = None


def new(namespace: str, name: str) -> DeploymentStatus:
    """The status of a Deployment that nothing is known of yet."""
    return DeploymentStatus(
        api_version=API_VERSION,
        kind="DeploymentStatus",
        schema_version=SCHEMA_VERSION,
        metadata=StatusMetadata(name=name, namespace=namespace),
        stage=Stage.VALIDATION,
        message="not accepted yet",
    )


def advance(wanted: WantedDeployment | Kept | None, status: DeploymentStatus, scene: Scene) -> Step:
    """One look at one Deployment. `wanted` is None once its file is gone. A status of None means: forget it.

    Call it again until the status stays the same; each call makes at most one step.
    """
    if status.stage is Stage.CLEAN_UP_COMPLETE:
        return Step(None)
    status = _cover_slices(_apply_policy(wanted, status), scene)
    if not scene.observation.complete:
        return Step(status)
    status = _apply_will(wanted, status, scene)
    if status.progress is None:
        return _idle(wanted, status, scene)
    return _work(status, scene)


# ---- what a human wants


def _apply_policy(wanted: WantedDeployment | Kept | None, status: DeploymentStatus) -> DeploymentStatus:
    """Policy, findings and labels apply live; they start nothing."""
    if wanted is None:
        return status
    if isinstance(wanted, Kept):
        return _with_message(replace(status, findings=wanted.findings))
    return replace(
        status,
        rollout=wanted.rollout,
        traffic=wanted.traffic,
        findings=wanted.findings,
        current=_relabel(status.current, wanted.model),
        candidate=_relabel(status.candidate, wanted.model) if not _goes_back(status) else status.candidate,
    )


def _goes_back(status: DeploymentStatus) -> bool:
    """Whether the candidate is being taken back: an attempt that is asked for now is another one."""
    return status.progress is not None and status.progress.work is Work.ROLLBACK


def _relabel(revision: ModelRevision | None, wanted: ModelRevision) -> ModelRevision | None:
    """`wanted` where it is the same model: its labels and address may differ. In the same place the path is as wanted
    too; what is served elsewhere keeps the path that it has there."""
    if revision is None or places.place(revision) != places.place(wanted):
        return revision
    return wanted if revision.model_hash == wanted.model_hash else replace(revision, path=wanted.path)


def _cover_slices(status: DeploymentStatus, scene: Scene) -> DeploymentStatus:
    """A slice that was added is told what main is told as soon as it is there, since a route may lead to it; one that
    was removed is told nothing. The slices that a rollout began with are its own."""
    pinned = status.progress.slices if status.progress is not None else {}
    if is_moving(status):
        here = _covered(status.slices, (), judge.left(status, scene))
        return replace(status, slices=here, there=_covered(status.there, pinned, scene))
    return replace(status, slices=_covered(status.slices, pinned, scene))


def _covered(
    told: dict[SliceName, SliceState], pinned: Collection[SliceName], scene: Scene
) -> dict[SliceName, SliceState]:
    there = {name: state for name, state in told.items() if name in pinned or name in scene.server.slices}
    return _with_later(there, pinned, scene)


def _with_later(
    told: dict[SliceName, SliceState], pinned: Collection[SliceName], scene: Scene
) -> dict[SliceName, SliceState]:
    main = told.get("main")
    if main is None:
        return told
    later = [name for name in scene.server.slices if name not in pinned and name != "main"]
    told = told | dict.fromkeys(later, replace(main, first_pods=()))
    return {name: told[name] for name in sorted(told)}


def _with_message(status: DeploymentStatus) -> DeploymentStatus:
    """A Deployment that was never accepted says why."""
    if status.stage is Stage.VALIDATION and status.current is None and status.findings:
        return replace(status, message=status.findings[0].message)
    return status


def _apply_will(wanted: WantedDeployment | Kept | None, status: DeploymentStatus, scene: Scene) -> DeploymentStatus:
    """Deletion, a newer revision, a revert and the pause, for work in hand."""
    if wanted is None:
        return _begin_clean_up(status, scene)
    progress = status.progress
    if isinstance(wanted, WantedDeployment) and _is_stuck(status):
        return _put_down(wanted, status, scene)
    if isinstance(wanted, Kept) or progress is None or progress.work is not Work.ROLLOUT or status.candidate is None:
        return status
    if is_decided(progress.step):
        return _apply_pause(status, scene)  # a newer one comes after it
    if status.candidate.model_hash == wanted.model.model_hash:
        return _apply_pause(status, scene)
    if status.current is not None and status.current.model_hash == wanted.model.model_hash:
        cause = Cause(
            kind="withdrawn", reason="Reverted", message=f"revision {status.candidate.revision} was withdrawn"
        )
        return _begin_rollback(status, scene, cause)
    if status.stage is Stage.ROLLOUT_COMPLETE and (held := judge.holds(_row(status), status, scene)).ok:
        return _forward(status, scene, held)  # a newer one ends the bake time: forward, not back
    message = f"revision {wanted.model.revision} came before revision {status.candidate.revision} was complete"
    return _begin_rollback(status, scene, Cause(kind="superseded", reason="Superseded", message=message))


def _apply_pause(status: DeploymentStatus, scene: Scene) -> DeploymentStatus:
    progress, policy = _progress(status), status.rollout
    paused = policy is not None and policy.paused
    if paused == (progress.paused_at is not None):
        return status
    if progress.paused_at is None:
        progress = replace(progress, paused_at=utc(scene.now))
    else:
        gap = Gap(start=progress.paused_at, end=utc(scene.now))
        progress = replace(progress, paused_at=None, gaps=(*progress.gaps, gap))
    status = replace(status, progress=progress)
    return replace(status, message=_message(status, _row(status)))


# ---- nothing in hand


def _idle(wanted: WantedDeployment | Kept | None, status: DeploymentStatus, scene: Scene) -> Step:
    if isinstance(wanted, WantedDeployment) and is_new(wanted.model, status):
        held = _held_back(wanted, status, scene)
        if held is not None:
            return Step(replace(status, message=held))
        return Step(_begin_rollout(wanted, status, scene))
    if status.stage is Stage.ROLLOUT_COMPLETE:  # its label may have changed
        status = replace(status, message=_serves(status.current))
    return Step(status)


def is_new(model: ModelRevision, status: DeploymentStatus) -> bool:
    """Whether `model` starts a rollout: it is not current, and has not failed without being asked for again."""
    if status.current is not None and status.current.model_hash == model.model_hash:
        return False
    failed = status.failed
    return failed is None or failed.model_hash != model.model_hash or model.attempt > failed.attempt


def _held_back(wanted: WantedDeployment, status: DeploymentStatus, scene: Scene) -> str | None:
    server = _server(wanted.model, status, scene)
    if server is None or server.current is None:
        return f"revision {wanted.model.revision} waits for InferenceServer {wanted.model.server}"
    busy = [one.metadata.name for one in (scene.server, server) if one.progress is not None]
    if busy and wanted.rollout.strategy is not Strategy.EMERGENCY:
        return f"revision {wanted.model.revision} waits until InferenceServer {busy[0]} is done with its pods"
    return None


def _server(model: ModelRevision, status: DeploymentStatus, scene: Scene) -> ServerStatus | None:
    """The server that `model` is for, None when there is none."""
    return scene.servers.get(key(status.metadata.namespace, model.server))


# ---- beginnings


def _begin_rollout(wanted: WantedDeployment, status: DeploymentStatus, scene: Scene) -> DeploymentStatus:
    scene = scene.on(_server(wanted.model, status, scene) or scene.server)
    now = utc(scene.now)
    progress = Progress(
        work=Work.ROLLOUT,
        step="stage",
        started_at=now,
        since=now,
        slices={name: one.replicas.min for name, one in scene.server.slices.items()},
        first=status.current is None,
    )
    message = f"revision {wanted.model.revision}: accepted"
    status = replace(status, candidate=wanted.model, failed=None, transitions=(), progress=progress, message=message)
    status = _record(status, scene, stage=Stage.VALIDATION, step="accepted", source=wanted.source)
    return _enter(status, rows(status)[0], scene)


def _begin_rollback(status: DeploymentStatus, scene: Scene, cause: Cause) -> DeploymentStatus:
    now = utc(scene.now)
    progress = replace(
        _progress(status), work=Work.ROLLBACK, since=now, live_since=None, paused_at=None, cause=cause, baseline={}
    )
    status = replace(status, progress=progress)
    return _enter(status, rows(status)[0], scene)


def _begin_clean_up(status: DeploymentStatus, scene: Scene) -> DeploymentStatus:
    if status.progress is not None and status.progress.work is Work.CLEAN_UP:
        return status
    if status.rollout is None or not (status.slices or status.there):
        return replace(status, stage=Stage.CLEAN_UP_COMPLETE, message="deleted; nothing was served", progress=None)
    now = utc(scene.now)
    before = status.progress
    progress = Progress(
        work=Work.CLEAN_UP,
        step="traffic",
        started_at=now,
        since=now,
        slices=before.slices if before else {name: one.replicas.min for name, one in scene.server.slices.items()},
        cause=Cause(kind="deleted", reason="Deleted", message="its file was deleted"),
    )
    status = replace(status, progress=progress, transitions=())
    return _enter(status, rows(status)[0], scene)


# ---- work in hand


def _work(status: DeploymentStatus, scene: Scene) -> Step:
    back = _turn_back(status, scene)
    if back is not None:
        return Step(back)
    plan = rows(status)
    index = at(plan, _progress(status).step)
    row = plan[index]
    if row.step != _progress(status).step:  # a change of policy has taken the step away
        return _next(status, row, Held(ok=True), scene)
    status = _told_anew(status, _tell(status, row, scene), scene)
    if status.route != row.route:
        return _wait(_without_share(status), row, Held(ok=False, why=_NO_SHARE), scene)
    if status.message.endswith(_NO_SHARE):
        status = replace(status, message=_message(status, row))
    if _progress(status).paused_at is not None:
        return Step(status)
    held = judge.holds(row, status, scene)
    if not held.ok:
        return _wait(status, row, held, scene)
    soaked = _soak(status, row, scene)
    if soaked is not None:
        return soaked
    if index + 1 == len(plan):
        return Step(_finish(status, scene, held))
    return _next(status, plan[index + 1], held, scene)


def _turn_back(status: DeploymentStatus, scene: Scene) -> DeploymentStatus | None:
    """The beginning of a rollback, where a rollout has certainly failed."""
    if _progress(status).work is not Work.ROLLOUT or is_decided(_progress(status).step):
        return None
    cause = judge.failure(_row(status), status, scene)
    return _begin_rollback(status, scene, cause) if cause else None


def _tell(status: DeploymentStatus, row: Row, scene: Scene) -> DeploymentStatus:
    """Slices and route as the row has them under the policy of now, with a first pod that exists."""
    progress, slices = _progress(status), _slices(places.there(status), row, scene)
    moved = tuple(name for name in progress.slices if name in progress.moved or _serves_candidate(slices.get(name)))
    progress, route = replace(progress, moved=moved), _carried(row.route, scene)
    if is_moving(status):
        here = status.slices if row.here is None else dict(row.here)
        return replace(status, slices=here, there=slices, route=route, progress=progress)
    return replace(status, slices=slices, route=route, progress=progress)


def _told_anew(before: DeploymentStatus, status: DeploymentStatus, scene: Scene) -> DeploymentStatus:
    """`status`, its step begun anew where its route is another one now: a policy was changed, or a slice has its share
    again. What was watched before says nothing about it."""
    if status.route == before.route:
        return status
    progress = replace(_progress(status), since=utc(scene.now), live_since=None, baseline={})
    return replace(status, progress=progress)


def _carried(route: RouteState | None, scene: Scene) -> RouteState | None:
    """`route`, with all requests to main while the canary slice has no ready pod that could take its share."""
    if route is None or not (route.split or {}).get("canary") or any(pod.ready for pod in scene.pods("canary")):
        return route
    return MAIN_ALONE


def _without_share(status: DeploymentStatus) -> DeploymentStatus:
    """The canary slice lost its last ready pod: its soak starts again when it has its share back."""
    progress = replace(_progress(status), live_since=None, baseline={})
    message = status.message if status.message.endswith(_NO_SHARE) else f"{status.message}; {_NO_SHARE}"
    return replace(status, progress=progress, message=message)


def _wait(status: DeploymentStatus, row: Row, held: Held, scene: Scene) -> Step:
    """Unknown is never failure: it holds the row until the deadline, which runs while anything can be observed."""
    progress = _progress(status)
    if progress.paused_at is not None:
        return Step(status)
    left = row.deadline + row.soak - elapsed(progress.since, scene.now, progress.gaps)
    if left > 0:
        return Step(status, _earliest(held.wake_at, scene.now + left))
    if not any(pod.report for pod in scene.pods()):
        return Step(status, held.wake_at)
    return Step(_missed(status, row, held, scene), held.wake_at)


def _missed(status: DeploymentStatus, row: Row, held: Held, scene: Scene) -> DeploymentStatus:
    message = f"{row.step}: not done in {row.deadline + row.soak:g} s: {held.why}"
    if is_decided(row.step) and _progress(status).work is Work.ROLLOUT:
        return _finish(status, scene, held)  # who is late unloads it when he is back
    if _progress(status).work is Work.ROLLOUT:
        return _begin_rollback(status, scene, Cause(kind="failed", reason="DeadlineMissed", message=message))
    failed = Stage.ROLLBACK_FAILED
    if _progress(status).work is Work.CLEAN_UP or status.stage is failed:
        return status
    return _record(replace(status, stage=failed, message=message), scene, stage=failed, step=row.step)


def _soak(status: DeploymentStatus, row: Row, scene: Scene) -> Step | None:
    """The wait until the row's soak is over, None once it is."""
    progress = _progress(status)
    if row.soak <= 0:
        return None
    if progress.live_since is None:
        started = replace(progress, live_since=utc(scene.now), baseline=judge.counters(status, scene))
        message = f"{_message(status, row)}; watched for {row.soak:g} s"
        return Step(replace(status, progress=started, message=message), scene.now + row.soak)
    left = row.soak - elapsed(progress.live_since, scene.now, progress.gaps)
    return Step(status, scene.now + left) if left > 0 else None


def _next(status: DeploymentStatus, row: Row, held: Held, scene: Scene) -> Step:
    if _progress(status).work is Work.ROLLOUT and not _has_turn(status, row, scene):
        return Step(replace(status, message=f"waits for {scene.turn}, which loads on {scene.server.metadata.name}"))
    return Step(_enter(status, row, scene, pods=held.pods))


def _has_turn(status: DeploymentStatus, row: Row, scene: Scene) -> bool:
    """One candidate at a time is newly served on a server; an emergency does not queue."""
    entering = loads_candidate(row.step) and not loads_candidate(_progress(status).step)
    urgent = status.rollout is not None and status.rollout.strategy is Strategy.EMERGENCY
    return not entering or urgent or scene.turn in (None, status.metadata.name)


def _enter(status: DeploymentStatus, row: Row, scene: Scene, pods: tuple[str, ...] = ()) -> DeploymentStatus:
    progress = replace(_progress(status), step=row.step, since=utc(scene.now), live_since=None, baseline={})
    status = _tell(replace(status, stage=row.stage, progress=progress), row, scene)
    status = replace(status, message=_message(status, row))
    return _record(status, scene, stage=row.stage, step=row.step, pods=pods)


def _slices(status: DeploymentStatus, row: Row, scene: Scene) -> dict[SliceName, SliceState]:
    """What the row tells the pinned slices; those that came later follow main."""
    if row.slices is None:
        return status.slices
    told = dict(row.slices)
    if row.first is not None:
        told[row.first] = replace(told[row.first], first_pods=judge.first_pod(status, scene, row.first))
    return _with_later({name: told[name] for name in sorted(told)}, _progress(status).slices, scene)


def _serves_candidate(state: SliceState | None) -> bool:
    return state is not None and (state.serve is Role.CANDIDATE or bool(state.first_pods))


# ---- endings


def _forward(status: DeploymentStatus, scene: Scene, held: Held) -> DeploymentStatus:
    """Ends the bake time: what moves is still to be taken away where it was."""
    plan = rows(status)
    last = plan[-1]
    return _enter(status, last, scene, held.pods) if is_decided(last.step) else _complete(status, scene, held)


def _is_stuck(status: DeploymentStatus) -> bool:
    """Whether a rollback goes on trying with no request that could meet what it is taking away."""
    return status.stage is Stage.ROLLBACK_FAILED and _progress(status).step != "traffic"


def _put_down(wanted: WantedDeployment, status: DeploymentStatus, scene: Scene) -> DeploymentStatus:
    """Ends a rollback that failed if a human has another way, which begins now."""
    ended = _rolled_back(status, scene, Held(ok=False))
    is_other = is_new(wanted.model, ended) and _held_back(wanted, ended, scene) is None
    return ended if is_other else status


def _finish(status: DeploymentStatus, scene: Scene, held: Held) -> DeploymentStatus:
    match _progress(status).work:
        case Work.ROLLOUT:
            return _complete(status, scene, held)
        case Work.ROLLBACK:
            return _rolled_back(status, scene, held)
        case Work.CLEAN_UP:
            done = replace(status, progress=None, slices={}, there={}, route=None)
            done = replace(done, message="deleted; nothing is served any more")
            done = replace(done, stage=Stage.CLEAN_UP_COMPLETE)
            return _record(done, scene, stage=Stage.CLEAN_UP_COMPLETE, step="done", pods=held.pods)


def _complete(status: DeploymentStatus, scene: Scene, held: Held) -> DeploymentStatus:
    """The candidate becomes current."""
    slices: dict[SliceName, SliceState] = dict.fromkeys(sorted(scene.server.slices), SliceState(serve=Role.CURRENT))
    done = replace(status, current=status.candidate, candidate=None, progress=None, slices=slices, route=COMMON)
    done = replace(done, there={})
    done = replace(done, stage=Stage.ROLLOUT_COMPLETE, message=_serves(status.candidate))
    return _record(done, scene, stage=Stage.ROLLOUT_COMPLETE, step="done", pods=held.pods)


def _rolled_back(status: DeploymentStatus, scene: Scene, held: Held) -> DeploymentStatus:
    cause, failed = _progress(status).cause, fails(status, scene.now)
    done = replace(status, stage=Stage.ROLLBACK_COMPLETE, candidate=None, progress=None, failed=failed, there={})
    done = replace(done, message=f"{_serves(status.current)}; {cause.message if cause else 'rolled back'}")
    return _record(done, scene, stage=Stage.ROLLBACK_COMPLETE, step="done", pods=held.pods)


def fails(status: DeploymentStatus, now: float) -> FailedRevision | None:
    """What a rollback in hand marks as failed once it is complete, at `now` (POSIX seconds), if anything."""
    candidate, cause = status.candidate, _progress(status).cause
    if candidate is None or cause is None or cause.kind != "failed":
        return None
    return FailedRevision(
        model_hash=candidate.model_hash,
        attempt=candidate.attempt,
        revision=candidate.revision,
        digest=candidate.digest,
        reason=cause.reason,
        message=cause.message,
        at=utc(now),
    )


# ---- small parts


def _record(
    status: DeploymentStatus,
    scene: Scene,
    *,
    stage: Stage,
    step: str,
    pods: tuple[str, ...] = (),
    source: str | None = None,
) -> DeploymentStatus:
    evidence = replace(judge.evidence(status, scene, pods), source=source)
    seen = Transition(at=utc(scene.now), stage=stage, step=step, message=status.message, evidence=evidence)
    return replace(status, transitions=(*status.transitions, seen))


def _message(status: DeploymentStatus, row: Row) -> str:
    progress = _progress(status)
    if progress.work is Work.ROLLBACK and progress.cause is not None:
        return f"{row.message} ({progress.cause.reason}: {progress.cause.message})"
    if progress.work is Work.ROLLOUT and status.candidate is not None:
        held = "paused: " if progress.paused_at is not None else ""
        return f"{held}revision {status.candidate.revision}: {row.message}"
    return row.message


def _serves(revision: ModelRevision | None) -> str:
    return f"revision {revision.revision} serves" if revision else "nothing is served"


def _row(status: DeploymentStatus) -> Row:
    plan = rows(status)
    return plan[at(plan, _progress(status).step)]


def _progress(status: DeploymentStatus) -> Progress:
    if status.progress is None:
        raise ValueError("no work in hand")
    return status.progress


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)


def add_gap(status: DeploymentStatus, start: datetime, end: datetime) -> DeploymentStatus:
    """The status with a gap in observation that neither its deadlines nor its soaks count."""
    if status.progress is None:
        return status
    gap = Gap(start=start, end=end)
    return replace(status, progress=replace(status.progress, gaps=(*status.progress.gaps, gap)))
