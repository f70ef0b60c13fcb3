"""What the sidecar knows of its server: alive since when, which models, proven how. Asks it; changes nothing there."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from agent.modelsync.backend import Counters, IndexState, Refused, ServerBackend, TimedOut, Unreachable
from agent.modelsync.identity import Identity
from schemas.report import Requests

PROBE_SECONDS: Final = 0.25
MISSES: Final = 8  # answers that time out in a row before a server counts as not live
_PROOFS_AT_ONCE: Final = 16
T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class ServerWatch:
    """The server as last seen. `changed` is called when something is news; `generation` counts its starts."""

    def __init__(self, backend: ServerBackend, changed: Callable[[], None]) -> None:
        self._backend, self._changed = backend, changed
        self._misses = 0
        self._counters: dict[str, Counters] = {}
        # Counts what was learned of single names, so that an observation that began before does not undo it.
        self._lessons = 0
        self._learned: dict[str, int] = {}
        self._refused = False
        self._observed = 0  # the start that was observed last
        self.live = False
        self.generation = 0
        self.started_at: float | None = None
        self.version: str | None = None
        self.index: dict[str, IndexState] = {}
        self.proven: dict[str, Identity] = {}
        self.requests: dict[str, Requests] = {}

    @property
    def is_known(self) -> bool:
        """Whether `index` and `proven` say what the server has: it was observed since its start, or it is not there.
        A server that does not answer in time may have anything."""
        return self._observed == self.generation if self.live else self._refused

    async def run(self) -> None:
        """Probes and samples for ever."""
        while True:
            await self.probe()
            await self._sample()
            await asyncio.sleep(PROBE_SECONDS)

    async def probe(self) -> bool:
        """Asks once whether the server is live, and takes note."""
        try:
            live = await self._backend.live()
            self._misses, self._refused = 0, not live
        except (TimedOut, Refused):
            self._refused = False
            # A busy machine is no dead server; refusing a connection is.
            self._misses += 1
            live = self.live and self._misses < MISSES
        if live and not self.live:
            await self._came_up()
        elif self.live and not live:
            self._went_down()
        return self.live

    async def observe(self) -> None:
        """Asks for the index and every proof. Leaves everything as it was if the server does not answer."""
        if not self.live:
            return
        begun = self._lessons
        try:
            index = await self._backend.index()
            proven = await self._prove([name for name, state in index.items() if state is IndexState.READY])
        except (Unreachable, TimedOut, Refused) as error:
            _LOG.warning("the server did not answer an observation: %s", error)
            return
        if self._forgot(index):
            self._started()
        self._observed = self.generation
        for name in [name for name, lesson in self._learned.items() if lesson > begun]:
            _copy(name, self.index, index)
            _copy(name, self.proven, proven)
        self.index, self.proven = index, proven

    async def prove(self, name: str) -> Identity | None:
        """Asks what is served as `name`, and takes note. Raises Unreachable, TimedOut."""
        proof = await self._backend.proof(name)
        self.unloaded(name)
        if proof is not None:
            self.proven[name] = proof
            self.index[name] = IndexState.READY
        return proof

    def unloaded(self, name: str) -> None:
        """Takes note that the server has `name` no more."""
        self._lessons += 1
        self._learned[name] = self._lessons
        self.proven.pop(name, None)
        self.index.pop(name, None)

    async def ended(self, generation: int) -> bool:
        """Whether the server that was at its start `generation` is gone. Asked when a call to it broke off."""
        for _ in range(3):
            await self.probe()
            await self.observe()
            if not self.live or self.generation != generation:
                return True
            await asyncio.sleep(0.1)
        return False

    async def _prove(self, names: list[str]) -> dict[str, Identity]:
        limit = asyncio.Semaphore(_PROOFS_AT_ONCE)

        async def prove(name: str) -> tuple[str, Identity | None]:
            async with limit:
                return name, await self._backend.proof(name)

        answers = await asyncio.gather(*(prove(name) for name in names))
        return {name: proof for name, proof in answers if proof is not None}

    def _forgot(self, index: dict[str, IndexState]) -> bool:
        """A server that has never touched what it had loaded is another process than the one that had."""
        had = (IndexState.READY, IndexState.LOADING)
        return any(state in had and index.get(name) is IndexState.UNKNOWN for name, state in self.index.items())

    async def _came_up(self) -> None:
        try:
            self.version = await self._backend.version()
        except (Unreachable, TimedOut, Refused):
            return  # The next probe tries again.
        self.live = True
        self._started()

    def _started(self) -> None:
        self.generation += 1
        self.started_at = time.time()
        self._forget()
        _LOG.info("the server is live: version %s, start %d", self.version, self.generation)
        self._changed()

    def _went_down(self) -> None:
        self.live = False
        self._forget()
        _LOG.warning("the server is not live")
        self._changed()

    def _forget(self) -> None:
        self.index, self.proven, self.requests, self._counters = {}, {}, {}, {}

    async def _sample(self) -> None:
        if not self.live or self._misses or not self.proven:
            return  # one that does not even say that it lives is found out sooner without waiting for this, too
        try:
            counters = dict(await self._backend.statistics())
        except (Unreachable, TimedOut, Refused) as error:
            _LOG.debug("no statistics: %s", error)
            return
        before, self._counters = self._counters, counters
        requests = {name: now.requests(busy=_moved(before.get(name), now)) for name, now in counters.items()}
        if requests != self.requests:
            self.requests = requests
            self._changed()


def _copy(name: str, source: dict[str, T], target: dict[str, T]) -> None:
    """Makes `target` say of `name` what `source` says."""
    target.pop(name, None)
    if name in source:
        target[name] = source[name]


def _moved(before: Counters | None, now: Counters) -> bool:
    """Whether requests were counted since `before`. A load starts the counters again, which alone is no request."""
    count = now.successes + now.failures
    return count > 0 and count != (before.successes + before.failures if before else 0)
