"""A server's new transitions, one after the other: where each leads by the rules, and what is wrong with it. Pure.

`Walk` goes where `render.rollout.server` goes, with the transitions as its only guide. It knows what the status must
say in the end, and stops at the first transition that cannot be in its place.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from itertools import pairwise
from typing import Final, Literal

import msgspec

from render.errors import StatusUnreadable
from render.rollout import server_evidence
from render.rollout.clock import elapsed
from render.rollout.judge import quorum
from render.rollout.queue import at_work
from render.rollout.server_plan import STEADY, Row, Told, Until, late, rows
from render.verify.words import DONE, ROUNDING, is_source, named
from schemas.report import Reason
from schemas.status import (
    Cause,
    DeploymentStatus,
    Evidence,
    FailedTemplate,
    Gap,
    Replicas,
    RepositoryStatus,
    ServerProgress,
    ServerSlice,
    ServerStage,
    ServerStatus,
    ServerTemplate,
    SliceName,
    Stage,
    Transition,
    Work,
)

replace = msgspec.structs.replace

TURN: Final = "turn"
_MISSED = "DeadlineMissed"
_KINDS: Mapping[str, Literal["failed", "superseded", "withdrawn"]] = {
    **dict.fromkeys((_MISSED, *Reason), "failed"),
    "Superseded": "superseded",
    "Withdrawn": "withdrawn",
}
_POD_NAME = 58  # characters of a pod's name that Kubernetes keeps of its owner's
_PODS, _SOURCE = ("pods",), ("source",)


@dataclass(frozen=True, slots=True)
class Change:
    """A server's status before and after a commit, the settings after it, and the Deployments on the server in both
    trees, as it sees them."""

    old: ServerStatus | None
    new: ServerStatus
    repository: RepositoryStatus
    users_before: tuple[DeploymentStatus, ...]
    users_after: tuple[DeploymentStatus, ...]


class _Kind(Enum):
    """What a transition is about."""

    OBSERVED = auto()
    ASKED = auto()
    BEGUN = auto()
    ROW = auto()
    LATE = auto()
    BACK = auto()
    FINISHED = auto()
    PUT_DOWN = auto()


class Walk:
    """Where a server stands, and what its status must say there.

    `work`, `step`, `since`, `started_at`, `pinned`, `gaps` and `cause` are those of the work in hand, `work` None
    without any. `told`: what each slice is told. `is_sure`: whether both templates are known, which they are not where
    several changes of them share one commit; `is_lost`: whether a transition could not be followed.
    """

    def __init__(self, change: Change) -> None:
        old, new = change.old, change.new
        progress = old.progress if old is not None else None
        self._change = change
        self._last = old.transitions[-1] if old is not None and old.transitions else None
        self.stage: str = old.stage if old is not None else ServerStage.CREATE
        self.work = progress.work if progress is not None else None
        self.step = progress.step if progress is not None else ""
        self.since: datetime | None = progress.since if progress is not None else None
        self.started_at: datetime | None = progress.started_at if progress is not None else None
        self.pinned: Mapping[SliceName, int] = progress.slices if progress is not None else {}
        self.gaps: tuple[Gap, ...] = progress.gaps if progress is not None else ()
        self.cause: Cause | None = progress.cause if progress is not None else None
        self.current = old.current if old is not None else None
        self.candidate = old.candidate if old is not None else None
        self.failed = old.failed if old is not None else None
        self.is_sure, self.is_lost = True, False
        slices: Mapping[SliceName, ServerSlice] = old.slices if old is not None else {}
        self.told: dict[SliceName, Told] = {name: Told(one.template, one.routed) for name, one in slices.items()}
        self.told |= {name: STEADY for name in new.slices if name not in slices}

    def take(self, transitions: Sequence[Transition]) -> Iterator[str]:
        """What is wrong with each of `transitions`. Goes no further than to one that cannot be in its place."""
        for index, one in enumerate(transitions):
            kind = self._kind(one)
            if kind is None:
                yield f"{named(one)} cannot follow {self._where()}"
                self.is_lost = True
                return
            yield from self._dated(one, transitions[0])
            yield from self._wrong(kind, one)
            self._go(kind, one, transitions[index + 1 :])
            yield from (*self._message(kind, one), *self._digest(one))
            self._last = one

    def row(self) -> Row | None:
        """The row of the work in hand, None where there is none."""
        return next((row for row in self._plan() if row.step == self.step), None)

    def _dated(self, one: Transition, first: Transition) -> Iterator[str]:
        """One look decides all of a commit, at one time. The clock may be set back between two works."""
        if one.at != first.at:
            yield f"{named(one)} is dated otherwise than {named(first)} of the same commit"
        elif self.work is not None and self._last is not None and one.at < self._last.at:
            yield f"{named(one)} is dated before {named(self._last)}"

    # ---- what a transition is

    def _kind(self, one: Transition) -> _Kind | None:
        if one.step == one.stage:
            return self._kind_of_stage(one) if self.work is None else None
        if self.work is None:
            is_turn = (one.stage, one.step) == (ServerStage.PROVISION, TURN)
            return _Kind.BEGUN if is_turn and self._has_current() else None
        if (one.stage, one.step) == (ServerStage.SERVE, DONE):
            return _Kind.FINISHED if [row.step for row in self._plan()][-1:] == [self.step] else None
        return self._kind_of_row(one) if one.stage == ServerStage.PROVISION else None

    def _kind_of_stage(self, one: Transition) -> _Kind | None:
        if one.evidence.source is not None:
            place = ServerStage.PROVISION if self._has_current() else ServerStage.CREATE
            return _Kind.ASKED if one.stage == place else None
        if not self._has_current() or one.stage not in set(ServerStage):
            return None
        is_back = (self.stage, one.stage) == (ServerStage.PROVISION, ServerStage.CREATE)
        is_same = one.stage == self.stage and (one.stage != ServerStage.DELETE or self._is_said(one))
        return None if is_back or is_same else _Kind.OBSERVED

    def _kind_of_row(self, one: Transition) -> _Kind | None:
        if one.step == DONE:
            may = self.work is Work.CLEAN_UP or (self.work is Work.ROLLOUT and self.step == TURN)
            return _Kind.PUT_DOWN if may else None
        steps = [row.step for row in self._plan()]
        index = steps.index(self.step) if self.step in steps else len(steps)
        if steps[index + 1 : index + 2] == [one.step]:
            return _Kind.ROW
        if self.work is Work.ROLLBACK and one.step == self.step:
            return _Kind.LATE if not self._is_said(one) else None
        back = self._plan(Work.ROLLBACK)[:1] if self.work is Work.ROLLOUT and self.step != TURN else ()
        return _Kind.BACK if [row.step for row in back] == [one.step] else None

    def _has_current(self) -> bool:
        return self.current is not None or not self.is_sure

    def _is_said(self, one: Transition) -> bool:
        return self._last is not None and self._last.message == one.message

    def _where(self) -> str:
        return f"{self.work}, {self.step}" if self.work is not None else f"{self.stage} with no work in hand"

    # ---- what is wrong with it

    def _wrong(self, kind: _Kind, one: Transition) -> Iterator[str]:
        match kind:
            case _Kind.OBSERVED:
                yield from _surplus(one, _PODS if one.stage == ServerStage.SERVE else ())
                if one.stage == ServerStage.SERVE:
                    yield from self._enough(one, tuple(self.told), "are live")
            case _Kind.ASKED:
                yield from (*_surplus(one, _SOURCE), *_asked(one), *self._served(one))
            case _Kind.BEGUN:
                yield from (*_surplus(one, _SOURCE), *_asked(one), *self._held(one))
            case _Kind.ROW | _Kind.FINISHED:
                yield from self._left(one)
            case _Kind.LATE:
                yield from (*_surplus(one, ()), *self._late(one), *self._says_late(one))
            case _Kind.BACK:
                yield from self._turned_back(one)
            case _Kind.PUT_DOWN:
                yield from (*_surplus(one, _SOURCE), *self._given_up(one))

    def _served(self, one: Transition) -> Iterator[str]:
        """A template is replaced at once only while nothing is served that new pods could fail to serve."""
        before = {
            user.metadata.name
            for user in self._change.users_before
            if user.current is not None and user.stage is not Stage.CLEAN_UP_COMPLETE
        }
        after = {user.metadata.name for user in self._change.users_after if user.current is not None}
        if self.current is not None and before & after:
            yield f"{named(one)}: its template was replaced at once, though {min(before & after)} is served on it"

    def _held(self, one: Transition) -> Iterator[str]:
        held = _started(user for user in self._change.users_before if _is_paused(user))
        both = held.items() & _started(user for user in self._change.users_after if _is_paused(user)).items()
        if both:
            yield f"{named(one)}: it begins, though a human holds the rollout of {min(both)[0]} on it"

    def _given_up(self, one: Transition) -> Iterator[str]:
        users = (*self._change.users_before, *self._change.users_after)
        if one.evidence.source is not None:
            yield from _asked(one)
        elif not any(_is_paused(user) for user in users):
            yield f"{named(one)}: work was put down, though no file asks for it and no human holds a rollout on it"

    def _late(self, one: Transition) -> Iterator[str]:
        row, gaps = self.row(), self._change.new.progress.gaps if self._change.new.progress is not None else self.gaps
        if row is None or self.since is None:
            return
        if row.deadline is None:
            yield f"{named(one)}: {row.step!r} has no deadline"
            return
        seen = elapsed(self.since, one.at.timestamp(), gaps)
        if seen < row.deadline - ROUNDING:
            yield f"{named(one)}: {row.step!r} was watched for {seen:g} s, its deadline is {row.deadline:g} s"

    def _says_late(self, one: Transition) -> Iterator[str]:
        row = self.row()
        if row is not None and one.message != late(row):
            yield f"{named(one)}: expected the message {late(row)!r}, got {one.message!r}"

    def _turned_back(self, one: Transition) -> Iterator[str]:
        """What goes back has a cause, which the message tells as the work in hand does."""
        row, cause = self.row(), self._said_cause(one)
        if row is None:
            return
        if cause is None:
            yield f"{named(one)}: expected the cause of the rollback in its message, got {one.message!r}"
        elif cause.kind != "failed":
            yield from (*_surplus(one, _SOURCE), *_asked(one))
        else:
            yield from _surplus(one, ())
            if cause.reason == _MISSED:
                yield from self._late(one)
                if not cause.message.startswith(f"{row.step}: "):
                    yield f"{named(one)}: expected a missed deadline of {row.step!r}, got {cause.message!r}"
            elif not any(self._is_of(cause.message.partition(": ")[0], name) for name in row.at):
                yield f"{named(one)}: expected a pod of {_listed(row.at)} that failed, got {cause.message!r}"

    def _said_cause(self, one: Transition) -> Cause | None:
        first = self._plan(Work.ROLLBACK)[0].message + " ("
        if not (one.message.startswith(first) and one.message.endswith(")")):
            return None
        reason, _, message = one.message.removeprefix(first).removesuffix(")").partition(": ")
        return Cause(kind=_KINDS[reason], reason=reason, message=message) if reason in _KINDS else None

    def _message(self, kind: _Kind, one: Transition) -> Iterator[str]:
        """A row that is entered says so, and why it goes back."""
        row = self.row() if kind in (_Kind.BEGUN, _Kind.ROW, _Kind.BACK) else None
        if row is None:
            return
        expected = row.message + (f" ({self.cause.reason}: {self.cause.message})" if self.cause is not None else "")
        if one.message != expected:
            yield f"{named(one)}: expected the message {expected!r}, got {one.message!r}"

    def _digest(self, one: Transition) -> Iterator[str]:
        """A transition is about the candidate, and without one about what is current."""
        about = (self.candidate or self.current) if self.is_sure else None
        if about is not None and one.evidence.digest != (expected := server_evidence.digest(about)):
            yield f"{named(one)}: expected the digest {expected} of its template, got {one.evidence.digest}"
        if one.step == TURN and self.candidate is not None and self.candidate == self.current:
            yield f"{named(one)}: its candidate is the template that it has"

    # ---- the evidence of a row that is left

    def _left(self, one: Transition) -> Iterator[str]:
        row = self.row()
        if row is None:
            return
        waited = ("passed_over",) if Until.FREE in row.until else ()
        yield from _surplus(one, ("pods", "route", "templates", "models", *waited))
        yield from self._proven(row, one)
        yield from self._passed_over(row, one)
        try:
            yield from self._made_again(row, one)
        except StatusUnreadable as problem:
            yield f"{named(one)}: {problem}"

    def _proven(self, row: Row, one: Transition) -> Iterator[str]:
        if Until.FIRST_REPLACED in row.until:
            if len(one.evidence.pods) != 1 or not self._is_of(one.evidence.pods[0], row.at[0]):
                yield f"{named(one)}: expected one pod of {row.at[0]} that proves {row.step!r}, got {_got(one)}"
        elif Until.REPLACED in row.until:
            yield from self._enough(one, row.at, f"prove {row.step!r}")
        elif one.evidence.pods:
            yield f"{named(one)}: {row.step!r} is proven by no pod, got {_got(one)}"

    def _enough(self, one: Transition, names: Iterable[SliceName], what: str) -> Iterator[str]:
        """At least the quorum of each slice, each pod once, and no others."""
        status, pods = self._status(), one.evidence.pods
        for name in names:
            of_slice = {pod for pod in pods if self._is_of(pod, name)}
            if len(of_slice) < quorum(status, name):
                yield (
                    f"{named(one)}: expected at least {quorum(status, name)} pods of {name} that {what}, "
                    f"got {_listed(of_slice)}"
                )
        others = [pod for pod in pods if not any(self._is_of(pod, name) for name in names)]
        if others or len(set(pods)) < len(pods):
            yield f"{named(one)}: expected pods of {_listed(names)}, each once, got {_got(one)}"

    def _is_of(self, pod: str, name: SliceName) -> bool:
        return pod.startswith(f"{self._change.new.metadata.name}-{name}-"[:_POD_NAME])

    def _passed_over(self, row: Row, one: Transition) -> Iterator[str]:
        """A rollout that is in hand before and after was in hand meanwhile."""
        if Until.FREE not in row.until:
            return
        before, after = (
            _started(user for user in users if at_work([user]))
            for users in (self._change.users_before, self._change.users_after)
        )
        said = set(one.evidence.passed_over)
        waited = sorted(name for name, _ in before.items() & after.items() if name not in said)
        if waited:
            yield f"{named(one)}: {row.step!r} was left, though {_listed(waited)} is being rolled out on it"
        unknown = sorted(said - before.keys() - after.keys())
        if unknown:
            yield f"{named(one)}: {_listed(unknown)} was passed over, and was not being rolled out on it"

    def _made_again(self, row: Row, one: Transition) -> Iterator[str]:
        """What is told anew is not proven yet, so what had to be proven is what was committed before. A Deployment that
        was looked at first may have gone on in the same commit: then either is right."""
        change, status = self._change, self._status()
        if not self.is_sure:
            return
        before, after = (
            server_evidence.of(row, status, change.repository, users)
            for users in (change.users_before, change.users_after)
        )
        for what in ("templates", "route", "models"):
            expected, other, got = (getattr(seen, what) for seen in (before, after, one.evidence))
            if got != expected and expected == other:
                yield f"{named(one)}: expected the {_HASHED[what]} {_value(expected)}, got {_value(got)}"

    # ---- where it leads

    def _go(self, kind: _Kind, one: Transition, then: Sequence[Transition]) -> None:
        self.stage = one.stage
        match kind:
            case _Kind.ASKED:
                self.current, self.failed = self._change.new.current, None
                self.is_sure &= not _has_end(then)
            case _Kind.BEGUN:
                self._begin(one, then)
            case _Kind.BACK:
                self.cause, self.work = self._said_cause(one), Work.ROLLBACK
                self._enter(one)
            case _Kind.ROW:
                self._enter(one)
            case _Kind.FINISHED:
                self._finish(one)
            case _Kind.PUT_DOWN:
                self._end()

    def _begin(self, one: Transition, then: Sequence[Transition]) -> None:
        new = self._change.new
        self.work = self._begun(then)
        self.started_at, self.gaps, self.cause = one.at, (), None
        self.pinned = {name: max(1, self._replicas(name).max) for name in self.told}
        if self.work is Work.ROLLOUT:
            self.failed = None
            ends = [before.step for before, other in pairwise((one, *then)) if other.step == DONE]
            self.candidate = new.current if ends[:1] == ["main"] else new.candidate
            self.is_sure &= not ends or (ends[0] == "main" and "main" not in ends[1:])
        self._enter(one)

    def _begun(self, then: Sequence[Transition]) -> Work:
        """A turn is the first row of two plans. Which one it was, the work in hand tells; or how it went on."""
        progress = self._change.new.progress
        if progress is not None and not _has_end(then):
            return Work.CLEAN_UP if progress.work is Work.CLEAN_UP else Work.ROLLOUT
        return Work.CLEAN_UP if [other.step for other in then[:2]] == ["drain", DONE] else Work.ROLLOUT

    def _enter(self, one: Transition) -> None:
        self.step, self.since = one.step, one.at
        row = self.row()
        if row is not None:
            self.told |= row.slices

    def _finish(self, one: Transition) -> None:
        if self.work is Work.ROLLOUT:
            self.current, self.failed = self.candidate, None
        elif self.work is Work.ROLLBACK:
            self.failed = _failed(self.candidate, self.cause, one)
        else:
            self.told = {name: told for name, told in self.told.items() if name == "main"}
        self._end()

    def _end(self) -> None:
        self.work, self.step, self.candidate, self.cause = None, "", None, None
        self.since = self.started_at = None
        self.pinned, self.gaps = {}, ()
        self.told = dict.fromkeys(self.told, STEADY)

    # ---- small parts

    def _plan(self, work: Work | None = None) -> tuple[Row, ...]:
        """The rows of the work in hand, or of `work` instead of it."""
        known = self.work is not None and "main" in self.pinned
        return rows(self._status(work)) if known else ()

    def _status(self, work: Work | None = None) -> ServerStatus:
        """The status as the rules had it here."""
        slices = {
            name: ServerSlice(template=told.template, replicas=self._replicas(name), routed=told.routed)
            for name, told in (dict.fromkeys(self.pinned, STEADY) | self.told).items()
        }
        status = replace(self._change.new, current=self.current, candidate=self.candidate, slices=slices, progress=None)
        if self.work is None or self.since is None or self.started_at is None:
            return status
        progress = ServerProgress(
            work=work or self.work,
            step=self.step,
            started_at=self.started_at,
            since=self.since,
            slices=dict(self.pinned),
        )
        return replace(status, progress=progress)

    def _replicas(self, name: SliceName) -> Replicas:
        """What is wanted now; of a slice that is gone by now what was."""
        for status in (self._change.new, self._change.old):
            if status is not None and name in status.slices:
                return status.slices[name].replicas
        return Replicas(min=1, max=1)


_HASHED = {"templates": "pod templates", "route": "live routes", "models": "models told"}


def _asked(one: Transition) -> Iterator[str]:
    if not is_source(one.evidence.source):
        yield f"{named(one)}: expected the file and line that it was asked for in, got {one.evidence.source!r}"


def _surplus(one: Transition, allowed: Sequence[str]) -> Iterator[str]:
    """Evidence that this transition has no use for."""
    nothing = Evidence()
    for field in Evidence.__struct_fields__:
        got = getattr(one.evidence, field)
        if field not in (*allowed, "digest") and got != getattr(nothing, field):
            yield f"{named(one)}: expected no {field} as evidence, got {_value(got)}"


def _failed(candidate: ServerTemplate | None, cause: Cause | None, one: Transition) -> FailedTemplate | None:
    if candidate is None or cause is None or cause.kind != "failed":
        return None
    return FailedTemplate(template=candidate, reason=cause.reason, message=cause.message, at=one.at)


def _is_paused(user: DeploymentStatus) -> bool:
    return user.progress is not None and user.progress.paused_at is not None


def _started(users: Iterable[DeploymentStatus]) -> dict[str, datetime]:
    """When the work in hand began, by name."""
    return {user.metadata.name: user.progress.started_at for user in users if user.progress is not None}


def _has_end(transitions: Iterable[Transition]) -> bool:
    return any(one.step == DONE for one in transitions)


def _got(one: Transition) -> str:
    return _listed(one.evidence.pods)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _value(value: str | tuple[str, ...] | Mapping[str, str] | None) -> str:
    if isinstance(value, Mapping):
        return _listed(f"{name}: {one}" for name, one in value.items())
    return _listed(value) if isinstance(value, tuple) else value or "none"
