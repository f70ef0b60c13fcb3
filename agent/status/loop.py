"""The agent: events come in, the rules decide, a commit goes out, the cluster takes it over. I/O through its parts.

All state is recomputable: both branches, and what is observed. One coroutine makes one turn after the other; git and
rendering run in one worker thread, so that reports are read meanwhile. A process may end at any moment: what was not
pushed did not happen, and the next process decides it anew.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

import aiohttp

from agent.status.agenda import Agenda, concerned
from agent.status.attendance import GAP, Attendance
from agent.status.branch import Branch
from agent.status.clock import Clock
from agent.status.cluster import Cluster, ClusterUnavailable
from agent.status.health import Health, Trouble
from agent.status.observe import Changes, Observer
from agent.status.pace import Pace
from agent.status.settings import Settings
from agent.status.writeback import Account, Outcome, WriteBack, Written
from render.errors import CloneUnwritable, FrescoError, RemoteUnavailable
from render.normal import Wanted
from render.rollout import Advanced, advance, has_more_room, homes, resume
from render.rollout.observation import key
from schemas.status import ServerStage, Stage, Tree

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

RENEW: Final = 1.0  # seconds between renewals of the lease
APPLY_AGAIN: Final = 10.0  # seconds that a cluster has for a commit before it is told again


class Agent:
    """One agent for one cluster."""

    def __init__(
        self, *, settings: Settings, cluster: Cluster, http: aiohttp.ClientSession, clock: Callable[[], float]
    ) -> None:
        self.health = Health()
        self.settled = asyncio.Event()  # once a look at everything is on record
        self.branch = Branch(_write_back(settings), cluster=settings.cluster)
        self._settings = settings
        self._cluster = cluster
        self._http = http
        self._clock = Clock(clock)
        self._agenda = Agenda()
        self._pace = Pace(window=settings.window)
        self._attendance = Attendance(self._clock())
        self._because: set[str] = set()
        self._asked = False  # for a look at main: stays so over a fetch that had begun before
        self._event = asyncio.Event()
        self._fetch_at = self._resync_at = self._apply_at = 0.0
        self.observer = self._new_observer()
        self._observing: asyncio.Task[None]
        self._group: asyncio.TaskGroup
        self._worker: ThreadPoolExecutor

    def refresh(self) -> None:
        """Somebody says that main has moved: it is looked at at once."""
        self._asked = True
        self._event.set()

    async def run(self) -> None:
        """Makes turns until it is cancelled. Raises only what is a bug."""
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="git")
        try:
            async with asyncio.TaskGroup() as self._group:
                self._observing = self._group.create_task(self.observer.run())
                await self._begin()
                self._group.create_task(self._attend())
                while True:
                    await self._turn()
                    await self._something()
        finally:
            self._worker.shutdown(wait=False, cancel_futures=True)

    # ---- turns

    async def _begin(self) -> None:
        """The first look at the repository, and what the process before has left."""
        while not await self._fetch(self._clock()):  # noqa: ASYNC110  its pauses grow
            await asyncio.sleep(max(0.0, self._fetch_at - self._clock()))
        last = await self._last_sign_of_life()
        if last is not None and self.branch.tree is not None and _busy(self.branch.tree):
            # The clock may have been set back meanwhile: what is in hand is not to wait for it to catch up.
            self._clock.at_least(last)
        self._attendance.begin(last, self._clock())
        if self._attendance.gap is not None:
            log.info("nobody watched for %.1f s", self._clock() - self._attendance.gap.start)
        self._because.add("start")

    async def _turn(self) -> None:
        if self._asked or self._clock() >= self._fetch_at:
            await self._fetch(self._clock())
        if self.branch.is_behind:
            await self._catch_up()
        # What is decided at `now` is decided on what was seen until then: a sleep in a fetch counts, too.
        now = self._clock()
        self._notice_sleep(now)
        changes = self._collect(now)
        await self._nudge(changes)
        await self._apply(now)
        if self._agenda and self.observer.complete and self._pace.may_write(now):
            self._attendance.seen_again(now)
            await self._decide(now)

    async def _something(self) -> None:
        """Returns when something has changed or is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._due() - self._clock())):
                await self._event.wait()
        self._event.clear()

    def _due(self) -> float:
        """When the next turn is due without an event, POSIX seconds."""
        due = [0.0 if self._asked or self.branch.is_behind else self._fetch_at, self._resync_at, self._agenda.wake_at]
        if self._agenda and self.observer.complete and not self._pace.is_over:
            due.append(self._pace.not_before)
        if self._is_unapplied() and not self._pace.is_over:
            due.append(self._apply_at)
        return min(at for at in due if at is not None)

    # ---- what comes in

    async def _fetch(self, now: float) -> bool:
        self._asked = False
        wanted = self.branch.wanted
        try:
            moved = await self._in_worker(self.branch.refresh)
        except (RemoteUnavailable, CloneUnwritable) as problem:
            self._try_later(problem, now)
            return False
        self.health.over(Trouble.REPOSITORY)
        self.health.last_success.set(now)
        self._fetch_at = self._clock() + self._settings.poll
        if moved.main or moved.cluster:
            self._take_moves(wanted, main=moved.main, cluster=moved.cluster)
        return True

    async def _catch_up(self) -> None:
        wanted = self.branch.wanted
        await self._in_worker(self.branch.catch_up)
        if self.branch.wanted is not wanted:
            self._take_wanted(wanted)

    def _try_later(self, problem: FrescoError, now: float) -> None:
        kind = Trouble.CLONE if isinstance(problem, CloneUnwritable) else Trouble.REPOSITORY
        self.health.trouble(kind, str(problem))
        self._pace.away(now)
        self._fetch_at = self._pace.not_before

    def _take_moves(self, before: Wanted | None, *, main: bool, cluster: bool) -> None:
        log.info("main is at %s, the cluster's branch at %s", self.branch.tips.main, self.branch.tips.cluster)
        self._because |= {"main moved"} if main else set()
        self._because |= {"the cluster's branch moved"} if cluster else set()
        self._apply_at = 0.0 if cluster else self._apply_at
        if cluster:
            self._agenda.add_everything()
        else:
            self._take_wanted(before)
        if not self._agenda:
            self._because.clear()  # nothing comes of it
        self._pace.moved()
        self._say_what_is_wrong()
        self._look_closely()

    def _take_wanted(self, before: Wanted | None) -> None:
        servers = concerned(before, self.branch.wanted, self.branch.tree)
        if servers is None:
            self._agenda.add_everything()
        else:
            self._agenda.add(servers)

    def _say_what_is_wrong(self) -> None:
        if self.branch.unreadable is not None:
            self.health.trouble(Trouble.STATUS, f"{self.branch.unreadable}: put the branch right, nothing is written")
        else:
            self.health.over(Trouble.STATUS)
        wanted, main = self.branch.wanted, self._settings.main
        if self.branch.invalid is not None:
            self.health.trouble(Trouble.MAIN, f"{main}: {self.branch.invalid}: nothing is decided")
        elif wanted is not None and wanted.repository.frozen:
            self.health.trouble(Trouble.MAIN, f"{main}: fresco.yaml is missing or broken: everything stays as it is")
        else:
            self.health.over(Trouble.MAIN)

    def _collect(self, now: float) -> Changes:
        """What has to be looked at, from observation and from time; and what has changed in the cluster."""
        changes = self.observer.take()
        if changes:
            self._because.add("observation")
            self._agenda.add(self._concerned(changes))
        wake_at = self._agenda.wake_at
        if wake_at is not None and wake_at <= now:
            self._because.add("time")
            self._agenda.expire(now)
        if now >= self._resync_at:
            self._agenda.add_everything()
            self._resync_at = now + self._settings.resync
        return changes

    def _concerned(self, changes: Changes) -> set[str]:
        """The servers that changes of routes and objects belong to, besides those whose pods changed."""
        servers = set(changes.servers)
        tree, wanted = self.branch.tree, self.branch.wanted
        for name in changes.routes:
            status = tree.deployments.get(name) if tree else None
            servers |= homes(wanted.deployments.get(name) if wanted else None, status)
        for name in changes.objects:
            servers |= {server for server in _owners(name) if tree and server in tree.servers}
        return servers

    # ---- what goes out

    async def _decide(self, now: float) -> None:
        wanted, looked = self.branch.wanted, self._agenda.servers
        if wanted is None:
            self._agenda.looked(None, wake_at=None, busy=())
            return
        before = self.branch.tree
        tree = before if before is not None else Tree(repository=wanted.repository)
        gap = self._attendance.gap
        if gap is not None and gap.end is not None:
            tree = resume(tree, gap.start, gap.end)
        with self.health.advance_seconds.time():
            advanced = await self._in_worker(advance, tree, wanted, self.observer.picture(now), looked)
        if advanced.tree == before and self.branch.is_exact:
            self.health.over(Trouble.RENDER)
            self.health.over(Trouble.PUSH)
            self._settled(looked, advanced)
            return
        await self._write(advanced, looked, now)

    async def _write(self, advanced: Advanced, looked: frozenset[str] | None, now: float) -> None:
        before = self.branch.tree
        try:
            with self.health.write_seconds.time():
                written = await self._in_worker(self.branch.write, advanced.tree, self._account(advanced, now))
        except (RemoteUnavailable, CloneUnwritable) as problem:
            self._try_later(problem, now)
            return
        except FrescoError as problem:
            self.health.trouble(Trouble.RENDER, str(problem))
            self._pace.refused(now)
            return
        self.health.over(Trouble.RENDER)
        if written.outcome in (Outcome.WRITTEN, Outcome.UNCHANGED):
            self._settled(looked, advanced)
            self._take_written(written, before, advanced)
        else:
            self._take_failure(written, now)
        await self._apply(self._clock())

    def _account(self, advanced: Advanced, now: float) -> Account:
        return Account(
            reasons=advanced.reasons,
            because=", ".join(sorted(self._because)) or "observation",
            source=self.branch.tips.main,
            version=self._settings.version,
            at=now,
        )

    def _take_written(self, written: Written, before: Tree | None, advanced: Advanced) -> None:
        for reason in advanced.reasons:
            log.info("decided %s", reason)
        self.health.over(Trouble.PUSH)
        if written.outcome is Outcome.WRITTEN:
            log.info("committed %s, epoch %d", written.commit, self.branch.epoch)
            self.health.commits.inc()
            self._pace.wrote(self._clock())
            self._apply_at = 0.0
        self._look_again(before, advanced.tree)
        self._look_closely()

    def _take_failure(self, written: Written, now: float) -> None:
        match written.outcome:
            case Outcome.LOST_RACE:
                log.info("lost a race: %s", written.reason)
                self.health.pushes_lost.inc()
                self._pace.lost(now)
                self._fetch_at = 0.0
            case Outcome.REFUSED:
                self.health.pushes_refused.inc()
                self.health.trouble(Trouble.PUSH, f"{self._settings.repository} refuses the commit: {written.reason}")
                self._pace.refused(now)
            case _:
                self.health.trouble(Trouble.LEADER, f"another agent writes: {written.reason}")
                self._pace.deposed()

    def _settled(self, looked: frozenset[str] | None, advanced: Advanced) -> None:
        """The look is on record: what it saw needs no further look, and no gap is left to record."""
        self.health.over(Trouble.CLONE)
        self._agenda.looked(looked, wake_at=advanced.wake_at, busy=_busy(advanced.tree))
        self._because.clear()
        self.settled.set()
        if self._attendance.gap is not None and self._attendance.gap.end is not None:
            self._attendance.recorded()

    def _look_again(self, before: Tree | None, after: Tree) -> None:
        """What has just changed may go on by what is already seen; what is cleaned up is forgotten by the next look."""
        changed = _changed(before, after, self.branch.wanted)
        self._agenda.add(changed)
        more_room = before is not None and has_more_room(before, after)
        if more_room or any(status.stage is Stage.CLEAN_UP_COMPLETE for status in after.deployments.values()):
            self._agenda.add_everything()

    def _look_closely(self) -> None:
        if self.branch.tree is not None:
            self.observer.look_closely(_busy(self.branch.tree))

    async def _apply(self, now: float) -> None:
        """Tells the cluster of the tip, and again while it has not taken it over: it may have been away.

        A commit of which the clone knows nothing is a newer leader's, or of a branch that was set back: look first.
        """
        if not self._is_unapplied() or self._pace.is_over or now < self._apply_at:
            return
        self._apply_at = now + APPLY_AGAIN
        applied = self.observer.applied
        if applied is not None and not self.branch.knows(applied) and not await self._fetch(now):
            return
        await self._tell_cluster(now)

    async def _nudge(self, changes: Changes) -> None:
        """Pods whose config was just applied are to see it at once."""
        configs = {name.removeprefix("ConfigMap/") for name in changes.objects if name.startswith("ConfigMap/")}
        servers = {server for name in configs for server in _owners(f"ConfigMap/{name}")}
        pods = [
            key(server.partition("/")[0], pod.name)
            for server in sorted(servers)
            for pod in self.observer.pods(server)
            if f"{server}-{pod.slice}-models" in configs
        ]
        try:
            await self._cluster.nudge(pods)
        except ClusterUnavailable as problem:
            self.health.trouble(Trouble.CLUSTER, str(problem))

    async def _tell_cluster(self, now: float) -> None:
        tip = self.branch.tips.cluster
        try:
            if tip is not None:
                await self._cluster.apply(tip)
            self.health.over(Trouble.CLUSTER)
        except ClusterUnavailable as problem:
            self.health.trouble(Trouble.CLUSTER, str(problem))
            self._apply_at = now + RENEW

    def _is_unapplied(self) -> bool:
        return self.branch.tips.cluster is not None and self.observer.applied != self.branch.tips.cluster

    # ---- signs of life

    async def _attend(self) -> None:
        """Renews the lease, unless a gap is still to be recorded."""
        while True:
            self._notice_sleep(self._clock())
            if self._attendance.gap is None:
                await self._renew(self._clock())
            await asyncio.sleep(RENEW)

    def _notice_sleep(self, now: float) -> None:
        """After a pause of the whole process everything is observed anew: what was known may be long past."""
        if not self._attendance.tick(now):
            return
        log.warning("slept for more than %g s: everything is observed anew", GAP)
        self._observing.cancel()
        self.observer = self._new_observer()
        self._observing = self._group.create_task(self.observer.run())
        self._look_closely()
        self._agenda.add_everything()

    def _new_observer(self) -> Observer:
        return Observer(cluster=self._cluster, http=self._http, clock=self._clock, changed=self._event)

    async def _renew(self, now: float) -> None:
        try:
            await self._cluster.renew(now)
        except ClusterUnavailable as problem:
            self.health.trouble(Trouble.CLUSTER, str(problem))

    async def _last_sign_of_life(self) -> float | None:
        """The end of what was observed before this process; without a lease the last commit is all that is known."""
        try:
            lease = await self._cluster.lease()
        except ClusterUnavailable as problem:
            self.health.trouble(Trouble.CLUSTER, str(problem))
            return self.branch.last_written()
        return lease.last_renewal if lease.last_renewal is not None else self.branch.last_written()

    async def _in_worker(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, partial(work, *args, **kwargs))


def _write_back(settings: Settings) -> WriteBack:
    return WriteBack(
        directory=settings.data / "repository.git",
        url=settings.repository,
        main=settings.main,
        branch=settings.branch,
        credentials=settings.credentials,
    )


def _busy(tree: Tree) -> set[str]:
    """Servers that something is under way on."""
    working = [homes(None, status) for status in tree.deployments.values() if status.progress is not None]
    unsettled = {name for name, status in tree.servers.items() if status.stage is not ServerStage.SERVE}
    return unsettled.union(*working)


def _changed(before: Tree | None, after: Tree, wanted: Wanted | None) -> set[str]:
    """Servers of what differs between two trees, whose equal parts are the same objects."""
    servers, deployments = (before.servers, before.deployments) if before else ({}, {})
    specs = wanted.deployments if wanted is not None else {}
    moved = [name for name, one in after.deployments.items() if deployments.get(name) is not one]
    names = {name for name, one in after.servers.items() if servers.get(name) is not one}
    then = [homes(None, deployments.get(name)) for name in moved]
    return names.union(*then, *(homes(specs.get(name), after.deployments[name]) for name in moved))


def _owners(object_key: str) -> list[str]:
    """Keys of all servers that an object could belong to by its name: `<server>` or `<server>-…`."""
    _, namespace, name = object_key.split("/", 2)
    parts = name.split("-")
    return [key(namespace, "-".join(parts[:count])) for count in range(1, len(parts) + 1)]
