"""What the tests of storage share: watches, and an HTTP server that can be told to misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Unbounded:
    """Follows a download and lets everything pass."""

    total: int | None = -1
    done: int = 0

    def expect(self, total: int | None) -> None:
        """See `Watch.expect`."""
        self.total = total

    def advance(self, count: int) -> None:
        """See `Watch.advance`."""
        self.done += count


@dataclass
class Site:
    """An HTTP server: `/<name>` gives `files[name]`; other paths misbehave by their name."""

    files: dict[str, bytes]
    base: str = ""
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answers one request."""
        self.asked.append(request.path_qs)
        verb, _, rest = request.path.lstrip("/").partition("/")
        match verb:
            case "status":
                return web.Response(status=int(rest))
            case "redirect":
                return web.Response(status=302, headers={"Location": request.query.get("to", f"{self.base}/{rest}")})
            case "loop":
                return web.Response(status=302, headers={"Location": request.path})
            case "cut":
                return await self._cut(request, rest)
            case "chunked":
                return await self._chunked(request, rest)
        return web.Response(body=self.files[verb]) if verb in self.files else web.Response(status=404)

    async def _cut(self, request: web.Request, name: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(self.files[name]))})
        await response.prepare(request)
        await response.write(self.files[name][: len(self.files[name]) // 2])
        assert request.transport is not None
        request.transport.close()
        return response

    async def _chunked(self, request: web.Request, name: str) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for start in range(0, len(self.files[name]), 1000):
            await response.write(self.files[name][start : start + 1000])
            await asyncio.sleep(0)
        await response.write_eof()
        return response


@asynccontextmanager
async def serving(files: dict[str, bytes]) -> AsyncIterator[Site]:
    """A Site on a free port of loopback."""
    site = Site(files)
    application = web.Application()
    application.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()
