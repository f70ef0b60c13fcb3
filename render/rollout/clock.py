"""Observed time: what deadlines and soaks count. Pure."""

from collections.abc import Iterable
from datetime import datetime

from schemas.status import Gap


def elapsed(since: datetime, now: float, gaps: Iterable[Gap]) -> float:
    """Seconds from `since` to `now` (POSIX seconds) that somebody watched: now - since - gaps.

    Gaps may overlap (nobody watched while a human held the rollout): no second is missed twice.
    """
    start = since.timestamp()
    watched, seen = 0.0, start
    for gap in sorted(gaps, key=lambda gap: gap.start):
        watched += max(0.0, min(now, gap.start.timestamp()) - seen)
        seen = max(seen, gap.end.timestamp())
    return watched + max(0.0, now - seen)
