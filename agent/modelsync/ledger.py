"""The memory of failures: what was tried, how often, what it said, when to try again. Pure; time and chance come in."""

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from agent.modelsync.errors import Failed
from schemas import limits
from schemas.report import Reason, ReportError

K = TypeVar("K", bound=Hashable)

# Reasons that become certain by repetition, for the agent to decide on. All are retried as long as they are wanted.
_CERTAIN_BY_REPETITION = (
    Reason.LOAD_FAILED,
    Reason.ARTIFACT_NOT_FOUND,
    Reason.PROOF_MISMATCH,
)


@dataclass(frozen=True)
class Failure:
    """One entry: the error as reported, how often it was seen, and when (on the caller's clock) to try again: never
    where trying cannot help, and still where it has only failed often enough for a verdict."""

    error: ReportError
    count: int
    retry_at: float


class Ledger(Generic[K]):
    """Failures by key. `base` and `most` bound the pause before a retry, in seconds; `chance` yields from [0, 1)."""

    def __init__(self, *, base: float, most: float, chance: Callable[[], float]) -> None:
        self._base, self._most, self._chance = base, most, chance
        self._failures: dict[K, Failure] = {}
        self._before: dict[K, int] = {}

    @property
    def refusals(self) -> dict[K, int]:
        """How often in a row each key has failed for a reason that becomes certain by repetition."""
        found = {key: one.count for key, one in self._failures.items() if one.error.reason in _CERTAIN_BY_REPETITION}
        return {**self._before, **found}

    def recall(self, refusals: Mapping[K, int]) -> None:
        """Goes on counting from what `refusals` was when this process began."""
        self._before.update(refusals)

    def failed(self, key: K, failure: Failed, *, now: float, digest: str, attempt: int) -> ReportError:
        """Notes that `key` failed at `now`, and returns what to report about it."""
        before = self._failures.get(key)
        count = before.count + 1 if before else self._before.pop(key, 0) + 1
        repeated = failure.reason in _CERTAIN_BY_REPETITION and not failure.passing
        certain = repeated and count >= limits.LOAD_ATTEMPTS
        error = failure.error(digest=digest, attempt=attempt, retries=count - 1, certain=certain)
        self._failures[key] = Failure(error, count, float("inf") if failure.permanent else now + self._pause(count))
        return error

    def condemn(self, key: K, error: ReportError) -> None:
        """Notes a verdict from elsewhere, such as one kept over a restart."""
        self._failures[key] = Failure(error, 1, float("inf"))

    def succeeded(self, key: K) -> None:
        """Forgets what was held against `key`."""
        self._failures.pop(key, None)
        self._before.pop(key, None)

    def error(self, key: K) -> ReportError | None:
        """What is held against `key`."""
        failure = self._failures.get(key)
        return failure.error if failure else None

    def permanent(self, key: K) -> bool:
        """Whether what is held against `key` is certain."""
        error = self.error(key)
        return error is not None and error.permanent

    def allows(self, key: K, now: float) -> bool:
        """Whether `key` may be tried at `now`."""
        failure = self._failures.get(key)
        return failure is None or now >= failure.retry_at

    def next_retry(self, *, after: float) -> float | None:
        """When the first retry later than `after` is due; None for never."""
        due = (failure.retry_at for failure in self._failures.values())
        return min((time for time in due if after < time < float("inf")), default=None)

    def keep_only(self, keys: Collection[K]) -> None:
        """Forgets every key that is not among `keys`."""
        self._failures = {key: failure for key, failure in self._failures.items() if key in keys}
        self._before = {key: count for key, count in self._before.items() if key in keys}

    def _pause(self, count: int) -> float:
        # Jittered, so that the pods of a fleet do not knock at one storage in step.
        return min(self._most, self._base * 2.0 ** (count - 1)) * (0.5 + self._chance() / 2)
