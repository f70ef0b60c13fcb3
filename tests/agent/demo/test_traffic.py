"""The load of the demo against a real HTTP server: who answered, what failed, how many at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from agent.demo.traffic import Question, Record, Traffic, by_revision
from tests.support.eventually import eventually

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server on a free port that answers every POST with `handler`; its URL."""
    application = web.Application()
    application.router.add_post("/infer", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/infer"
    finally:
        await runner.cleanup()


def says(revision: str) -> web.Response:
    """An answer as Triton gives it."""
    return web.json_response({"outputs": [{"name": "REVISION", "datatype": "BYTES", "shape": [1], "data": [revision]}]})


@asynccontextmanager
async def asked(url: str, *, in_flight: int = 32, rate: float = 500.0) -> AsyncIterator[tuple[Traffic, Record]]:
    """Traffic to `url` for as long as the block lasts; the record is whole after it."""
    record = Record()
    traffic = Traffic(Question(url, b"{}"), record, rate=rate, in_flight=in_flight)
    running = asyncio.create_task(traffic.run())
    try:
        yield traffic, record
    finally:
        traffic.stop()
        await running


async def test_answers_are_counted_by_revision() -> None:
    """The model itself says who it is."""
    turns = iter(range(10**9))

    async def every_fourth(_: web.Request) -> web.Response:
        return says("2" if next(turns) % 4 == 0 else "1")

    async with serving(every_fourth) as url, asked(url) as (_, record):
        await eventually(lambda: len(record.answers) >= 100, what="answers")
    seen = by_revision(record.answers)
    assert seen.keys() == {"1", "2"}
    assert abs(seen["2"] - seen.total() / 4) <= 1


async def test_no_route_is_told_from_a_failure() -> None:
    """The gateway answers 404 without a body where it has no route; a server that lacks the model says so in one."""

    async def no_route(_: web.Request) -> web.Response:
        return web.Response(status=404)

    async def no_model(_: web.Request) -> web.Response:
        return web.Response(status=404, text='{"error": "unknown model"}')

    async with serving(no_route) as url, asked(url) as (_, record):
        await eventually(lambda: len(record.answers) > 3, what="answers")
    assert all(answer.no_route for answer in record.answers)
    async with serving(no_model) as url, asked(url) as (_, record):
        await eventually(lambda: len(record.answers) > 3, what="answers")
    assert not any(answer.no_route for answer in record.answers)
    assert "unknown model" in record.answers[0].problem


async def test_a_gateway_that_is_not_there_is_a_failure_with_its_reason() -> None:
    """And the load goes on."""

    async def one(_: web.Request) -> web.Response:
        return says("1")

    async with serving(one) as url:
        pass
    async with asked(url) as (_, record):
        await eventually(lambda: len(record.answers) > 3, what="failures")
    assert all(answer.status is None and "Connect" in answer.problem for answer in record.answers)


async def test_requests_in_flight_are_bounded_and_all_get_their_answer() -> None:
    """A server that hangs meets a bounded number of questions; after `stop` none is cut off."""
    release, waiting = asyncio.Event(), 0

    async def hang(_: web.Request) -> web.Response:
        nonlocal waiting
        waiting += 1
        await release.wait()
        return says("1")

    async with serving(hang) as url, asked(url, in_flight=5) as (traffic, record):
        await eventually(lambda: waiting == 5, what="five requests")
        await asyncio.sleep(0.05)
        assert waiting == 5
        traffic.stop()
        release.set()
    assert len(record.answers) == waiting
    assert by_revision(record.answers) == {"1": waiting}
