"""A way to a real server that behaves badly on request: slow, shut, cut off half-way, or deaf after a push. I/O."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 1 << 16
_HALF = 150  # bytes of an answer that come through: its head and a little more
_SLOW = 0.05  # seconds that each piece takes


class Mode(StrEnum):
    """How the way is. `DEAF`: the next push arrives and is carried out, and nobody hears of it."""

    THROUGH = "through"
    SLOW = "slow"
    SHUT = "shut"
    HALF = "half"
    DEAF = "deaf"


@dataclass
class BadProxy:
    """Forwards connections to `host:port` as `mode` says; `deaf`: pushes whose answer was swallowed."""

    host: str
    port: int
    mode: Mode = Mode.THROUGH
    deaf: int = 0
    address: str = ""

    def url(self, of: str) -> str:
        """The URL `of` something on the server, through here."""
        return urlunsplit(urlsplit(of)._replace(netloc=self.address))

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.mode is Mode.SHUT:
            writer.close()
            return
        there, to = await asyncio.open_connection(self.host, self.port)
        pushed = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ask(reader, to, pushed))
                group.create_task(self._answer(there, writer, pushed))
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass  # either side may hang up at any time
        finally:
            to.close()
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, pushed: asyncio.Event) -> None:
        while data := await reader.read(_CHUNK):
            if data.startswith(b"POST ") and b"/git-receive-pack " in data:
                pushed.set()
            await self._pause()
            to.write(data)
            await to.drain()
        to.write_eof()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, pushed: asyncio.Event) -> None:
        sent = 0
        while data := await there.read(_CHUNK):
            if self.mode is Mode.DEAF and pushed.is_set():
                self.mode, self.deaf = Mode.THROUGH, self.deaf + 1
                break
            if self.mode is Mode.HALF:
                data = data[: max(0, _HALF - sent)]
            await self._pause()
            writer.write(data)
            await writer.drain()
            sent += len(data)
            if self.mode is Mode.HALF and sent >= _HALF:
                break
        writer.close()

    async def _pause(self) -> None:
        if self.mode is Mode.SLOW:
            await asyncio.sleep(_SLOW)


@contextlib.asynccontextmanager
async def bad_proxy(url: str) -> AsyncIterator[BadProxy]:
    """A proxy to the server of `url`, on a free port of this machine."""
    target = urlsplit(url)
    assert target.hostname is not None
    assert target.port is not None
    made = BadProxy(target.hostname, target.port)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    made.address = f"{host}:{port}"
    try:
        yield made
    finally:
        server.close()
