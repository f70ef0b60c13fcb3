"""What the cluster tells: one state with a number that grows, and those who wait for the next. No I/O."""

import asyncio

from msgspec.structs import replace

from agent.status.cluster import ClusterState


class Board:
    """`state` is the newest one."""

    def __init__(self, seq: int) -> None:
        """`seq`: larger than any of an earlier node, so that a reader who goes on with an old one notices."""
        self.state = ClusterState(seq=seq)
        self._next: asyncio.Future[None] | None = None

    def publish(self, state: ClusterState) -> bool:
        """Makes `state` the newest if it differs, whatever its `seq`. Returns whether it did."""
        if replace(state, seq=self.state.seq) == self.state:
            return False
        self.state = replace(state, seq=self.state.seq + 1)
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
        return True

    async def after(self, seq: int, *, patience: float) -> ClusterState:
        """The newest state as soon as its number is not `seq`, at the latest after `patience` seconds."""
        if self.state.seq == seq:
            if self._next is None or self._next.done():
                self._next = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._next], timeout=patience)
        return self.state
