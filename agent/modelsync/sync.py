"""The engine: one pass compares what the config wants with what there is, and starts what brings them nearer.

A pass never waits for a load or a download: those are tasks, and the end of each wakes the next pass. So a lost event,
a restart of either side, and a config that changes meanwhile need no special case. I/O.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Final

import msgspec

from agent.modelsync import config as config_file
from agent.modelsync.backend import IndexState, ServerBackend
from agent.modelsync.diff import Action, Fetch, Have, Judgement, Load, Remove, Unload, Want, compare
from agent.modelsync.errors import Failed
from agent.modelsync.fetch import Download, fetch
from agent.modelsync.identity import FetchKey, Key, fetch_key, needed, target
from agent.modelsync.journal import Journal, LoadNote
from agent.modelsync.layout import Layout, write_atomically
from agent.modelsync.ledger import Ledger
from agent.modelsync.loads import Job, Loader
from agent.modelsync.metrics import Metrics
from agent.modelsync.report import Facts, blocking, describe
from agent.modelsync.server import ServerWatch
from agent.modelsync.settings import Settings
from agent.storage.files import is_of_room
from schemas import model_config, report
from schemas.model_config import ConfigEntry, ConfigRevision, ModelConfig, entry_hash, wanted
from schemas.report import ModelReport, ModelState, Reason, ReportError, SidecarReport

EVICTION_GRACE: Final = 60.0
RESTART_AFTER: Final = 1.0  # from unready to the liveness probe's failure: traffic moves away meanwhile
_ACCEPTED: Final = "accepted-config.json"
_LOG = logging.getLogger(__name__)


class Engine:
    """Keeps one server's models as its config says. `changed` is called whenever the report may have become another."""

    def __init__(
        self, settings: Settings, backend: ServerBackend, *, metrics: Metrics, changed: Callable[[], None]
    ) -> None:
        self._settings, self._metrics, self._changed = settings, metrics, changed
        self.wake = asyncio.Event()
        self._layout = Layout(settings.models_dir)
        settings.models_dir.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(settings.models_dir)
        self.server = ServerWatch(backend, self._news)
        self._loader = Loader(
            backend=backend,
            server=self.server,
            layout=self._layout,
            journal=self._journal,
            deadline=settings.load_deadline,
            calling=lambda name: changed(),
        )
        self._owner = config_file.Owner(namespace=settings.namespace, server=settings.server, slice=settings.slice)
        self._config: ModelConfig | None = None
        self._remembered: ModelConfig | None = None
        self._config_error: ReportError | None = None
        self._hashes: dict[str, str] = {}
        self._loads: Ledger[Key] = Ledger(base=0.5, most=30.0, chance=random.random)
        self._fetches: Ledger[FetchKey] = Ledger(base=0.5, most=60.0, chance=random.random)
        self._tasks: dict[str, tuple[ModelState, asyncio.Task[None]]] = {}
        self._downloads: dict[str, tuple[Download, asyncio.Task[None]]] = {}
        self._connections = asyncio.Semaphore(settings.connections)
        self._staged: frozenset[str] = frozenset()
        self._unwanted_since: dict[str, float] = {}
        self._load_seconds: dict[str, float] = {}
        self._recovering: dict[str, LoadNote] = {}
        self._foreign_since: dict[str, float] = {}
        self._hung_since: float | None = None
        self._ready_generation: int | None = None
        self._generation = 0
        self._judged_at = 0.0

    # Life.

    async def start(self) -> None:
        """Cleans up after the last end and looks at the server and the disk once."""
        self._recovering = self._journal.loading
        orderly = self._journal.take_stopped()
        self._layout.recover(keep=frozenset(path for note in self._recovering.values() for path in note.directories))
        self._staged = self._layout.staged()
        for verdict in self._journal.quarantined:
            self._loads.condemn(verdict.key, verdict.error)
        self._loads.recall(self._journal.refusals)
        self._recall()
        await self.server.probe()
        await self.server.observe()
        self._generation = self.server.generation
        try:
            self._recover(orderly=orderly)
        except OSError:
            _LOG.exception("what the last end interrupted is settled later: the models volume")
        if self._journal.was_ready and self.server.proven:
            # The sidecar was started again beside a server that goes on: what was ready stays so.
            self._ready_generation = self.server.generation

    async def run(self) -> None:
        """Passes for ever: on an event, when a retry is due, and at the slow resync."""
        while True:
            self.wake.clear()
            await self.once()
            self._changed()
            try:
                await asyncio.wait_for(self.wake.wait(), self._pause())
            except TimeoutError:
                _LOG.debug("resync")

    async def stop(self) -> None:
        """Ends all tasks in good order; what they had begun is found by the next start."""
        tasks = [task for _, task in (*self._tasks.values(), *self._downloads.values())]
        for download, _ in self._downloads.values():
            download.ended = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            self._journal.stop()
        except OSError as error:
            _LOG.error("cannot write down that this end is an orderly one: %s", error)

    async def once(self) -> None:
        """One pass. A full or broken disk ends it early: what serves goes on serving, and the next one begins anew."""
        try:
            await self._pass()
        except OSError:
            _LOG.exception("a pass ended early: the models volume")

    async def _pass(self) -> None:
        self._read_config()
        await self.server.observe()
        self._notice_restart()
        self._settle_foreign()
        self._forget_verdicts()
        for action in list(self._compare()):
            self._act(action)
        self._drop_downloads()
        await self._evict()
        self._note_ready()

    def _pause(self) -> float:
        due = [self._settings.resync]
        now = time.monotonic()
        # What was due in the last pass and was not begun waits for something else, whose end is an event.
        retries = (self._loads.next_retry(after=self._judged_at), self._fetches.next_retry(after=self._judged_at))
        due += [retry - now for retry in retries if retry is not None]
        if self._recovering or self._foreign_since or self._hung_since is not None:
            due.append(0.25)
        return max(0.01, min(due))

    def _news(self) -> None:
        if self.server.generation != self._generation or not self.server.live:
            self.wake.set()
        self._changed()

    # The config.

    def _read_config(self) -> None:
        try:
            config = config_file.read(self._settings.config_dir / model_config.FILE_NAME, owner=self._owner)
            if self._config is None or config.checksum != self._config.checksum:
                config_file.guard(config, pod=self._settings.pod, published=self._layout.linked())
        except Failed as error:
            found = error.error()
            if found != self._config_error:
                _LOG.error("the config is refused, the entries in force stay: %s", error)
            self._config_error = found
            return
        self._config_error = None
        if config != self._config:
            _LOG.info("config %s with %d models is in force", config.checksum, len(config.models))
            self._put_in_force(config)
        self._remember(config)

    def _remember(self, config: ModelConfig) -> None:
        """For the next start. It is tried until there is room for it."""
        if config == self._remembered:
            return
        try:
            write_atomically(self._settings.models_dir / _ACCEPTED, msgspec.json.encode(config))
        except OSError as error:
            _LOG.error("cannot write down the entries in force: %s", error)
        else:
            self._remembered = config

    def _put_in_force(self, config: ModelConfig) -> None:
        self._config = config
        self._hashes = {name: entry_hash(entry) for name, entry in config.models.items()}

    def _recall(self) -> None:
        """Takes up the entries that were in force at the last end: the file may be missing or broken just now."""
        try:
            data = (self._settings.models_dir / _ACCEPTED).read_bytes()
            self._put_in_force(config_file.check(data, owner=self._owner))
            self._remembered = self._config
        except FileNotFoundError:
            _LOG.info("no entries are in force yet")
        except (Failed, OSError) as error:
            _LOG.warning("the entries of the last start are of no use: %s", error)

    # Comparing.

    def _entries(self) -> dict[str, ConfigEntry]:
        return self._config.models if self._config else {}

    def _compare(self) -> Iterator[Action]:
        if self._config is None:
            return iter(())
        pod = self._settings.pod
        wants = {
            name: Want(serve=wanted(entry, pod), needs=tuple(needed(entry, pod)), attempt=entry.attempt)
            for name, entry in self._entries().items()
        }
        return compare(wants, self._haves(), staged=self._staged, judgement=self._judgement())

    def _haves(self) -> dict[str, Have]:
        linked = self._layout.linked()
        there = {name for name, state in self.server.index.items() if state in (IndexState.READY, IndexState.LOADING)}
        return {
            name: Have(
                loaded=name in there,
                proven=self.server.proven.get(name),
                linked=linked[name].target if name in linked else None,
                busy=name in self._tasks or name in self._recovering or name in self._foreign_since,
            )
            for name in {*linked, *there, *self._tasks, *self._recovering}
        }

    def _judgement(self) -> Judgement:
        self._judged_at = now = time.monotonic()
        return Judgement(
            may_load=lambda name, identity, attempt: self._loads.allows(Key(name, identity, attempt), now),
            condemned=lambda name, identity, attempt: (
                self._loader.unexamined.get(name) == identity or self._loads.permanent(Key(name, identity, attempt))
            ),
            may_fetch=lambda revision, attempt: self._fetches.allows(fetch_key(revision, attempt), now),
        )

    # Acting.

    def _act(self, action: Action) -> None:
        match action:
            case Fetch(revision, attempt):
                if revision.digest not in self._downloads:
                    self._start_download(revision, attempt)
            case Remove(name):
                if self.server.is_known:
                    self._layout.remove(name)
            case Unload(name):
                if self._server_takes_orders():
                    self._start_task(name, ModelState.UNLOADING, self._unload(name))
            case Load(name, _, _):
                if self._server_takes_orders() and self._has_turn(name):
                    self._start_task(name, ModelState.LOADING, self._load(action))

    def _server_takes_orders(self) -> bool:
        return self.server.live and self.server.is_known and self._hung_since is None

    def _has_turn(self, name: str) -> bool:
        loading = {other for other, (state, _) in self._tasks.items() if state is ModelState.LOADING}
        alone = name in self._loader.one_by_one or bool(loading & self._loader.one_by_one)
        return len(loading) < (1 if alone else self._settings.load_threads)

    def _start_task(self, name: str, state: ModelState, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(self._guarded(name, work), name=f"{state.value} {name}")
        self._tasks[name] = (state, task)
        task.add_done_callback(lambda _: self._task_done(name))

    def _task_done(self, name: str) -> None:
        self._tasks.pop(name, None)
        self.wake.set()

    async def _guarded(self, name: str, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Failed as error:
            _LOG.warning("%s: %s", name, error)
        except Exception:  # noqa: BLE001 - said, and tried again ever more slowly
            # Mostly the disk: nothing has been promised yet that the next pass would not see.
            _LOG.exception("%s: an unexpected end", name)
            await asyncio.sleep(1.0)

    async def _load(self, action: Load) -> None:
        entry = self._entries().get(action.name, ConfigEntry())
        revision = wanted(entry, self._settings.pod)
        smoke = revision.smoke_test if revision is not None and action.wanted else None
        job = Job(name=action.name, target=action.target, attempt=entry.attempt, smoke=smoke)
        try:
            self._load_seconds[action.name] = await self._loader.load(job)
        except Failed as error:
            self._metrics.load_failed(error.reason)
            if error.reason is Reason.LOAD_TIMED_OUT:
                self._hang()
            self._loads.failed(job.key, error, now=time.monotonic(), digest=job.target.digest, attempt=job.attempt)
            raise
        except Exception as error:
            failed = _unexpected(error)
            self._loads.failed(job.key, failed, now=time.monotonic(), digest=job.target.digest, attempt=job.attempt)
            raise
        self._metrics.loaded(self._load_seconds[action.name])
        self._loads.succeeded(job.key)
        _LOG.info("%s serves %s after %.3f s", job.name, job.target.digest, self._load_seconds[action.name])

    async def _unload(self, name: str) -> None:
        try:
            await self._loader.unload(name)
        except Failed:
            # The end of this task is the next try: not in a tight loop.
            await asyncio.sleep(1.0)
            raise

    def _start_download(self, revision: ConfigRevision, attempt: int) -> None:
        download = Download(self._layout.free_bytes())
        task = asyncio.create_task(self._download(revision, attempt, download), name=f"download {revision.digest}")
        self._downloads[revision.digest] = (download, task)
        task.add_done_callback(lambda _: self._download_done(revision.digest))

    def _download_done(self, digest: str) -> None:
        self._downloads.pop(digest, None)
        self._staged = self._layout.staged()
        self.wake.set()

    async def _download(self, revision: ConfigRevision, attempt: int, download: Download) -> None:
        key = fetch_key(revision, attempt)
        start = time.monotonic()
        try:
            async with self._connections:
                await fetch(revision, self._layout, download)
        except Failed as error:
            _LOG.warning("%s: %s", revision.deployment, error)
            self._metrics.fetch_failed(error.reason)
            self._fetches.failed(key, error, now=time.monotonic(), digest=revision.digest, attempt=attempt)
        else:
            self._metrics.fetched(seconds=time.monotonic() - start, size=download.done)
            self._fetches.succeeded(key)

    # Looking after things.

    def _needed(self) -> list[tuple[str, ConfigEntry, ConfigRevision]]:
        entries = self._entries().items()
        return [(name, entry, revision) for name, entry in entries for revision in needed(entry, self._settings.pod)]

    def _forget_verdicts(self) -> None:
        needs = self._needed()
        keys = {Key(name, target(revision).identity, entry.attempt) for name, entry, revision in needs}
        # A published revision may be the one to go back to, though the config names it no more.
        linked = self._layout.linked()
        keys |= {Key(name, linked[name].target.identity, entry.attempt) for name, entry, _ in needs if name in linked}
        self._loads.keep_only(keys | {verdict.key for verdict in self._journal.quarantined})
        self._fetches.keep_only({fetch_key(revision, entry.attempt) for _, entry, revision in needs})
        self._journal.set_refusals(self._loads.refusals)

    def _drop_downloads(self) -> None:
        digests = {revision.digest for _, _, revision in self._needed()}
        for digest, (download, task) in self._downloads.items():
            if digest not in digests:
                download.ended = True
                task.cancel()

    async def _evict(self) -> None:
        used = {revision.digest for _, _, revision in self._needed()}
        used |= {publication.digest for publication in self._layout.linked().values()}
        unwanted = self._staged - used
        now = time.monotonic()
        self._unwanted_since = {digest: self._unwanted_since.get(digest, now) for digest in unwanted}
        due = [digest for digest, since in self._unwanted_since.items() if now - since > EVICTION_GRACE]
        if self._config is None or self._tasks:
            return
        for digest in due:
            await asyncio.to_thread(self._layout.evict, digest)
            self._metrics.evicted()
            _LOG.info("evicted %s", digest)
        if due:
            self._staged = self._layout.staged()

    def _notice_restart(self) -> None:
        if self.server.generation == self._generation:
            return
        self._generation = self.server.generation
        self._loader.restarted()
        self._hung_since = None
        self._foreign_since = {}

    def _hang(self) -> None:
        self._hung_since = time.monotonic()
        self._ready_generation = None
        self._journal.set_ready(False)
        _LOG.error("a load passed its deadline: the pod is unready and its server has to be restarted")
        self._changed()

    # Loads that nobody waits for: asked for by an earlier sidecar.

    def _recover(self, *, orderly: bool) -> None:
        """Settles the loads that the last end interrupted, as far as the server tells how they went."""
        for name, note in list(self._recovering.items()):
            state = self.server.index.get(name, IndexState.UNKNOWN)
            if state is not IndexState.UNKNOWN and self._loads.permanent(note.key):
                self._loader.hung.add(name)  # It passed its deadline, and this is still the same server.
                continue
            if state is IndexState.LOADING:
                continue
            if state is IndexState.READY:
                self._loader.orphaned[name] = note.publication.directory
            if self.server.proven.get(name) == note.publication.target.identity:
                self._loader.unexamined[name] = note.publication.target.identity
            else:
                self._layout.put_back(name, note.previous)
            if state is IndexState.UNKNOWN and not orderly:
                self._suspect(note, alone=len(self._recovering) == 1)
            self._journal.end(name)
        if self._loader.hung and self._hung_since is None:
            self._hang()
        still = {name for name, state in self.server.index.items() if state is IndexState.LOADING} - self._loader.hung
        self._recovering = {name: note for name, note in self._recovering.items() if name in still}

    def _suspect(self, note: LoadNote, *, alone: bool) -> None:
        """The server ended over `note`, or with all else on this machine: once cannot be told apart, twice can."""
        self._loader.one_by_one.add(note.publication.name)
        self._journal.suspect(note.key)
        if alone and self._journal.crashes(note.key) > 1:
            message = "the server died, twice, while it loaded this"
            failure = Failed(Reason.QUARANTINED, message, permanent=True)
            error = failure.error(digest=note.publication.digest, attempt=note.attempt)
            self._journal.quarantine(note.key, error)
            self._loads.condemn(note.key, error)

    def _settle_foreign(self) -> None:
        """Waits for loads that the server is at and no task of ours is; up to a load's deadline."""
        now = time.monotonic()
        loading = {name for name, state in self.server.index.items() if state is IndexState.LOADING} - set(self._tasks)
        self._foreign_since = {name: self._foreign_since.get(name, now) for name in loading}
        if self._recovering:
            self._recover(orderly=False)
        late = [name for name, since in self._foreign_since.items() if now - since > self._settings.load_deadline]
        if late and self._hung_since is None:
            self._loader.hung |= set(late)
            self._hang()

    # Telling.

    @property
    def alive(self) -> bool:
        """What the server's liveness probe is told: False asks for its restart."""
        return self._hung_since is None or time.monotonic() - self._hung_since < RESTART_AFTER

    def _note_ready(self) -> None:
        if self._config is not None and self._may_be_ready() and not self._blocked():
            self._ready_generation = self.server.generation
        if self.server.is_known:
            self._journal.set_ready(self._ready_generation == self.server.generation and self._may_be_ready())

    def _may_be_ready(self) -> bool:
        return self.server.live and self._hung_since is None

    def _blocked(self) -> tuple[str, ...]:
        if self._config is None:
            return ()
        degrade = self._settings.on_model_failure == "degrade"
        return blocking(self._config, self._models(), pod=self._settings.pod, degrade=degrade)

    def report(self) -> SidecarReport:
        """The report as of now, not yet numbered."""
        ready = self._may_be_ready() and self._ready_generation == self.server.generation
        return SidecarReport(
            schema_version=report.SCHEMA_VERSION,
            seq="00000000.0",
            pod=self._settings.pod,
            namespace=self._settings.namespace,
            server_name=self._settings.server,
            slice=self._settings.slice,
            config=report.ConfigReport(
                checksum=self._config.checksum if self._config else None, error=self._config_error
            ),
            server=report.ServerReport(
                type=self._settings.backend,
                live=self.server.live,
                started_at=self.server.started_at,
                version=self.server.version,
            ),
            ready=ready,
            blocked_by=() if ready else self._blocked(),
            models=self._models(),
        )

    def _models(self) -> dict[str, ModelReport]:
        return describe(
            Facts(
                pod=self._settings.pod,
                entries=self._entries(),
                hashes=self._hashes,
                proven=self.server.proven,
                unexamined=self._loader.unexamined,
                requests=self.server.requests,
                staged=self._staged,
                under_way={name: state for name, (state, _) in self._tasks.items()},
                downloads={digest: download.progress for digest, (download, _) in self._downloads.items()},
                load_seconds=self._load_seconds,
                load_error=self._loads.error,
                fetch_error=self._fetches.error,
            )
        )


def _unexpected(error: Exception) -> Failed:
    """Mostly the disk's: a load writes down what it is about before it begins."""
    if isinstance(error, OSError) and is_of_room(error):
        return Failed(Reason.INSUFFICIENT_DISK, f"cannot write to the models volume: {error.strerror}", passing=True)
    return Failed(Reason.LOAD_FAILED, f"{type(error).__name__}: {error}", passing=True)
