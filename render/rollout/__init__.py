"""The rules: tree' = advance(tree, wanted, observation). Pure and deterministic; time is part of the observation."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from render import places
from render.normal import Kept, Wanted, WantedDeployment
from render.rollout import queue, server, stage
from render.rollout.judge import Scene
from render.rollout.observation import Observation, key
from render.rollout.server_judge import ServerScene
from schemas.base import utc
from schemas.status import DeploymentStatus, ServerStatus, Stage, Tree, Work

replace = msgspec.structs.replace
_STEPS = 32  # a resource makes at most so many steps in one look; all its rows fit


@dataclass(frozen=True, slots=True)
class Advanced:
    """The tree after one look. Statuses that did not change are the same objects. `wake_at`: POSIX seconds at which to
    look again without a new event; `reasons`: one line a change, for the commit."""

    tree: Tree
    wake_at: float | None
    reasons: tuple[str, ...]


def advance(tree: Tree, wanted: Wanted, observation: Observation, servers: Collection[str] | None = None) -> Advanced:
    """Advances everything, or only what belongs to `servers` (keys `namespace/name`), until nothing changes any more.

    One call may take several rows at once, where an observation already proves them all.
    """
    look = _Look(tree, wanted, observation)
    look.servers(sorted(_server_keys(tree, wanted) if servers is None else servers))
    if servers is None:
        look.homeless()
    return look.result()


def resume(tree: Tree, gap_start: float, gap_end: float) -> Tree:
    """The tree with a gap in observation (POSIX seconds) committed to all work in hand."""
    start, end = utc(gap_start), utc(gap_end)
    return replace(
        tree,
        servers={name: server.add_gap(one, start, end) for name, one in tree.servers.items()},
        deployments={name: stage.add_gap(one, start, end) for name, one in tree.deployments.items()},
    )


def has_more_room(before: Tree, after: Tree) -> bool:
    """Whether fewer servers have their pods replaced than before, so that others may begin."""
    return len(_rolling(after.servers)) < len(_rolling(before.servers))


def _rolling(servers: Mapping[str, ServerStatus]) -> set[str]:
    """Servers that count against the bound; what is taken back does not."""
    return {name for name, one in servers.items() if one.progress is not None and one.progress.work is Work.ROLLOUT}


def homes(wanted: WantedDeployment | Kept | None, status: DeploymentStatus | None) -> set[str]:
    """The keys of all servers that a Deployment has to do with: where it is, and where it is wanted."""
    if status is None:
        return set()
    found = places.homes(status)
    if isinstance(wanted, WantedDeployment):
        found.add(key(status.metadata.namespace, wanted.model.server))
    return found


def home(wanted: WantedDeployment | Kept | None, status: DeploymentStatus) -> str | None:
    """The key of the server by whose turn a Deployment goes: where its candidate is, or what is current, or where it
    is wanted; None while nothing of that is known."""
    revision = status.candidate or status.current
    if revision is None and isinstance(wanted, WantedDeployment):
        revision = wanted.model
    return key(status.metadata.namespace, revision.server) if revision is not None else None


def _server_keys(tree: Tree, wanted: Wanted) -> set[str]:
    return tree.servers.keys() | wanted.servers.keys()


class _Look:
    """One pass over a tree. Holds what has changed; the rules themselves keep nothing."""

    def __init__(self, tree: Tree, wanted: Wanted, observation: Observation) -> None:
        self._tree, self._wanted, self._observation = tree, wanted, observation
        self._servers, self._deployments = dict(tree.servers), dict(tree.deployments)
        self._wake: list[float] = []
        self._reasons: list[str] = []
        self._ended: set[str] = set()  # committed once as cleaned up, forgotten by the next look
        self._rolling = _rolling(self._servers)
        self._by_server = self._group()

    def servers(self, names: Iterable[str]) -> None:
        """These, and those that a Deployment moves from or to which has gone on."""
        left = deque(names)
        while left:
            name = left.popleft()
            left += sorted(self._server(name) - {name, *left})

    def _server(self, name: str) -> set[str]:
        """One server, and all that has to do with it. Gives the servers for which that has changed something."""
        names = self._by_server.get(name, [])
        self._advance_server(name, names)
        if name not in self._servers:
            return set()
        before = {one: self._status(one) for one in names}
        for one in queue.order(before):
            if one not in self._ended:
                self._advance_deployment(one)
        if any(name not in self._homes(one) for one in names):
            self._advance_server(name, names)
        moved = [one for one in names if self._status(one) != before[one]]
        return {place for one in moved for place in self._homes(one) | places.homes(before[one])}

    def homeless(self) -> None:
        """Deployments of which no server is known: refused from the beginning, or deleted before they were accepted."""
        housed = {one for place, names in self._by_server.items() if place in self._servers for one in names}
        for name in sorted((self._tree.deployments.keys() | self._wanted.deployments.keys()) - housed):
            wanted = self._wanted.deployments.get(name)
            if isinstance(wanted, Kept):
                before = self._status(name)
                message = wanted.findings[0].message if wanted.findings else before.message
                self._set(name, replace(before, findings=wanted.findings, message=message))
            elif wanted is None and self._deployments.pop(name, None) is not None:
                self._reasons.append(f"{name}: deleted")

    def result(self) -> Advanced:
        """What came of it; the very same tree if nothing changed."""
        repository = self._wanted.repository
        unchanged = repository == self._tree.repository and not self._changed()
        if unchanged:
            return Advanced(self._tree, min(self._wake, default=None), ())
        if repository != self._tree.repository:
            self._reasons.insert(0, "settings")
        tree = Tree(
            repository=repository,
            servers={name: self._servers[name] for name in sorted(self._servers)},
            deployments={name: self._deployments[name] for name in sorted(self._deployments)},
        )
        return Advanced(tree, min(self._wake, default=None), tuple(self._reasons))

    def _changed(self) -> bool:
        before, after = self._tree, self
        return (
            before.servers.keys() != after._servers.keys()
            or before.deployments.keys() != after._deployments.keys()
            or any(after._servers[name] is not one for name, one in before.servers.items())
            or any(after._deployments[name] is not one for name, one in before.deployments.items())
        )

    def _group(self) -> dict[str, list[str]]:
        grouped: dict[str, list[str]] = {}
        for name in self._tree.deployments.keys() | self._wanted.deployments.keys():
            for place in self._homes(name):
                grouped.setdefault(place, []).append(name)
        return {place: sorted(names) for place, names in grouped.items()}

    def _homes(self, name: str) -> set[str]:
        return homes(self._wanted.deployments.get(name), self._status(name))

    def _status(self, name: str) -> DeploymentStatus:
        namespace, _, plain = name.partition("/")
        return self._deployments.get(name) or stage.new(namespace, plain)

    def _advance_server(self, name: str, deployments: list[str]) -> None:
        namespace, _, plain = name.partition("/")
        wanted = self._wanted.servers.get(name)
        if name not in self._servers and wanted is None:
            return
        for _ in range(_STEPS):
            before = self._servers.get(name)
            step = server.advance(wanted, before or server.new(namespace, plain), self._server_scene(name, deployments))
            if step.status is None:
                self._servers.pop(name, None)
                self._rolling.discard(name)
                self._reasons.append(f"{name}: deleted")
                return
            if step.status == before:
                self._wake += [step.wake_at] if step.wake_at is not None else []
                return
            self._set_server(name, before, step.status)

    def _server_scene(self, name: str, deployments: list[str]) -> ServerScene:
        return ServerScene(
            repository=self._wanted.repository,
            users=tuple(self._views(name, deployments)),
            observation=self._observation,
            has_room=len(self._rolling - {name}) < self._wanted.repository.max_servers_at_once,
        )

    def _views(self, server_key: str, deployments: Iterable[str]) -> Iterator[DeploymentStatus]:
        for status in (self._deployments[one] for one in deployments if one in self._deployments):
            yield from (view for view in places.views(status) if places.home(view) == server_key)

    def _set_server(self, name: str, before: ServerStatus | None, after: ServerStatus) -> None:
        self._servers[name] = after
        self._rolling.discard(name)
        self._rolling |= _rolling({name: after})
        same = before is not None and before.message == after.message and before.stage is after.stage
        self._reasons.append(f"{name}: {'settings' if same else f'{after.stage}, {after.message}'}")

    def _advance_deployment(self, name: str) -> None:
        wanted = self._wanted.deployments.get(name)
        for _ in range(_STEPS):
            status = self._status(name)
            on = self._servers.get(home(wanted, status) or "")
            if on is None:
                return
            if on.current is None:
                self._set(name, replace(status, message=f"waits for InferenceServer {on.metadata.name}: {on.message}"))
                return
            step = stage.advance(wanted, status, self._scene(on))
            if step.status is None:
                self._deployments.pop(name, None)
                self._reasons.append(f"{name}: its status is removed")
                return
            if step.status == status and name in self._deployments:
                self._wake += [step.wake_at] if step.wake_at is not None else []
                return
            self._set(name, step.status)
            if step.status.stage is Stage.CLEAN_UP_COMPLETE:
                self._ended.add(name)
                return

    def _scene(self, on: ServerStatus) -> Scene:
        server_key = key(on.metadata.namespace, on.metadata.name)
        names = self._by_server.get(server_key, ())
        changing = [one for one in names if one in self._deployments and self._deployments[one].candidate is not None]
        return Scene(
            repository=self._wanted.repository,
            server=on,
            observation=self._observation,
            turn=queue.turn(view for view in self._views(server_key, changing) if view.candidate is not None),
            servers=self._servers,
        )

    def _set(self, name: str, status: DeploymentStatus) -> None:
        before = self._deployments.get(name)
        if status == before:
            return
        self._deployments[name] = status
        same = before is not None and before.message == status.message and before.stage is status.stage
        self._reasons.append(f"{name}: {'settings' if same else f'{status.stage}, {status.message}'}")
