"""What becomes of the InferenceServers that a change concerns. The rules of rollouts are asked what they would begin.

Pure.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from render import plan
from render.diff import plans
from render.diff.deployments import first_error, is_untrusted
from render.diff.fields import differences
from render.diff.outcome import Sides, ended, is_failed
from render.normal import Kept, WantedServer
from render.resource import SERVER
from render.rollout import server
from render.rollout.observation import Observation
from render.rollout.server_judge import ServerScene
from render.rollout.server_plan import at, rows
from schemas.change import Fields, ServerChange, ServerWhat, SliceChange
from schemas.status import DeploymentStatus, Replicas, ServerStatus, SliceName, Tree, Work

update = msgspec.structs.replace
_UNSEEN = Observation(now=0.0)
_REPLACES = (ServerWhat.ROLLOUT, ServerWhat.REPLACEMENT)


def servers(sides: Sides, after: Tree) -> tuple[ServerChange, ...]:
    """Every InferenceServer that is wanted otherwise, by key. `after`: the outcome."""
    now = plan.index(sides.now)
    return tuple(_Judge(sides, key, now, after).change() for key in sides.servers)


def rolling(changes: tuple[ServerChange, ...]) -> frozenset[str]:
    """The keys of those that get new pods slice by slice."""
    return frozenset(one.key for one in changes if one.what is ServerWhat.ROLLOUT)


class _Judge:
    """One InferenceServer on both sides."""

    def __init__(self, sides: Sides, key: str, now: plan.Index, after: Tree) -> None:
        self._key, self._repository = key, sides.head.repository
        self._base, self._head = sides.base.servers.get(key), sides.head.servers.get(key)
        self._now, self._after = sides.now.servers.get(key), after.servers.get(key)
        fleet = now.fleet(key)
        self._users = fleet.deployments if fleet is not None else ()

    def change(self) -> ServerChange:
        if self._head is None:
            return self._made(ServerWhat.DELETION, notes=tuple(self._left()))
        if isinstance(self._head, Kept):
            return self._kept(self._head)
        return self._wanted(self._head)

    def _left(self) -> Iterator[str]:
        if self._after is not None:
            yield "stays until nothing is served on it any more"

    def _kept(self, head: Kept) -> ServerChange:
        is_held = f"{SERVER} {self._key}" in self._repository.held_deletions or is_untrusted(head.findings)
        what = ServerWhat.HELD if is_held else ServerWhat.REFUSED
        return self._made(what, notes=tuple(first_error(head.findings)))

    def _wanted(self, head: WantedServer) -> ServerChange:
        if self._now is None or self._now.current is None:
            return self._made(ServerWhat.CREATION)
        notes, fields = tuple(self._notes(self._now, head)), self._fields(head)
        if is_failed(self._now, head):
            failed = "this template has failed before: change it, or go back first, to try again"
            return self._made(ServerWhat.NOTHING, notes=(failed, *notes), fields=fields)
        progress = self._now.progress
        if progress is not None and progress.work is Work.ROLLOUT and self._now.candidate == head.template:
            left = rows(self._now)[at(rows(self._now), progress.step) :]
            return self._made(ServerWhat.GOES_ON, fields=fields, plan=plans.of_server(left))
        steady = update(self._now, progress=None, candidate=None, failed=None)
        status = server.advance(head, steady, self._scene()).status or steady
        what = self._what(status, head)
        at_work = what is ServerWhat.ROLLOUT or (status.progress is not None and status.progress.work is Work.CLEAN_UP)
        made = {"plan": plans.of_server(rows(status))} if at_work else {}
        return self._made(what, notes=notes, fields=fields, **made)

    def _what(self, status: ServerStatus, head: WantedServer) -> ServerWhat:
        if status.progress is not None and status.progress.work is Work.ROLLOUT:
            return ServerWhat.ROLLOUT
        is_new = self._now is not None and self._now.current != head.template
        return ServerWhat.REPLACEMENT if is_new else ServerWhat.LIVE

    def _scene(self) -> ServerScene:
        """A cluster in which nothing else goes on and nothing was observed."""
        users = (ended(one) for one in self._users)
        return ServerScene(self._repository, tuple(one for one in users if one is not None), _UNSEEN)

    def _notes(self, now: ServerStatus, head: WantedServer) -> Iterator[str]:
        if now.progress is not None:
            yield "after the work on its pods that is in hand"
        if now.current != head.template and any(_is_paused(one) for one in self._users):
            yield "a paused rollout on it holds its new pods"
        if now.current != head.template and self._users and head.template.update == "replace":
            yield "update: replace, so that a pod goes before the one in its place comes"
        if now.slices.keys() - head.replicas.keys():
            yield "its canary slice is taken away once no route leads there"

    def _made(self, what: ServerWhat, **more: Any) -> ServerChange:
        return ServerChange(key=self._key, what=what, slices=tuple(self._slices(what)), **more)

    def _slices(self, what: ServerWhat) -> Iterator[SliceChange]:
        before = self._now.slices if self._now is not None else {}
        after = self._after.slices if self._after is not None and what is not ServerWhat.DELETION else {}
        names: tuple[SliceName, ...] = ("main", "canary")
        for name in names:
            if name in before or name in after:
                one, other = (side[name].replicas if name in side else None for side in (before, after))
                replaced = what in _REPLACES and name in before and name in after
                yield SliceChange(name, pods(one), pods(other), replaced)

    def _fields(self, head: WantedServer) -> Fields:
        if not isinstance(self._base, WantedServer):
            return Fields()
        return differences(_plain(self._base), _plain(head), normal=True)


def pods(replicas: Replicas | None) -> str | None:
    """How many pods, as people write it."""
    if replicas is None:
        return None
    return str(replicas.min) if replicas.min == replicas.max else f"{replicas.min}–{replicas.max}"


def _is_paused(status: DeploymentStatus) -> bool:
    return status.progress is not None and status.progress.paused_at is not None


def _plain(wanted: WantedServer) -> dict[str, Any]:
    replicas = {name: msgspec.to_builtins(one) for name, one in wanted.replicas.items()}
    template = msgspec.to_builtins(wanted.template)
    return {**template, "replicas": replicas, "quorum": wanted.quorum, "deadline": wanted.deadline}
