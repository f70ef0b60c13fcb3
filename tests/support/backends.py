"""Small HTTP servers that tell what reached them, and a steady load that counts what failed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from agent.local import ports
from tests.support.eventually import eventually


@dataclass
class Backend:
    """A server on 127.0.0.1:`port`. Answers with its name, the path and the headers it got; keeps count."""

    name: str
    port: int
    seen: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """What it got, back as JSON."""
        self.seen.append(request.path)
        await request.read()
        return web.json_response({"name": self.name, "path": request.path_qs, "host": request.host.partition(":")[0]})


@asynccontextmanager
async def backend(name: str) -> AsyncIterator[Backend]:
    """A running Backend."""
    server = Backend(name, ports.Pool().take(1)[0])
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", server.port).start()
    try:
        yield server
    finally:
        await runner.cleanup()


@dataclass
class Load:
    """Requests sent so far: how many by status (0: no answer), and by the name that answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def sent(self) -> int:
        """All of them."""
        return self.statuses.total()

    @property
    def failed(self) -> int:
        """Those without a 200."""
        return self.sent - self.statuses[200]

    async def until(self, name: str) -> None:
        """Returns after an answer by `name`."""
        await eventually(lambda: self.answers[name] > 0, what=f"an answer by {name}")

    async def more(self, count: int) -> None:
        """Returns after `count` further requests."""
        end = self.sent + count
        await eventually(lambda: self.sent >= end, what=f"{count} more requests")


@asynccontextmanager
async def load(url: str, *, body: object = None, clients: int = 4, pause: float = 0.002) -> AsyncIterator[Load]:
    """`clients` callers that POST to `url` over and over while the block runs. All requests are answered at its end."""
    result, stop = Load(), asyncio.Event()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session, asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_call(session, url, body, result, stop, pause))
        try:
            yield result
        finally:
            stop.set()


async def _call(
    session: aiohttp.ClientSession, url: str, body: object, result: Load, stop: asyncio.Event, pause: float
) -> None:
    while not stop.is_set():
        try:
            async with session.post(url, json=body) as answer:
                content = await answer.json() if answer.status == 200 else {}
                result.statuses[answer.status] += 1
                result.answers[_who(content)] += 1
        except (aiohttp.ClientError, TimeoutError):
            result.statuses[0] += 1
        await asyncio.sleep(pause)


def _who(content: dict[str, Any]) -> str:
    """The name of a Backend, or what a model says that it is."""
    outputs = content.get("outputs")
    return str(outputs[0]["data"][0] if outputs else content.get("name", ""))
