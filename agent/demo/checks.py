"""What the demo promises, as checks over what was seen: stage changes from git, answers through the gateway. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent.demo.history import Event
from agent.demo.traffic import Answer, Record, by_revision
from schemas.status import Stage

_SIGMAS = 4.0  # a fair gateway is beyond that once in 16,000 shares
_FEWEST = 100  # answers that a share is worth measuring of

_TRAILERS = {"Source-Commit", "Fresco-Version", "Lease-Epoch", "Reason"}

COMPLETE = (
    Stage.VALIDATION,
    Stage.ASSET_PREPARATION,
    Stage.RESOURCE_ACQUISITION,
    Stage.TRAFFIC_ROUTING,
    Stage.ROLLOUT_COMPLETE,
)
FAILED = (*COMPLETE[:3], Stage.ROLLBACK_IN_PROGRESS, Stage.ROLLBACK_COMPLETE)
WITHDRAWN = (*COMPLETE[:4], Stage.ROLLBACK_IN_PROGRESS, Stage.ROLLBACK_COMPLETE)
DELETED = (Stage.CLEAN_UP_IN_PROGRESS, Stage.CLEAN_UP_COMPLETE)


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, whether it was kept, and what was seen."""

    promise: str
    kept: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Share:
    """A traffic step: the `weight` that was asked for `revision`, and how many answers each gave while it soaked."""

    revision: str
    weight: int
    seen: Mapping[str, int]

    @property
    def total(self) -> int:
        """All answers."""
        return sum(self.seen.values())

    def percent(self, revision: str | None = None) -> float:
        """The share of answers that `revision` gave; by default the one that the step is about."""
        return 100 * self.seen.get(revision or self.revision, 0) / max(self.total, 1)


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` (POSIX seconds), until the next one, `revisions` may answer and no others."""

    start: float
    revisions: frozenset[str]


def stages(what: str, events: Iterable[Event], expected: Sequence[Stage]) -> Check:
    """The stages of `events` are `expected`, each once and in this order."""
    seen: list[str] = []
    for event in events:
        if not seen or seen[-1] != event.stage:
            seen.append(event.stage)
    return Check(f"{what} goes through its stages in order", seen == list(expected), " → ".join(seen) or "nothing")


def share(step: Event, end: float, record: Record) -> Share:
    """The share that `step`, a traffic step whose soak began, really had until `end`, the time of the next step."""
    answers = record.sent_between(step.soaking_since or step.at, end)
    return Share(step.revision, step.weight or 0, by_revision(answers))


def shares(events: Sequence[Event], record: Record) -> list[Share]:
    """Of every traffic step that is over."""
    return [share(step, after.at, record) for step, after in pairwise(events) if step.weight is not None]


def fair(share: Share) -> Check:
    """The share is the one asked for, as near as chance lets it be."""
    part = share.weight / 100
    tolerance = _SIGMAS * math.sqrt(share.total * part * (1 - part)) + 1
    off = abs(share.seen.get(share.revision, 0) - share.total * part)
    return Check(
        f"revision {share.revision} gets {share.weight} % of the requests",
        share.total >= _FEWEST and off <= tolerance,
        f"{share.percent():.1f} % of {share.total} (± {100 * tolerance / max(share.total, 1):.1f} allowed)",
    )


def periods(events: Iterable[Event]) -> list[Period]:
    """Who may answer when, by what the agent wrote down: a right is given before the gateway or a server learns of it,
    and taken only after all of them have been seen to follow."""
    found = [Period(0.0, frozenset())]
    current: frozenset[str] = frozenset()
    for event in events:
        candidate = frozenset({event.revision})
        if event.stage == Stage.TRAFFIC_ROUTING:
            found.append(Period(event.at, current | candidate))
        elif event.stage == Stage.ROLLOUT_COMPLETE:
            current = candidate
            found.append(Period(event.at, current))
        elif event.step == "restore":
            found.append(Period(event.at, current))
        elif event.step == "unload":
            current = frozenset()
            found.append(Period(event.at, current))
    return found


def only_allowed(events: Iterable[Event], record: Record) -> Check:
    """No answer from a revision that was not to serve at any time between the request and its answer."""
    allowed = periods(events)
    served = [answer for answer in record.answers if answer.revision]
    wrong = [answer for answer in served if answer.revision not in _in_force(allowed, answer)]
    return Check(
        "every answer is from a revision that was to serve then",
        bool(served) and not wrong,
        f"{len(served)} answers, {len(wrong)} from another" + _first(wrong),
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests by what came of them. `early`: sent before a model served; `late`: after the deletion, with no route."""

    served: int
    early: int
    late: int
    failed: tuple[Answer, ...]

    def __str__(self) -> str:
        total = self.served + self.early + self.late + len(self.failed)
        return (
            f"{total} requests sent: {self.served} answered, {len(self.failed)} failed; before the first answer "
            f"{self.early} and after the deletion {self.late} found no model, as they should."
        )


def tally(record: Record, deleted_at: float) -> Tally:
    """Counts all requests; `deleted_at`: POSIX seconds."""
    served = [answer for answer in record.answers if answer.revision is not None]
    others = [answer for answer in record.answers if answer.revision is None]
    begin = min((answer.sent for answer in served), default=math.inf)
    since = [answer for answer in others if answer.sent >= begin]
    failed = [answer for answer in since if not (answer.no_route and answer.ended > deleted_at)]
    return Tally(len(served), len(others) - len(since), len(since) - len(failed), tuple(failed))


def none_failed(tally: Tally) -> Check:
    """No request fails from the first answer until the deletion; after that only for want of a route."""
    return Check(
        "no request fails between the first answer and the deletion",
        tally.served > 0 and not tally.failed,
        f"{tally.served} answered, {len(tally.failed)} failed" + _first(tally.failed),
    )


def route_first(*, no_route_at: float | None, unloaded: dict[str, float], pods: int) -> Check:
    """Every replica still had the model when the gateway had lost the route."""
    promise = "deletion takes the route first, then the model"
    if no_route_at is None:
        return Check(promise, False, "the route was there to the end")
    if len(unloaded) < pods:
        return Check(promise, False, f"the model went from {len(unloaded)} of {pods} replicas")
    gap = min(unloaded.values()) - no_route_at
    return Check(promise, gap > 0, f"the first unload came {gap:.2f} s after the first 404")


def accounted_for(accounts: Mapping[str, Mapping[str, str]]) -> Check:
    """Every commit of the agent says what it was made of, by which version and writer, and why."""
    silent = [commit for commit, trailers in accounts.items() if not trailers.keys() >= _TRAILERS]
    return Check(
        "every commit of the agent says from what, by whom and why it was made",
        bool(accounts) and not silent,
        f"{len(accounts)} commits" + (f", {len(silent)} without, as {silent[0][:8]}" if silent else ""),
    )


def _in_force(allowed: Sequence[Period], answer: Answer) -> set[str]:
    ends = [*(period.start for period in allowed[1:]), math.inf]
    in_force = (one for one, end in zip(allowed, ends, strict=True) if one.start <= answer.ended and end >= answer.sent)
    return {revision for period in in_force for revision in period.revisions}


def _first(answers: Sequence[Answer]) -> str:
    if not answers:
        return ""
    one = answers[0]
    who = f"revision {one.revision}" if one.revision else f"{one.status or 'no answer'} {one.problem}".strip()
    return f"; the first: {who}"
