"""What is wrong with a change of a status, as far as the change itself tells: stages, transitions, evidence. Pure.

Checked of a Deployment:
- its transitions go on from those before it, or begin anew with a rollout or a clean-up; times never fall;
- the stage, and the step of the work in hand, are those of the last transition;
- each transition follows the one before it as the plans have it (`render.rollout.plan`): no row is skipped while the
  policy is the same, none is entered twice, nothing comes after an end;
- a row that is left because it was proven has its evidence: pods where replicas prove something, the content hash of
  the very route that was rendered where a route had to be live, none where it had to be gone, a soak that was watched
  in full; the digest is that of the revision it is about; a rollout that begins says where it was asked for;
- the current revision is one that was a candidate and whose rollout is complete, a candidate is one that was accepted,
  a failed one was rolled back; a status goes only after its clean-up;
- the route, and what each slice is told, are those of the row, and of `current` where a rollout is complete.

`server_changes` says what is checked of an InferenceServer, `deletions` what of one that goes, and of deletions that
wait for a permission.

Where another version of Fresco wrote one of the two, its plans and its rendering may be others: then rows that are
skipped, the hash of the live route, and what slices and route are told are left out.

Not checked, because no commit keeps it: what a replica reported word for word, the counters of an analysis at its end,
whether a deadline was missed, and transitions that came and went between two commits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from render import places, plan
from render.objects import route_content
from render.objects.route import MAIN_ALONE
from render.plan import Index
from render.rollout.clock import elapsed
from render.rollout.plan import COMMON, Row, Until, is_decided, rank, rows
from render.verify import deletions, server_changes
from render.verify.server_walk import Change
from render.verify.words import DONE, ROUNDING, is_source, last_transition, named
from schemas.status import (
    DeploymentStatus,
    ModelRevision,
    Role,
    SliceState,
    Stage,
    Transition,
    Tree,
    Work,
)

_ACCEPTED = "accepted"
_STAGES: dict[Work, dict[str, tuple[Stage, ...]]] = {
    Work.ROLLOUT: {
        _ACCEPTED: (Stage.VALIDATION,),
        "stage": (Stage.ASSET_PREPARATION,),
        "drain": (Stage.RESOURCE_ACQUISITION,),
        "canary first pod": (Stage.RESOURCE_ACQUISITION,),
        "canary": (Stage.RESOURCE_ACQUISITION,),
        "weight": (Stage.TRAFFIC_ROUTING,),
        "main first pod": (Stage.RESOURCE_ACQUISITION, Stage.TRAFFIC_ROUTING),
        "main": (Stage.RESOURCE_ACQUISITION, Stage.TRAFFIC_ROUTING),
        "route": (Stage.TRAFFIC_ROUTING,),
        "bake": (Stage.ROLLOUT_COMPLETE,),
        "unload": (Stage.ROLLOUT_COMPLETE,),
        DONE: (Stage.ROLLOUT_COMPLETE,),
    },
    Work.ROLLBACK: {
        **dict.fromkeys(("traffic", "restore", "route", "unload"), (Stage.ROLLBACK_IN_PROGRESS, Stage.ROLLBACK_FAILED)),
        DONE: (Stage.ROLLBACK_COMPLETE,),
    },
    Work.CLEAN_UP: {
        **dict.fromkeys(("traffic", "unload"), (Stage.CLEAN_UP_IN_PROGRESS,)),
        DONE: (Stage.CLEAN_UP_COMPLETE,),
    },
}
_WORK = {
    Stage.ROLLBACK_IN_PROGRESS: Work.ROLLBACK,
    Stage.ROLLBACK_FAILED: Work.ROLLBACK,
    Stage.ROLLBACK_COMPLETE: Work.ROLLBACK,
    Stage.CLEAN_UP_IN_PROGRESS: Work.CLEAN_UP,
    Stage.CLEAN_UP_COMPLETE: Work.CLEAN_UP,
}
_PROVEN = (Until.STAGED, Until.FIRST_PROVEN, Until.PROVEN)


class _New(NamedTuple):
    """The transitions that a commit has brought, and the one that they go on from; None where they begin anew."""

    last: Transition | None
    transitions: Sequence[Transition]

    @property
    def pairs(self) -> list[tuple[Transition, Transition]]:
        """Each new transition with the one before it."""
        return list(pairwise([*([self.last] if self.last is not None else []), *self.transitions]))


def tree(before: Index | None, after: Index, *, same_version: bool = True) -> list[str]:
    """What is wrong with the changes of all resources between two trees: `Kind namespace/name: what`, sorted by name.
    Costs what differs, and a look at each status: what is the same object is equal."""
    olds, news = (before.tree.deployments if before is not None else {}), after.tree.deployments
    problems = [
        f"Deployment {key}: {one}"
        for key in _differing(olds, news)
        for one in deployment(before, after, key, same_version=same_version)
    ]
    old_tree = before.tree if before is not None else None
    for key, change in _servers(old_tree, after.tree):
        problems += [
            f"InferenceServer {key}: {one}" for one in server_changes.server(change, same_version=same_version)
        ]
    return [*problems, *_together(old_tree, after.tree)] if same_version else problems


def _together(before: Tree | None, after: Tree) -> list[str]:
    """What no status shows alone."""
    crowd = [f"InferenceServer {key}: {one}" for key, one in server_changes.crowd(before, after)]
    return [*crowd, *deletions.tree(before, after)]


def _servers(before: Tree | None, after: Tree) -> Iterator[tuple[str, Change]]:
    """The servers whose status differs and is still there."""
    olds = before.servers if before is not None else {}
    differing = [key for key in _differing(olds, after.servers) if key in after.servers]
    if not differing:
        return
    old, new = (plan.index(one) if one is not None else None for one in (before, after))
    for key in differing:
        was, now = (one.fleet(key) if one is not None else None for one in (old, new))
        users = (one.deployments if one is not None else () for one in (was, now))
        yield key, Change(olds.get(key), after.servers[key], after.repository, *users)


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    keys = before.keys() | after.keys()
    return sorted(key for key in keys if before.get(key) is not after.get(key))


def deployment(before: Index | None, after: Index, key: str, *, same_version: bool = True) -> list[str]:
    """What is wrong with the change of the Deployment `key` between two trees; `before` is None for the first tree.

    `same_version`: this version of Fresco wrote both; else what needs its plans or its rendering is left out.
    """
    old = before.tree.deployments.get(key) if before is not None else None
    new = after.tree.deployments.get(key)
    if new is None:
        return list(_forgotten(old))
    if old is not None and old.stage is Stage.CLEAN_UP_COMPLETE is not new.stage:
        old = None  # forgotten, and asked for again in the same look
    found = _brought(old, new)
    if found is None:
        return ["its transitions are neither those before it and more, nor a new beginning"]
    expected = _live_route(before, key) if same_version else None
    return [
        *_stage(old, new),
        *_order(old, new, found, by_plan=same_version),
        *_evidence(old, new, found),
        *_route_evidence(old, new, found, expected if same_version else _UNKNOWN),
        *_revisions(old, new, found),
        *_clean_up(old, new),
        *(_told(old, new) if same_version else ()),
    ]


# ---- which transitions are new


def _brought(old: DeploymentStatus | None, new: DeploymentStatus) -> _New | None:
    before, after = old.transitions if old is not None else (), new.transitions
    if after[: len(before)] == before:
        return _New(before[-1] if before else None, after[len(before) :])
    first = after[0] if after else None
    begins = first is not None and (first.stage, first.step) in (
        (Stage.VALIDATION, _ACCEPTED),
        (Stage.CLEAN_UP_IN_PROGRESS, "traffic"),
    )
    return _New(None, after) if begins and first not in before[:1] else None


def _forgotten(old: DeploymentStatus | None) -> Iterator[str]:
    if old is None or old.stage is Stage.CLEAN_UP_COMPLETE:
        return
    if old.current is not None or old.candidate is not None:
        yield f"its status is gone in {old.stage}: expected {Stage.CLEAN_UP_COMPLETE} before"


def _clean_up(old: DeploymentStatus | None, new: DeploymentStatus) -> Iterator[str]:
    """Once begun, because the file is gone, it goes on to its end; and then nothing is left."""
    is_begun = old is not None and old.progress is not None and old.progress.work is Work.CLEAN_UP
    if is_begun and new.stage not in (Stage.CLEAN_UP_IN_PROGRESS, Stage.CLEAN_UP_COMPLETE):
        yield f"its clean-up was in hand, and it is in {new.stage}: expected {Stage.CLEAN_UP_COMPLETE} before"
    progress = new.progress
    if progress is not None and (progress.work is Work.CLEAN_UP) is not (new.stage is Stage.CLEAN_UP_IN_PROGRESS):
        yield f"it is in {new.stage}, and the work in hand is {progress.work}"
    cause = progress.cause.kind if progress is not None and progress.cause is not None else "none"
    if progress is not None and progress.work is Work.CLEAN_UP and cause != "deleted":
        yield f"expected as cause of its clean-up that it was deleted, got {cause}"
    if new.stage is Stage.CLEAN_UP_COMPLETE and (new.slices or new.there or new.route is not None or progress):
        yield f"it is in {new.stage}, and something of it is still there"


# ---- stage and order


def _stage(old: DeploymentStatus | None, new: DeploymentStatus) -> Iterator[str]:
    yield from _times(new.transitions)
    if new.stage is Stage.CLEAN_UP_COMPLETE and not (old is not None and (old.slices or old.there)):
        return  # nothing was served
    yield from last_transition(new, Stage.VALIDATION)
    last = new.transitions[-1] if new.transitions else None
    if last is not None and (new.progress is None) is not (last.step == DONE):
        yield f"there is {'no' if new.progress is None else 'still'} work in hand after {last.stage}, {last.step}"


def _times(transitions: Sequence[Transition]) -> Iterator[str]:
    for one, other in pairwise(transitions):
        if other.at < one.at:
            yield f"{other.stage}, {other.step} is dated before {one.stage}, {one.step}"


def _order(old: DeploymentStatus | None, new: DeploymentStatus, found: _New, *, by_plan: bool) -> Iterator[str]:
    unknown = [one for one in found.transitions if not _is_known(one)]
    yield from (f"there is no step {one.step!r} in {one.stage}" for one in unknown)
    if unknown or (found.last is not None and not _is_known(found.last)):
        return
    if found.last is None and found.transitions:
        first = found.transitions[0]
        if first.step not in (_ACCEPTED, "traffic"):
            yield f"its first transition is to {first.stage}, {first.step}"
    plans = _plans(old, new) if by_plan else {}
    for one, other in found.pairs:
        if not _may_follow(one, other):
            yield f"{named(other)} cannot follow {named(one)}"
        elif _goes_on(one, other) and not _is_next(one, other, plans.get(_work(one))):
            yield f"{named(other)} follows {named(one)}: a row of the plan is skipped"


def _is_known(one: Transition) -> bool:
    return one.stage in set(Stage) and Stage(one.stage) in _STAGES[_work(one)].get(_family(one.step), ())


def _may_follow(one: Transition, other: Transition) -> bool:
    if one.step == DONE:
        return False
    work, following = _work(one), _work(other)
    if (work, following) == (Work.ROLLOUT, Work.ROLLBACK):
        return other.step == "traffic" and one.step != _ACCEPTED and not is_decided(one.step)
    if work is not following:
        return False
    if other.stage == Stage.ROLLBACK_FAILED:
        return one.step == other.step and one.stage != other.stage
    return _place(one.step) < _place(other.step)


def _goes_on(one: Transition, other: Transition) -> bool:
    """Whether a row was left because what it waits for was proven."""
    put_down = one.stage == Stage.ROLLBACK_FAILED and other.step == DONE
    return _work(one) is _work(other) and other.stage != Stage.ROLLBACK_FAILED and not put_down


def _plans(old: DeploymentStatus | None, new: DeploymentStatus) -> dict[Work, tuple[Row, ...]]:
    """The rows of the work in hand before and after, as far as they are known. None where the policy has changed: it
    may have taken rows away, or brought some."""
    if old is None or old.rollout != new.rollout:
        return {}
    return {one.progress.work: rows(one) for one in (old, new) if one.progress is not None and one.rollout is not None}


def _is_next(one: Transition, other: Transition, plan: Sequence[Row] | None) -> bool:
    steps = [_ACCEPTED, *(row.step for row in plan), DONE] if plan is not None else None
    return steps is None or one.step not in steps or steps[steps.index(one.step) + 1] == other.step


# ---- evidence


def _evidence(old: DeploymentStatus | None, new: DeploymentStatus, found: _New) -> Iterator[str]:
    plans = _plans(old, new)
    for index, (one, other) in enumerate(found.pairs):
        row = _row(plans, one)
        if row is None or not _is_known(other) or not _goes_on(one, other):
            continue
        if any(until in _PROVEN for until in row.until) and not other.evidence.pods:
            yield f"{named(other)}: no pod is named that proves {row.step!r}"
        if Until.UNROUTED in row.until and other.evidence.route is not None:
            yield f"{named(other)}: the route was still there"
        watched = old if index == 0 and found.last is not None else None
        yield from _soak(row, watched, other)
    yield from _sources(found)
    yield from _digests(old, new, found)


def _soak(row: Row, old: DeploymentStatus | None, other: Transition) -> Iterator[str]:
    """What is watched is committed before it is over. A newer revision ends the bake time."""
    if row.soak <= 0 or row.step == "bake":
        return
    progress = old.progress if old is not None else None
    since = progress.live_since if progress is not None else None
    seen = elapsed(since, other.at.timestamp(), progress.gaps) if progress is not None and since is not None else 0.0
    if seen < row.soak - ROUNDING:
        yield f"{named(other)}: {row.step!r} was watched for {seen:g} s, expected {row.soak:g} s"


def _sources(found: _New) -> Iterator[str]:
    for one in found.transitions:
        if one.step == _ACCEPTED and not is_source(one.evidence.source):
            yield f"{named(one)}: expected the file and line that it was asked for in, got {one.evidence.source!r}"


def _digests(old: DeploymentStatus | None, new: DeploymentStatus, found: _New) -> Iterator[str]:
    for one in found.transitions:
        expected = _digest(old, new, found, one)
        if expected is not _UNKNOWN and one.evidence.digest != expected:
            yield f"{named(one)}: expected the digest {expected or 'of nothing'}, got {one.evidence.digest}"


def _digest(old: DeploymentStatus | None, new: DeploymentStatus, found: _New, one: Transition) -> str | None:
    """The digest of the revision that a transition is about."""
    if one.stage == Stage.ROLLBACK_COMPLETE:
        return new.current.digest if new.current is not None else None
    if new.candidate is not None:
        return new.candidate.digest
    if new.stage is Stage.ROLLBACK_COMPLETE:
        candidate = old.candidate if old is not None and found.last is not None else None
        return candidate.digest if candidate is not None else _UNKNOWN
    return new.current.digest if new.current is not None else None


_UNKNOWN = "unknown"


def _live_route(before: Index | None, key: str) -> str | None:
    """The content hash of the route that the tree before renders."""
    routed = before.routed(key) if before is not None else None
    return route_content(before.tree.repository, *routed) if before is not None and routed is not None else None


def _route_evidence(
    old: DeploymentStatus | None, new: DeploymentStatus, found: _New, expected: str | None
) -> Iterator[str]:
    """What is told anew is not live yet, so a route that had to be live is the one that was committed before."""
    if expected == _UNKNOWN or found.last is None or not found.transitions:
        return
    other, row = found.transitions[0], _row(_plans(old, new), found.last)
    if row is None or Until.ROUTED not in row.until or not _is_known(other) or not _goes_on(found.last, other):
        return
    if other.evidence.route != expected:
        yield f"{named(other)}: expected the live route {expected}, got {other.evidence.route}"


def _row(plans: dict[Work, tuple[Row, ...]], one: Transition) -> Row | None:
    return next((row for row in plans.get(_work(one), ()) if _is_known(one) and row.step == one.step), None)


# ---- revisions


def _revisions(old: DeploymentStatus | None, new: DeploymentStatus, found: _New) -> Iterator[str]:
    current, candidate = (old.current, old.candidate) if old is not None else (None, None)
    begins = any(one.step == _ACCEPTED for one in found.transitions)
    if new.current is None and current is not None:
        yield "what was current is gone"
    if new.current is not None and _hash(new.current) != _hash(current):
        ended = any((one.stage, one.step) == (Stage.ROLLOUT_COMPLETE, DONE) for one in found.transitions)
        again = found.last is None and begins and _hash(candidate) == _hash(new.current)
        if not (ended or again):
            yield f"revision {new.current.revision} is current, and no rollout of it was complete"
    if new.candidate is not None and _hash(new.candidate) != _hash(candidate) and not begins:
        yield f"revision {new.candidate.revision} is the candidate, and was never accepted"
    if new.candidate is None and candidate is not None and found.last is not None and not _ends(found.transitions):
        yield f"revision {candidate.revision} is no candidate any more, and nothing has ended"
    rolled_back = any(one.stage == Stage.ROLLBACK_COMPLETE for one in found.transitions)
    if new.failed is not None and new.failed != (old.failed if old is not None else None) and not rolled_back:
        yield f"revision {new.failed.revision} failed, and was not rolled back"


def _ends(transitions: Iterable[Transition]) -> bool:
    return any(one.step == DONE for one in transitions)


def _hash(revision: ModelRevision | None) -> str | None:
    return revision.model_hash if revision is not None else None


# ---- what slices and route are told


def _told(old: DeploymentStatus | None, new: DeploymentStatus) -> Iterator[str]:
    if new.progress is None:
        settled = (COMMON, [SliceState(serve=Role.CURRENT)] * len(new.slices))
        if new.stage is Stage.ROLLOUT_COMPLETE and (new.route, list(new.slices.values())) != settled:
            yield "its rollout is complete, and route or slices are told something else than the current revision"
        return
    if old is None or old.rollout != new.rollout or new.rollout is None:
        return
    row = next((row for row in rows(new) if row.step == new.progress.step), None)
    if row is None:
        yield f"there is no step {new.progress.step!r} in its plan"
        return
    if new.route != row.route and not (new.route == MAIN_ALONE and row.route is not None and row.route.split):
        yield f"in {row.step!r} its route is told something else than that row"
    slices = places.there(new).slices
    for name, state in (row.slices or {}).items():
        told = slices.get(name)
        if told is None or (told.serve, told.stage) != (state.serve, state.stage):
            yield f"in {row.step!r} the slice {name} is told something else than that row"


# ---- words


def _work(one: Transition) -> Work:
    return _WORK.get(Stage(one.stage), Work.ROLLOUT) if one.stage in set(Stage) else Work.ROLLOUT


def _family(step: str) -> str:
    family, _, number = step.partition(" ")
    return family if family == "weight" and number.isdecimal() else step


def _place(step: str) -> tuple[int, int]:
    ends = {_ACCEPTED: (-1, 0), DONE: (99, 0)}
    return ends[step] if step in ends else rank(step)
