"""What has to be looked at now, and when something has to be looked at without an event. Pure.

The rules look at servers, with all that is served on them; so a change costs what it concerns. A look at nothing in
particular, at everything, is due at a start, after a commit on main and now and then.
"""

from collections.abc import Collection


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
