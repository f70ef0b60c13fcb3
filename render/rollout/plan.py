"""The plans: for each kind of work the rows that it goes through, one after the other. Pure.

A row says what the slices and the route are told and what has to be observed before the next row. Reading the
functions `_first`, `_with_canary`, `_in_place`, `_emergency`, `_rollback` and `_clean_up` is reading the rules
of how a change spreads (DESIGN §4 and §5). A move to another server or served name spreads there as a first rollout
does; then the route is turned, and what was served here is taken away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from render.objects.route import MAIN_ALONE
from render.places import is_moving
from schemas.resources import Strategy
from schemas.status import (
    DeploymentStatus,
    ModelRevision,
    Progress,
    Role,
    RolloutPolicy,
    RouteState,
    SliceName,
    SliceState,
    Stage,
    Work,
)

CURRENT, CANDIDATE = Role.CURRENT, Role.CANDIDATE
COMMON = RouteState()
THERE = RouteState(to=CANDIDATE)


class Until(StrEnum):
    """What a row waits for."""

    STAGED = "every replica has the candidate on disk, verified"
    FIRST_PROVEN = "the first pod proves the candidate"
    PROVEN = "every replica proves what it is told to serve"
    ROUTED = "the route is live"
    DRAINED = "what is off the route has no requests left"
    UNROUTED = "the route is gone"
    UNLOADED = "no replica serves the model"
    LEFT = "the place that it leaves has no requests left"
    CLEARED = "no replica serves the model in the place that it leaves"


@dataclass(frozen=True, slots=True)
class Row:
    """One step. `slices`: what each pinned slice is told, None leaves them as they are; `here`: the same for the place
    that a moving Deployment leaves. `first`: the slice whose first pod tries the candidate. `soak` and `deadline` are
    seconds of observed time; the soak runs once all of `until` holds, and the deadline is besides it."""

    step: str
    stage: Stage
    message: str
    until: tuple[Until, ...]
    route: RouteState | None
    deadline: float
    slices: Mapping[SliceName, SliceState] | None = None
    here: Mapping[SliceName, SliceState] | None = None
    first: SliceName | None = None
    soak: float = 0.0


_BACK = ("traffic", "restore")
_FORWARD = ("stage", "drain", "canary first pod", "canary", "weight", "main first pod", "main", "route", "bake")
_LEAVE = ("unload",)
_ORDER = _BACK + _FORWARD + _LEAVE  # every plan takes its rows in this order


def rows(status: DeploymentStatus) -> tuple[Row, ...]:
    """The rows of the work in hand. `status.progress` and the accepted policy are there."""
    progress, policy = _parts(status)
    match progress.work:
        case Work.ROLLOUT:
            return _rollout(status)
        case Work.ROLLBACK:
            return _rollback(status, policy.deadlines.rollback, progress)
        case Work.CLEAN_UP:
            return _clean_up(status, policy.deadlines.rollback)


def at(plan: tuple[Row, ...], step: str) -> int:
    """Index of `step` in `plan`; where a change of policy has removed it, of the next that is left."""
    return next(index for index, row in enumerate(plan) if rank(row.step) >= rank(step))


def loads_candidate(step: str) -> bool:
    """Whether a candidate is newly served from this step of a rollout on, until its bake time."""
    return rank("stage") < rank(step) < rank("bake")


def is_decided(step: str) -> bool:
    """Whether a rollout at this step has no way back any more: a moving Deployment is taken away where it was."""
    return step in _LEAVE


def _rollout(status: DeploymentStatus) -> tuple[Row, ...]:
    progress, policy = _parts(status)
    if policy.strategy is Strategy.EMERGENCY:
        spread = _emergency(status, policy)
    elif _is_first(status):
        spread = _first(status, policy)
    elif "canary" in progress.slices:
        spread = _with_canary(status, policy)
    else:
        spread = _in_place(policy)
    leave = (_leave(status, policy),) if is_moving(status) else ()
    return (_stage(status, policy), *spread, _bake(status, policy), *leave)


def _stage(status: DeploymentStatus, policy: RolloutPolicy) -> Row:
    return Row(
        step="stage",
        stage=Stage.ASSET_PREPARATION,
        message="downloading and verifying on every replica",
        until=(Until.STAGED,),
        route=status.route,
        slices=_told(status),
        deadline=policy.deadlines.asset_preparation,
    )


def _first(status: DeploymentStatus, policy: RolloutPolicy) -> tuple[Row, ...]:
    """Where nothing is served yet: slice by slice in two waves, then the route appears, or comes there."""
    slices = _slices(status)
    waves: list[Row] = []
    for index, name in enumerate(slices):
        done: Mapping[SliceName, SliceState] = {other: _switched(status) for other in slices[:index]}
        soak = _first_soak(policy) if index == 0 else 0.0
        waves += _waves(
            status, policy, name, stage=Stage.RESOURCE_ACQUISITION, route=status.route, others=done, soak=soak
        )
    return (*waves, _route(status, policy))


def _with_canary(status: DeploymentStatus, policy: RolloutPolicy) -> tuple[Row, ...]:
    """With a canary slice: off the route, switched in two waves, given its share step by step, then main follows."""
    drain = Row(
        step="drain",
        stage=Stage.RESOURCE_ACQUISITION,
        message="taking the canary slice off the route",
        until=(Until.ROUTED, Until.DRAINED),
        route=MAIN_ALONE,
        slices=_told(status),
        deadline=policy.deadlines.resource_acquisition,
    )
    canary = _waves(status, policy, "canary", stage=Stage.RESOURCE_ACQUISITION, route=MAIN_ALONE, others={})
    steps = tuple(_weight(status, policy, index) for index, step in enumerate(policy.steps) if step.weight < 100)
    last = steps[-1].route if steps else MAIN_ALONE
    switched: Mapping[SliceName, SliceState] = {"canary": _switched(status)}
    promotion = _waves(status, policy, "main", stage=Stage.TRAFFIC_ROUTING, route=last, others=switched, full=True)
    return (drain, *canary, *steps, *promotion)


def _in_place(policy: RolloutPolicy) -> tuple[Row, ...]:
    """Without a canary slice: the first pod, the first step's soak, then the others."""
    first = Row(
        step="main first pod",
        stage=Stage.RESOURCE_ACQUISITION,
        message="one pod of main loads and proves it",
        until=(Until.FIRST_PROVEN,),
        route=COMMON,
        slices={"main": SliceState(serve=CURRENT, stage=(CANDIDATE,))},
        first="main",
        soak=_first_soak(policy),
        deadline=policy.deadlines.resource_acquisition,
    )
    rest = Row(
        step="main",
        stage=Stage.TRAFFIC_ROUTING,
        message="every pod of main switches in place",
        until=(Until.PROVEN,),
        route=COMMON,
        slices={"main": SliceState(serve=CANDIDATE, stage=(CURRENT,))},
        soak=_full_soak(policy),
        deadline=policy.deadlines.traffic_routing,
    )
    return (first, rest)


def _emergency(status: DeploymentStatus, policy: RolloutPolicy) -> tuple[Row, ...]:
    """All slices and pods at once, no soak."""
    switch = Row(
        step="main",
        stage=Stage.RESOURCE_ACQUISITION,
        message="emergency: every pod of every slice switches at once",
        until=(Until.PROVEN,),
        route=status.route,
        slices=dict.fromkeys(_slices(status), _switched(status)),
        deadline=policy.deadlines.resource_acquisition,
    )
    return (switch, _route(status, policy))


def _waves(
    status: DeploymentStatus,
    policy: RolloutPolicy,
    name: SliceName,
    *,
    stage: Stage,
    route: RouteState | None,
    others: Mapping[SliceName, SliceState],
    soak: float = 0.0,
    full: bool = False,
) -> tuple[Row, ...]:
    """One pod of the slice `name` first, then all of it. `full`: the whole model is switched then.

    A canary slice of one pod has one wave: every change of a config costs a round through the cluster.
    """
    deadlines = policy.deadlines
    deadline = deadlines.resource_acquisition if stage is Stage.RESOURCE_ACQUISITION else deadlines.traffic_routing
    first = Row(
        step=f"{name} first pod",
        stage=stage,
        message=f"one pod of {name} loads and proves it",
        until=(Until.FIRST_PROVEN,),
        route=route,
        slices={**_told(status), **others},
        first=name,
        soak=soak,
        deadline=deadline,
    )
    rest = Row(
        step=name,
        stage=stage,
        message=f"every pod of {name} switches in place",
        until=(Until.PROVEN,),
        route=route,
        slices={**_told(status), **others, name: _switched(status)},
        soak=_full_soak(policy) if full else 0.0,
        deadline=deadline,
    )
    if name == "canary" and _parts(status)[0].slices[name] == 1:
        return (replace(rest, message="the pod of canary loads and proves it", soak=soak),)
    return first, rest


def _weight(status: DeploymentStatus, policy: RolloutPolicy, index: int) -> Row:
    step = policy.steps[index]
    return Row(
        step=f"weight {index + 1}",
        stage=Stage.TRAFFIC_ROUTING,
        message=f"{step.weight} % of the requests",
        until=(Until.ROUTED, Until.PROVEN),
        route=RouteState(split={"main": 100 - step.weight, "canary": step.weight}),
        slices={**_told(status), "canary": _switched(status)},
        soak=step.soak,
        deadline=policy.deadlines.traffic_routing,
    )


def _route(status: DeploymentStatus, policy: RolloutPolicy) -> Row:
    moves = is_moving(status)
    return Row(
        step="route",
        stage=Stage.TRAFFIC_ROUTING,
        message=f"the route is turned to {_named(status.candidate)}" if moves else "the route goes to every slice",
        until=(Until.ROUTED, Until.LEFT) if moves else (Until.ROUTED,),
        route=THERE if moves else COMMON,
        deadline=policy.deadlines.traffic_routing,
    )


def _bake(status: DeploymentStatus, policy: RolloutPolicy) -> Row:
    return Row(
        step="bake",
        stage=Stage.ROLLOUT_COMPLETE,
        message="serving everywhere; the previous revision stays at hand for the bake time",
        until=(Until.ROUTED, Until.PROVEN),
        route=THERE if is_moving(status) else COMMON,
        slices=dict.fromkeys(_slices(status), _switched(status)),
        soak=policy.bake,
        deadline=policy.deadlines.traffic_routing,
    )


def _leave(status: DeploymentStatus, policy: RolloutPolicy) -> Row:
    """The end of a move: nothing leads there any more, and what is late may be so."""
    return Row(
        step="unload",
        stage=Stage.ROLLOUT_COMPLETE,
        message=f"unloading {_named(status.current)}",
        until=(Until.CLEARED,),
        route=THERE,
        here={},
        deadline=policy.deadlines.rollback,
    )


def _rollback(status: DeploymentStatus, deadline: float, progress: Progress) -> tuple[Row, ...]:
    """Traffic off the candidate first, then the configs, then the steady route."""
    stage = Stage.ROLLBACK_IN_PROGRESS
    if progress.first:
        return _take_down(stage, deadline)
    if is_moving(status):
        return _stay(status, stage, deadline)
    split = "canary" in progress.moved
    off = Row(
        step="traffic",
        stage=stage,
        message="taking traffic off the candidate",
        until=(Until.ROUTED, Until.DRAINED) if split else (Until.ROUTED,),
        route=MAIN_ALONE if split else status.route,
        deadline=deadline,
    )
    restore = Row(
        step="restore",
        stage=stage,
        message="putting the previous revision back on every replica",
        until=(Until.PROVEN,),
        route=MAIN_ALONE if split else status.route,
        slices=dict.fromkeys(_slices(status), SliceState(serve=CURRENT)),
        deadline=deadline,
    )
    steady = Row(
        step="route",
        stage=stage,
        message="sending requests to every slice again",
        until=(Until.ROUTED,),
        route=COMMON,
        deadline=deadline,
    )
    return (off, restore, steady)


def _stay(status: DeploymentStatus, stage: Stage, deadline: float) -> tuple[Row, ...]:
    """The way back of a move: what was served before still is, so that the route is turned and not removed."""
    off, unload = _take_down(stage, deadline)
    back = f"turning the route back to {_named(status.current)}"
    return (
        replace(off, message=back, until=(Until.ROUTED, Until.DRAINED), route=COMMON),
        replace(unload, message=f"unloading {_named(status.candidate)}", route=COMMON),
    )


def _clean_up(status: DeploymentStatus, deadline: float) -> tuple[Row, ...]:
    off, unload = _take_down(Stage.CLEAN_UP_IN_PROGRESS, deadline)
    if not is_moving(status):
        return (off, unload)
    return (
        replace(off, until=(*off.until, Until.LEFT)),
        replace(unload, until=(*unload.until, Until.CLEARED), here={}),
    )


def _take_down(stage: Stage, deadline: float) -> tuple[Row, Row]:
    """The route goes first, then the model."""
    off = Row(
        step="traffic",
        stage=stage,
        message="removing the route",
        until=(Until.UNROUTED, Until.DRAINED),
        route=None,
        deadline=deadline,
    )
    unload = Row(
        step="unload",
        stage=stage,
        message="unloading the model",
        until=(Until.UNLOADED,),
        route=None,
        slices={},
        deadline=deadline,
    )
    return (off, unload)


def _parts(status: DeploymentStatus) -> tuple[Progress, RolloutPolicy]:
    if status.progress is None or status.rollout is None:
        raise ValueError("no work in hand")
    return status.progress, status.rollout


def _slices(status: DeploymentStatus) -> tuple[SliceName, ...]:
    """The pinned slices, in the order in which they switch."""
    pinned = _parts(status)[0].slices
    return ("canary", "main") if "canary" in pinned else ("main",)


def _named(revision: ModelRevision | None) -> str:
    """A place, for people."""
    return f"{revision.name} on {revision.server}" if revision is not None else "nothing"


def _is_first(status: DeploymentStatus) -> bool:
    """Whether nothing of it is served yet where it is to be served."""
    return _parts(status)[0].first or is_moving(status)


def _told(status: DeploymentStatus) -> dict[SliceName, SliceState]:
    """Every pinned slice on what it served before, the candidate beside it."""
    serve = None if _is_first(status) else CURRENT
    return dict.fromkeys(_slices(status), SliceState(serve=serve, stage=(CANDIDATE,)))


def _switched(status: DeploymentStatus) -> SliceState:
    previous = () if _is_first(status) else (CURRENT,)
    return SliceState(serve=CANDIDATE, stage=previous)


def _first_soak(policy: RolloutPolicy) -> float:
    return policy.steps[0].soak if policy.steps else 0.0


def _full_soak(policy: RolloutPolicy) -> float:
    """The soak of an explicit step of weight 100, which is the promotion."""
    return sum(step.soak for step in policy.steps if step.weight == 100)


def rank(step: str) -> tuple[int, int]:
    """The place of a row in the order that every plan takes. Raises ValueError for what is no row."""
    family, _, number = step.partition(" ")
    if family == "weight":
        return _ORDER.index("weight"), int(number)
    return _ORDER.index(step), 0
