"""One load, from publication to proof, and what its failure means. Alone calls the server's load and unload. I/O.

Whatever happens in between, the disk ends as the server is: the new publication in force if it serves, else the old.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from agent.modelsync.backend import IndexState, Refused, ServerBackend, TimedOut, Unreachable
from agent.modelsync.errors import Failed
from agent.modelsync.identity import Identity, Key, Target
from agent.modelsync.journal import Journal, LoadNote
from agent.modelsync.layout import Layout, Publication
from agent.modelsync.server import ServerWatch
from schemas.model_config import SmokeTest
from schemas.report import Reason

UNLOAD_SECONDS: Final = 120.0  # for requests in flight to end
_POLL_SECONDS: Final = 0.05
_OUT_OF_MEMORY: Final = (
    "out of memory",
    "cudaerrormemoryallocation",
    "cannot allocate memory",
    "no space left on device",
)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be loaded."""

    name: str
    target: Target
    attempt: int
    smoke: SmokeTest | None

    @property
    def key(self) -> Key:
        """What a verdict over this load is about."""
        return Key(self.name, self.target.identity, self.attempt)


@dataclass
class Crashes:
    """Which loads were under way when the server ended: alone, one is to blame; of several none is."""

    under_way: set[str] = field(default_factory=set)
    _suspects: dict[int, frozenset[str]] = field(default_factory=dict)

    def suspects(self, generation: int) -> frozenset[str]:
        """The names under way when the server's start `generation` ended. The first to ask takes the picture."""
        return self._suspects.setdefault(generation, frozenset(self.under_way))

    def forget(self, generation: int) -> None:
        """It had not ended: the next picture is another one."""
        self._suspects.pop(generation, None)


class Loader:
    """Loads and unloads. At most one call for each name at a time; the caller sees to that."""

    def __init__(
        self,
        *,
        backend: ServerBackend,
        server: ServerWatch,
        layout: Layout,
        journal: Journal,
        deadline: float,
        calling: Callable[[str], None],
    ) -> None:
        self._backend, self._server = backend, server
        self._layout, self._journal = layout, journal
        self._deadline, self._calling = deadline, calling
        self.crashes = Crashes()
        # Names to be loaded with no other load beside them, because the server died over several.
        self.one_by_one: set[str] = set()
        # Names whose load passed its deadline in this start of the server.
        self.hung: set[str] = set()
        # Directories that the server may be reading for a load of an earlier sidecar, by name. A model that loses its
        # files while it is loaded can hang for ever.
        self.orphaned: dict[str, str] = {}
        # What was loaded under a name and has not passed its examination: it serves, and does not count.
        self.unexamined: dict[str, Identity] = {}

    async def load(self, job: Job) -> float:
        """Has the server serve `job`, proven, and returns the seconds the server took. Raises Failed."""
        generation = self._server.generation
        previous = self._layout.linked().get(job.name)
        self._layout.tidy(job.name, keep=self.orphaned.get(job.name))
        publication = self._publish(job, previous)
        self.crashes.under_way.add(job.name)
        self.unexamined[job.name] = job.target.identity
        try:
            seconds = await self._call(job)
            await self._examine(job)
        except Unreachable as error:
            raise await self._unreachable(job, previous, publication, generation, error) from error
        except TimedOut as error:
            raise self._timed_out(job, previous, error) from error
        except Refused as error:
            self._put_back(job, previous)
            raise _refused(error) from error
        except Failed:
            # It is loaded, and not what it should be: the previous one is loaded again, if there is one.
            self._put_back(job, previous or publication)
            raise
        finally:
            if job.name not in self.hung:
                self.crashes.under_way.discard(job.name)
        self.unexamined.pop(job.name, None)
        self._settle(job)
        return seconds

    def restarted(self) -> None:
        """The server has been started again: nothing of what was under way is."""
        self.crashes.under_way -= self.hung
        for name in self.hung:
            self._journal.end(name)
        self.hung.clear()
        self.orphaned.clear()
        self.unexamined.clear()

    async def unload(self, name: str) -> None:
        """Has the server drop `name`, waits until it has, then takes it off the disk. Raises Failed."""
        try:
            await self._backend.unload(name)
            await asyncio.wait_for(self._until_gone(name), UNLOAD_SECONDS)
        except (Unreachable, TimedOut, TimeoutError, Refused) as error:
            raise Failed(Reason.SERVER_UNAVAILABLE, f"cannot unload: {error!r}") from error
        self._layout.remove(name)
        self._server.unloaded(name)
        self.unexamined.pop(name, None)
        _LOG.info("unloaded %s", name)

    def _publish(self, job: Job, previous: Publication | None) -> Publication:
        publication = self._layout.prepare(job.name, job.target)
        directory = self._layout.path(publication)
        try:
            source = self._layout.artifact(job.target.digest)
            self._backend.mark(directory, source=source, name=job.name, target=job.target)
        except Refused as error:
            self._layout.tidy(job.name, keep=self.orphaned.get(job.name))
            raise _refused(error) from error
        self._journal.begin(LoadNote(publication, previous, job.attempt))
        self._layout.switch(publication)
        return publication

    async def _call(self, job: Job) -> float:
        self._calling(job.name)
        _LOG.info("loading %s %s", job.name, job.target.digest)
        start = time.monotonic()
        await self._backend.load(job.name, deadline=self._deadline)
        return time.monotonic() - start

    async def _examine(self, job: Job) -> None:
        """Raises Failed unless the server proves the load, and the smoke test is answered; Unreachable."""
        try:
            proof = await self._server.prove(job.name)
            has_outputs = proof is not None and await self._backend.has_outputs(job.name)
        except TimedOut as error:
            raise Failed(Reason.PROOF_MISMATCH, f"no proof: {error}") from error
        if proof != job.target.identity:
            raise Failed(Reason.PROOF_MISMATCH, f"the server proves {proof}, {job.target.identity} was loaded")
        if not has_outputs:
            raise Failed(Reason.MODEL_INVALID, "it declares no outputs, in config.pbtxt or itself", permanent=True)
        try:
            if job.smoke is not None:
                await self._backend.smoke(job.name, job.smoke)
        except (Refused, TimedOut) as error:
            raise Failed(Reason.SMOKE_TEST_FAILED, str(error), permanent=True) from error

    def _settle(self, job: Job) -> None:
        # Loads of one name wait for each other in the server: when this one has ended, so has any before it.
        self.orphaned.pop(job.name, None)
        self._journal.end(job.name)
        self._journal.acquit(job.key)
        self.one_by_one.discard(job.name)

    def _put_back(self, job: Job, previous: Publication | None) -> None:
        if previous is None or previous.directory != self._linked_directory(job.name):
            self._layout.put_back(job.name, previous)
        self._settle(job)

    def _linked_directory(self, name: str) -> str | None:
        linked = self._layout.linked().get(name)
        return linked.directory if linked else None

    async def _unreachable(
        self, job: Job, previous: Publication | None, publication: Publication, generation: int, error: Unreachable
    ) -> Failed:
        suspects = self.crashes.suspects(generation)
        died = await self._server.ended(generation)
        if not died:
            # It may serve what was just loaded: without its directory Triton would hide it, and serve it on.
            self.crashes.forget(generation)
            self._put_back(job, previous or publication)
            return Failed(Reason.SERVER_UNAVAILABLE, f"the server broke off the load: {error}")
        self._put_back(job, previous)
        if suspects != {job.name}:
            self.one_by_one |= suspects
            return Failed(Reason.SERVER_UNAVAILABLE, f"the server broke off the load: {error}")
        failure = Failed(Reason.QUARANTINED, f"the server died while it loaded this: {error}", permanent=True)
        self._journal.quarantine(job.key, failure.error(digest=job.target.digest, attempt=job.attempt))
        return failure

    def _timed_out(self, job: Job, previous: Publication | None, error: TimedOut) -> Failed:
        # The server goes on with it, and may serve it yet: only its restart ends that.
        self.hung.add(job.name)
        self._layout.put_back(job.name, previous)
        failure = Failed(Reason.LOAD_TIMED_OUT, str(error), permanent=True)
        self._journal.quarantine(job.key, failure.error(digest=job.target.digest, attempt=job.attempt))
        # The note stays in the journal: a sidecar that starts before the server does must know of this, too.
        return failure

    async def _until_gone(self, name: str) -> None:
        there = (IndexState.READY, IndexState.UNLOADING, IndexState.LOADING)
        while (await self._backend.index()).get(name) in there:  # noqa: ASYNC110 - Triton tells nobody, it must be asked
            await asyncio.sleep(_POLL_SECONDS)


def _refused(error: Refused) -> Failed:
    if error.invalid:
        return Failed(Reason.MODEL_INVALID, error.message, permanent=True)
    passing = any(text in error.message.lower() for text in _OUT_OF_MEMORY)
    return Failed(Reason.LOAD_FAILED, error.message, passing=passing)
