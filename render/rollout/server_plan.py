"""The plans of an InferenceServer's own work: new pods for a new template, and a canary slice that goes. Pure.

Pods are replaced slice by slice, the canary slice off every route first. Reading `_rollout`, `_rollback` and `_removal`
is reading the rules of how a change of a server spreads (DESIGN §4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from schemas.status import Role, ServerProgress, ServerStatus, SliceName, Work

CURRENT, CANDIDATE = Role.CURRENT, Role.CANDIDATE


class Until(StrEnum):
    """What a row waits for."""

    FREE = "no Deployment on the server has a rollout in hand"
    DRAINED = "no route leads to the canary slice, and it has no requests"
    FIRST_REPLACED = "one pod of the new template proves every model of its slice"
    REPLACED = "every pod has the template that it is told, and proves every model of its slice"
    ROUTED = "every route is live"


@dataclass(frozen=True, slots=True)
class Told:
    """What one slice is told: the template of its pods, and whether routes may lead to it."""

    template: Role
    routed: bool = True


STEADY = Told(CURRENT)


@dataclass(frozen=True, slots=True)
class Row:
    """One step. `slices`: what each pinned slice is told. `at`: the slices whose pods are waited for. `deadline`:
    seconds of observed time, None where waiting hurts nobody."""

    step: str
    message: str
    until: tuple[Until, ...]
    slices: Mapping[SliceName, Told]
    at: tuple[SliceName, ...] = ()
    deadline: float | None = None


def rows(status: ServerStatus) -> tuple[Row, ...]:
    """The rows of the work in hand. `status.progress` is there."""
    progress = status.progress
    if progress is None:
        raise ValueError("no work in hand")
    match progress.work:
        case Work.ROLLOUT:
            return _rollout(status, progress)
        case Work.ROLLBACK:
            return _rollback(status, progress)
        case Work.CLEAN_UP:
            return _removal(progress)


def at(plan: tuple[Row, ...], step: str) -> int:
    """Index of `step` in `plan`."""
    return next(index for index, row in enumerate(plan) if row.step == step)


def late(row: Row) -> str:
    """What is said of a row of a rollback that is over its deadline, and goes on trying."""
    return f"the previous template is not back on every pod after {row.deadline or 0.0:g} s"


def _rollout(status: ServerStatus, progress: ServerProgress) -> tuple[Row, ...]:
    """When nothing else is in hand: the canary slice off the routes, replaced and back on them; then main."""
    as_it_was: Mapping[SliceName, Told] = dict.fromkeys(progress.slices, STEADY)
    turn = _turn(as_it_was)
    if "canary" not in progress.slices:
        return (turn, *_waves(status, progress, "main", as_it_was))
    main: Mapping[SliceName, Told] = {"main": STEADY}
    canary = _waves(status, progress, "canary", main, routed=False)
    back = Row(
        step="route",
        message="sending requests to the new pods of canary",
        until=(Until.ROUTED,),
        slices={**main, "canary": Told(CANDIDATE)},
        deadline=status.deadline,
    )
    drained = _drain({**main, "canary": Told(CURRENT, routed=False)}, status.deadline)
    return (turn, drained, *canary, back, *_waves(status, progress, "main", {"canary": Told(CANDIDATE)}))


def _rollback(status: ServerStatus, progress: ServerProgress) -> tuple[Row, ...]:
    """Main gets its old template at once; the canary slice too, off the routes until its pods have proven it."""
    back: Mapping[SliceName, Told] = dict.fromkeys(progress.slices, STEADY)
    if "canary" not in progress.slices:
        return (_restore(status, progress, back),)
    off: Mapping[SliceName, Told] = {**back, "canary": Told(CURRENT, routed=False)}
    drained = _drain({**off, "canary": Told(status.slices["canary"].template, routed=False)}, status.deadline)
    steady = Row("route", "sending requests to every slice again", (Until.ROUTED,), back, deadline=status.deadline)
    return (drained, _restore(status, progress, off), steady)


def _removal(progress: ServerProgress) -> tuple[Row, ...]:
    """A slice that a human removes goes when no route leads to it, and no rollout counts on it."""
    as_it_was: Mapping[SliceName, Told] = dict.fromkeys(progress.slices, STEADY)
    drained = _drain({**as_it_was, "canary": Told(CURRENT, routed=False)}, None)
    return (_turn(as_it_was), replace(drained, until=(Until.DRAINED, Until.FREE)))


def _turn(slices: Mapping[SliceName, Told]) -> Row:
    return Row("turn", "waits for the rollouts in hand on it", (Until.FREE,), slices)


def _restore(status: ServerStatus, progress: ServerProgress, slices: Mapping[SliceName, Told]) -> Row:
    return Row(
        step="restore",
        message="putting the previous template back",
        until=(Until.REPLACED,),
        slices=slices,
        at=tuple(progress.slices),
        deadline=status.deadline * max(progress.slices.values()),
    )


def _drain(slices: Mapping[SliceName, Told], deadline: float | None) -> Row:
    return Row("drain", "taking the canary slice off every route", (Until.DRAINED,), slices, deadline=deadline)


def _waves(
    status: ServerStatus,
    progress: ServerProgress,
    name: SliceName,
    others: Mapping[SliceName, Told],
    *,
    routed: bool = True,
) -> tuple[Row, ...]:
    """The pods of a slice. The cluster replaces them, a few at a time; the first of them has to prove itself soon."""
    slices: Mapping[SliceName, Told] = {**others, name: Told(CANDIDATE, routed=routed)}
    first = Row(
        step=f"{name} first pod",
        message=f"the first pod of {name} starts with the new template",
        until=(Until.FIRST_REPLACED,),
        slices=slices,
        at=(name,),
        deadline=status.deadline,
    )
    rest = Row(
        step=name,
        message=f"the pods of {name} are replaced",
        until=(Until.REPLACED,),
        slices=slices,
        at=(name,),
        deadline=status.deadline * progress.slices[name],
    )
    return (rest,) if progress.slices[name] == 1 else (first, rest)
