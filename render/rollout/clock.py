"""Observed time: what deadlines and soaks count. Pure."""

from collections.abc import Iterable
from datetime import datetime

from schemas.status import Gap


def elapsed(since: datetime, now: float, gaps: Iterable[Gap]) -> float:
    """Seconds from `since` to `now` (POSIX seconds) that somebody watched: now - since - gaps. Gaps do not overlap."""
    start = since.timestamp()
    missed = sum(max(0.0, min(now, gap.end.timestamp()) - max(start, gap.start.timestamp())) for gap in gaps)
    return max(0.0, now - start - missed)
