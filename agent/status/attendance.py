"""Who watched when: gaps in observation, in which neither deadlines nor soaks run. Pure; the clock comes in.

A gap runs from the last sign of life, of this process or, at a start, of the one before, until everything was seen
again. The lease is not renewed before the gap is on record: killed in between, the next process still knows of it.
"""

from dataclasses import dataclass
from typing import Final

GAP: Final = 5.0  # seconds without a sign of life that count


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which nobody watched, POSIX seconds. `end` is None until everything was seen again."""

    start: float
    end: float | None = None


class Attendance:
    """Keeps the signs of life of this process."""

    def __init__(self, now: float) -> None:
        self._alive = now
        self.gap: Gap | None = None

    def begin(self, last: float | None, now: float) -> None:
        """At a start: `last` is the last sign of life of the process before, None when it left none."""
        self._alive = now
        if last is not None and now - last > GAP:
            self.gap = Gap(start=last)

    def tick(self, now: float) -> bool:
        """A sign of life. Whether this process slept through a gap, so that everything has to be seen again."""
        last, self._alive = self._alive, now
        if now - last <= GAP:
            return False
        self.gap = Gap(start=self.gap.start if self.gap else last)
        return True

    def seen_again(self, now: float) -> None:
        """Everything was seen: a gap that was open ends now."""
        if self.gap is not None and self.gap.end is None:
            self.gap = Gap(start=self.gap.start, end=now)

    def recorded(self) -> None:
        """The gap is on record, or concerned nothing."""
        self.gap = None
