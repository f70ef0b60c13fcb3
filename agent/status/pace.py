"""When the agent may write: at once, at the end of the commit window, after a pause, or never again. Pure."""

from typing import Final

AWAY: Final = 0.5  # seconds: first pause while the repository is away
LONGEST: Final = 30.0  # seconds: longest pause while it is, or while others are always faster
BURST: Final = 3  # writes that may follow each other at once: a rollout's next step does not wait for the window
REFUSED: Final = 300.0  # seconds until a refused change is tried again when neither branch moved meanwhile


class Pace:
    """The earliest time for the next write, POSIX seconds."""

    def __init__(self, *, window: float) -> None:
        self.not_before = 0.0
        self.is_over = False
        self._window = window
        self._spent_until = 0.0
        self._failures = 0

    def may_write(self, now: float) -> bool:
        """Whether a write may be tried at `now`."""
        return not self.is_over and now >= self.not_before

    def wrote(self, now: float) -> None:
        """A commit was pushed. One a window in the long run, `BURST` at once: what comes meanwhile shares the next."""
        self._failures = 0
        self._spent_until = max(self._spent_until, now) + self._window
        self.not_before = self._spent_until - (BURST - 1) * self._window

    def lost(self, now: float) -> None:
        """Another one was faster: at once again, but ever slower while that goes on."""
        self._pause(now, self._window)

    def away(self, now: float) -> None:
        """The repository did not answer."""
        self._pause(now, AWAY)

    def refused(self, now: float) -> None:
        """A person has to act: wait for a branch to move, or long."""
        self.not_before = now + REFUSED

    def moved(self) -> None:
        """A branch moved: what was refused may be accepted now."""
        self.not_before = 0.0

    def deposed(self) -> None:
        """A newer leader has written: this process never writes again."""
        self.is_over = True

    def _pause(self, now: float, first: float) -> None:
        self.not_before = now + min(LONGEST, first * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
