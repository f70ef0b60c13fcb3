"""Keeps the picture of a cluster that the rules look at: what the cluster tells, joined with every pod's report.

One task follows the cluster, one task each pod. Nothing is judged here. What cannot be reached is unknown (None),
never failed. All of it lives in memory and is seen anew after a start.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import aiohttp

from agent.status import reports
from agent.status.cluster import Cluster, ClusterState, ClusterUnavailable, PodState, RouteLive
from render.rollout.observation import Observation, Pod, Route, key
from schemas.report import SidecarReport

log = logging.getLogger(__name__)

RECONNECT = 1.0  # seconds before a cluster that does not answer is asked again


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from the picture before: keys of servers (their pods), of routes and of objects."""

    servers: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.servers or self.routes or self.objects)


class Observer:
    """The picture of one cluster since this observer started.

    It sets `changed` when there is something new to `take`, and leaves clearing it to its owner. One thread only.
    """

    def __init__(
        self, *, cluster: Cluster, http: aiohttp.ClientSession, clock: Callable[[], float], changed: asyncio.Event
    ) -> None:
        self._changed = changed
        self._cluster = cluster
        self._http = http
        self._clock = clock
        self._group: asyncio.TaskGroup
        self._state: ClusterState | None = None
        self._polls: dict[str, asyncio.Task[None]] = {}
        self._pods: dict[str, PodState] = {}
        self._reports: dict[str, SidecarReport | None] = {}
        self._unasked: set[str] = set()
        self._turns = reports.Turns()
        self._closely: frozenset[str] = frozenset()
        self._members: dict[str, set[str]] = {}
        self._by_server: dict[str, tuple[Pod, ...]] = {}
        self._routes: dict[str, Route] = {}
        self._stale: set[str] = set()
        self._changes = Changes()
        self.complete = False
        """Whether the cluster was seen, and every pod of it answered or failed to answer in time. It stays so:
        a pod that comes later is unknown until it answers, and holds up nobody but its own rollouts."""

    async def run(self) -> None:
        """Follows the cluster and its pods until it is cancelled."""
        async with asyncio.TaskGroup() as self._group:
            async for state in self._states():
                self._take_over(state)

    def take(self) -> Changes:
        """What changed since the last call."""
        taken, self._changes = self._changes, Changes()
        return taken

    def picture(self, now: float) -> Observation:
        """The cluster as it is known at `now`, POSIX seconds. Costs what changed, and a copy of three flat tables."""
        for server in self._stale:
            self._rebuild(server)
        self._stale.clear()
        objects = self._state.objects if self._state else {}
        return Observation(
            now=now,
            pods=MappingProxyType(dict(self._by_server)),
            objects=MappingProxyType(objects),
            routes=MappingProxyType(dict(self._routes)),
            complete=self.complete,
        )

    @property
    def applied(self) -> str | None:
        """The commit that the cluster applied last."""
        return self._state.applied if self._state else None

    def pods(self, server: str) -> tuple[Pod, ...]:
        """The pods of one server as they are known now."""
        return tuple(self._pod(name) for name in sorted(self._members.get(server, ())))

    def look_closely(self, servers: Collection[str]) -> None:
        """Samples the counters and progress of these servers' pods often, and of no others."""
        wanted = frozenset(servers)
        turned, self._closely = wanted ^ self._closely, wanted
        for server in turned:
            for pod in self._members.get(server, ()):
                self._restart_poll(pod)

    async def _states(self) -> AsyncIterator[ClusterState]:
        while True:
            try:
                async for state in self._cluster.watch():
                    yield state
            except ClusterUnavailable as problem:
                log.warning("cluster does not answer: %s", problem)
            await asyncio.sleep(RECONNECT)

    def _take_over(self, state: ClusterState) -> None:
        before, self._state = self._state, state
        servers = self._take_pods({key(pod.namespace, pod.name): pod for pod in state.pods})
        routes = self._take_routes(state.routes)
        objects = _differing(before.objects if before else {}, state.objects)
        self.complete = self.complete or not self._unasked
        self._note(Changes(servers=servers, routes=routes, objects=objects), force=before is None)

    def _take_pods(self, pods: dict[str, PodState]) -> frozenset[str]:
        before, self._pods = self._pods, pods
        differing = _differing(before, pods)
        for name in differing:
            self._take_pod(name, before.get(name), pods.get(name))
        changed = {_server(pod) for name in differing for pod in (before.get(name), pods.get(name)) if pod}
        self._stale |= changed
        return frozenset(changed)

    def _take_pod(self, name: str, before: PodState | None, now: PodState | None) -> None:
        if before is not None and (now is None or _server(now) != _server(before)):
            self._members[_server(before)].discard(name)
            self._forget(name)
        if now is None:
            return
        self._members.setdefault(_server(now), set()).add(name)
        if now.report is None:
            self._forget(name)
        elif name not in self._polls or before is None or _asked(before) != _asked(now):
            self._start_poll(name)

    def _take_routes(self, live: Mapping[str, RouteLive]) -> frozenset[str]:
        now = self._clock()
        routes = {name: _route(route, self._routes.get(name), now) for name, route in live.items()}
        differing = _differing(self._routes, routes)
        self._routes = routes
        return differing

    def _forget(self, name: str) -> None:
        self._stop_poll(name)
        self._unasked.discard(name)
        self._reports.pop(name, None)

    def _restart_poll(self, name: str) -> None:
        if name in self._polls:
            self._start_poll(name)

    def _start_poll(self, name: str) -> None:
        self._stop_poll(name)
        if name not in self._reports:
            self._unasked.add(name)
        self._polls[name] = self._group.create_task(self._follow(name, self._pods[name]), name=f"report {name}")

    def _stop_poll(self, name: str) -> None:
        if task := self._polls.pop(name, None):
            task.cancel()

    async def _follow(self, name: str, pod: PodState) -> None:
        closely = _server(pod) in self._closely
        async for report in reports.follow(self._http, pod, closely=closely, turns=self._turns):
            self._take_report(name, _server(pod), report)

    def _take_report(self, name: str, server: str, report: SidecarReport | None) -> None:
        known = name in self._reports
        before = self._reports.get(name)
        self._reports[name] = report
        self._unasked.discard(name)
        if report is None and (before is not None or not known):
            log.warning("report of %s is out of reach", name)
        if not known or report != before:
            self._stale.add(server)
            self._note(Changes(servers=frozenset({server})))
        if not self.complete and not self._unasked:
            self.complete = True
            self._note(Changes(), force=True)

    def _note(self, changes: Changes, *, force: bool = False) -> None:
        known = self._changes
        if changes.routes or changes.objects or not changes.servers <= known.servers:
            self._changes = Changes(
                servers=known.servers | changes.servers,
                routes=known.routes | changes.routes,
                objects=known.objects | changes.objects,
            )
        if changes or force:
            self._changed.set()

    def _rebuild(self, server: str) -> None:
        pods = self.pods(server)
        if pods:
            self._by_server[server] = pods
        else:
            self._by_server.pop(server, None)
            self._members.pop(server, None)

    def _pod(self, name: str) -> Pod:
        pod = self._pods[name]
        return Pod(
            name=pod.name,
            slice=pod.slice,
            live=pod.live,
            ready=pod.ready,
            report=self._reports.get(name),
            template=pod.template,
        )


def _server(pod: PodState) -> str:
    return key(pod.namespace, pod.server)


def _asked(pod: PodState) -> tuple[str | None, str]:
    """What a running poll depends on, besides the pod's name."""
    return pod.report, pod.slice


def _route(live: RouteLive, before: Route | None, now: float) -> Route:
    """`live_since` is when this process first saw the route live with that content: a start begins it anew."""
    if not live.live:
        return Route(content=live.content, live_since=None, message=reports.one_line(live.message))
    same = before is not None and before.content == live.content and before.live_since is not None
    return Route(content=live.content, live_since=before.live_since if same and before else now)


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> frozenset[str]:
    if before == after:
        return frozenset()
    return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
