"""What the models of a server need in each of its pods: before a change, meanwhile, and afterwards. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from render.capacity import available
from render.diff.deployments import is_work
from render.diff.outcome import Sides, ended
from render.diff.servers import pods
from render.diff.words import quantity
from schemas.change import DeploymentChange, Memory, What
from schemas.resources import Strategy
from schemas.status import ModelRevision, ServerStatus, SliceName, Tree

update = msgspec.structs.replace
_SLICES: tuple[SliceName, ...] = ("main", "canary")


@dataclass(slots=True)
class _Need:
    """Bytes in one pod. `both`: of each model the larger of its revisions; `apart`: of second copies that do not wait
    their turn; `in_turn`: of the largest one that does."""

    before: int = 0
    after: int = 0
    both: int = 0
    apart: int = 0
    in_turn: int = 0

    @property
    def during(self) -> int:
        """The most that is needed at once."""
        return self.both + self.apart + self.in_turn


def memory(sides: Sides, after: Tree, changes: Iterable[DeploymentChange]) -> tuple[Memory, ...]:
    """The slices of every server of which something changes, where the models say what they need."""
    by_key = {one.key: one for one in changes}
    needs: dict[str, _Need] = defaultdict(_Need)
    for key in sorted(sides.now.deployments.keys() | after.deployments.keys()):
        status, then = sides.now.deployments.get(key), after.deployments.get(key)
        one = status.current if status is not None else None
        other = then.current if then is not None else None
        if status is not None and key not in by_key:  # what is in hand is none of the change's doing
            settled = ended(status)
            one = other = settled.current if settled is not None else None
        _add(needs, key, one, other, by_key.get(key))
    return tuple(
        row
        for key in sorted(_places(changes).union(sides.servers))
        for row in _rows(key, needs[key], sides.now.servers.get(key), after.servers.get(key))
    )


def told(changes: Iterable[DeploymentChange], rows: Iterable[Memory]) -> tuple[DeploymentChange, ...]:
    """`changes`, with a note where a pod needs more while both copies of a model are there than before and afterwards.
    `rows`: what `memory` gives."""
    by_server = {row.server: row for row in rows}
    return tuple(update(one, notes=(*one.notes, *_meanwhile(one, by_server))) for one in changes)


def _meanwhile(change: DeploymentChange, rows: Mapping[str, Memory]) -> Iterator[str]:
    before, after = change.before, change.after
    if before is None or after is None or not is_work(change):
        return
    row = rows.get(f"{change.key.split('/')[0]}/{after.server}")
    is_in_place = (before.server, before.name) == (after.server, after.name)
    if is_in_place and row is not None and row.during > max(row.before or 0, row.after or 0):
        room = f" of {quantity(row.room)}" if row.room is not None else ""
        yield f"while both revisions are loaded, models need up to {quantity(row.during)}{room} in a pod"


def _places(changes: Iterable[DeploymentChange]) -> set[str]:
    return {
        f"{one.key.split('/')[0]}/{served.server}"
        for one in changes
        if one.what not in (What.HELD, What.REFUSED)
        for served in (one.before, one.after)
        if served is not None
    }


def _add(
    needs: dict[str, _Need],
    key: str,
    before: ModelRevision | None,
    after: ModelRevision | None,
    change: DeploymentChange | None,
) -> None:
    namespace = key.split("/")[0]
    if before is not None:
        needs[f"{namespace}/{before.server}"].before += before.memory or 0
    if after is not None:
        needs[f"{namespace}/{after.server}"].after += after.memory or 0
    if before is None or after is None or (before.server, before.name) != (after.server, after.name):
        for one in (before, after):
            if one is not None:
                needs[f"{namespace}/{one.server}"].both += one.memory or 0
        return
    need = needs[f"{namespace}/{after.server}"]
    need.both += max(before.memory or 0, after.memory or 0)
    if before.model_hash != after.model_hash:
        second = min(before.memory or 0, after.memory or 0)
        if change is not None and change.strategy == Strategy.EMERGENCY:
            need.apart += second
        else:
            need.in_turn = max(need.in_turn, second)


def _rows(key: str, need: _Need, now: ServerStatus | None, then: ServerStatus | None) -> Iterator[Memory]:
    rooms = [_room(one) for one in (now, then) if one is not None]
    if not rooms:  # a status by hand: what is served there has no server
        return
    is_same = need.before == need.during == need.after and rooms[0] == rooms[-1]
    for name in _SLICES if need.during and not is_same else ():
        one, other = (side.slices.get(name) if side is not None else None for side in (now, then))
        there = other or one
        if there is not None:
            yield Memory(
                server=key,
                slice=name,
                pods=pods(there.replicas) or "",
                before=need.before if one is not None else None,
                during=need.during,
                after=need.after if other is not None else None,
                room=rooms[-1],
            )


def _room(status: ServerStatus) -> int | None:
    room = available(status.current.resources) if status.current is not None else None
    return int(room) if room is not None else None
