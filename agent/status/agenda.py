"""What has to be looked at now, and when something has to be looked at without an event. Pure.

The rules look at servers, with all that is served on them; so a change costs what it concerns. A look at nothing in
particular, at everything, is due at a start, after a commit on main that changes settings, and now and then.
"""

from collections.abc import Collection, Mapping

from render import places
from render.normal import Kept, Wanted, WantedDeployment
from schemas.status import DeploymentStatus, Tree


class Agenda:
    """Servers to look at, by key; None stands for everything."""

    def __init__(self) -> None:
        self._everything = False
        self._servers: set[str] = set()
        self._wake: dict[str | None, float] = {}

    def __bool__(self) -> bool:
        return self._everything or bool(self._servers)

    @property
    def servers(self) -> frozenset[str] | None:
        """What to look at now."""
        return None if self._everything else frozenset(self._servers)

    @property
    def wake_at(self) -> float | None:
        """When something will be due without an event, POSIX seconds."""
        return min(self._wake.values(), default=None)

    def add(self, servers: Collection[str]) -> None:
        """These servers have to be looked at."""
        self._servers.update(servers)

    def add_everything(self) -> None:
        """Everything has to be looked at."""
        self._everything = True

    def expire(self, now: float) -> None:
        """What is due at `now` has to be looked at."""
        for server in [server for server, at in self._wake.items() if at <= now]:
            del self._wake[server]
            if server is None:
                self._everything = True
            else:
                self._servers.add(server)

    def looked(self, servers: Collection[str] | None, *, wake_at: float | None, busy: Collection[str]) -> None:
        """`servers` were looked at and have to be again at `wake_at`: of everything, those that are `busy`."""
        if servers is None:
            self._everything = False
            self._servers.clear()
            self._wake.clear()
        for server in servers if servers is not None else ():
            self._servers.discard(server)
            self._wake.pop(server, None)
        if wake_at is not None:
            again = busy if servers is None else servers
            self._wake |= dict.fromkeys(again or (None,), wake_at)


def concerned(before: Wanted | None, after: Wanted | None, tree: Tree | None) -> set[str] | None:
    """The servers that differ in what is wanted, they or what is or will be served on them; None stands for everything.

    Costs what differs, and a look at each: what is the same object is equal.
    """
    if before is None or after is None or tree is None or before.repository != after.repository:
        return None
    servers = _differing(before.servers, after.servers)
    for key in _differing(before.deployments, after.deployments):
        asked = (before.deployments.get(key), after.deployments.get(key))
        homes = _homes(key, asked, tree.deployments.get(key))
        if not homes or any(home not in tree.servers and home not in after.servers for home in homes):
            return None  # only a look at everything sees what has no server
        servers |= homes
    return servers


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    keys = before.keys() | after.keys()
    others = {key for key in keys if before.get(key) is not after.get(key)}
    return {key for key in others if before.get(key) != after.get(key)}


def _homes(key: str, asked: Collection[WantedDeployment | Kept | None], status: DeploymentStatus | None) -> set[str]:
    wanted = {f"{key.partition('/')[0]}/{one.model.server}" for one in asked if isinstance(one, WantedDeployment)}
    return wanted | (places.homes(status) if status is not None else set())
