"""What the sidecar needs of an inference server, whichever it is. Pure: a Protocol and its values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from agent.modelsync.identity import Identity, Target
from schemas.model_config import SmokeTest
from schemas.report import Requests


class Unreachable(Exception):
    """The server did not answer: it is gone, or it is going."""


class TimedOut(Exception):
    """The server did not answer before the deadline. What was asked for may still happen."""


class Refused(Exception):
    """The server answered, and said no. `invalid`: because of the model itself, whoever asks and whenever."""

    def __init__(self, message: str, *, invalid: bool = False) -> None:
        super().__init__(message)
        self.message, self.invalid = message, invalid


class IndexState(Enum):
    """What the server says of a model in its repository."""

    UNKNOWN = "unknown"  # it sees the directory and has done nothing with it since it started
    LOADING = "loading"
    READY = "ready"
    UNLOADING = "unloading"
    DOWN = "down"  # it failed to load, or was unloaded


@dataclass(frozen=True)
class Counters:
    """The server's own counters for one model since it was loaded. `seconds`: summed over the successful ones."""

    successes: int
    failures: int
    seconds: float

    def requests(self, *, busy: bool) -> Requests:
        """These, as the report says them."""
        return Requests(
            count=self.successes + self.failures, failures=self.failures, latency_seconds=self.seconds, busy=busy
        )


class ServerBackend(Protocol):
    """One server. Every call has a deadline of its own; every call may raise Unreachable or TimedOut."""

    async def live(self) -> bool:
        """Whether the server answers that it is alive. Cheap. Raises TimedOut only: no answer at all means no."""
        ...

    async def version(self) -> str:
        """The server's version."""
        ...

    async def index(self) -> dict[str, IndexState]:
        """The models that the server sees, by name."""
        ...

    def mark(self, directory: Path, *, source: Path, name: str, target: Target) -> None:
        """Completes a publication of the artifact at `source`, so that the server proves `target` once it serves it.

        Raises Refused if the model can be seen to be invalid without the server. Writes to `directory`.
        """
        ...

    async def load(self, name: str, *, deadline: float) -> None:
        """Loads, or replaces in place, what is published as `name`. Returns when it serves. Raises Refused."""
        ...

    async def proof(self, name: str) -> Identity | None:
        """What the server proves it serves as `name`; None for a model that carries no mark, or none at all."""
        ...

    async def has_outputs(self, name: str) -> bool:
        """Whether `name`, which is served, declares any output: without one no request can have an answer."""
        ...

    async def unload(self, name: str) -> None:
        """Asks for the unloading of `name`; the index tells when it is done. Raises Refused."""
        ...

    async def smoke(self, name: str, test: SmokeTest) -> None:
        """Sends one request. Raises Refused if the answer is an error."""
        ...

    async def statistics(self) -> Mapping[str, Counters]:
        """The counters of every model that is served."""
        ...

    async def close(self) -> None:
        """Ends the connection."""
        ...
