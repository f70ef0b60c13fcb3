"""The agent's time: a wall clock that never runs backwards. Pure; the wall clock comes in.

Somebody, or a time server, sets a clock. Set back, it would make every wait longer by as much: so the agent's time goes
on from where it was, and is ahead from then on. Set forward, it is followed: attendance takes that for a gap.
"""

from collections.abc import Callable


class Clock:
    """POSIX seconds, each time as many as the last time or more."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._ahead = 0.0
        self._last = wall()

    def __call__(self) -> float:
        """The time now."""
        self.at_least(self._last)
        return self._last

    def at_least(self, past: float) -> None:
        """`past` was a time already: from now on it is not earlier than that."""
        now = self._wall() + self._ahead
        self._ahead += max(0.0, past - now)
        self._last = max(self._last, past, now)
