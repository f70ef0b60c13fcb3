"""The supervisor: owns the HTTP port, keeps a worker running, and goes on answering when that dies. I/O.

It is small on purpose: what can crash (clients of servers and storages) is in the worker. What it answers is the
worker's last word; a worker's death alone makes no pod unready.
"""

import asyncio
import logging
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
from aiohttp import web

from agent.modelsync import log
from agent.modelsync.pipe import Envelope
from agent.modelsync.settings import Settings
from schemas import limits
from schemas.report import SidecarReport

_BACKOFF: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS: Final = 30.0  # a worker that ran this long was not started in vain
_STOP_SECONDS: Final = 8.0
_METRICS_SECONDS: Final = 2.0
_LOG = logging.getLogger(__name__)


def run(settings: Settings, arguments: Sequence[str]) -> int:
    """Runs the supervisor, its worker started with the same `arguments`, until SIGTERM. Returns the exit status."""
    log.configure(json=settings.log_json, process="supervisor")
    asyncio.run(Supervisor(settings, arguments).run())
    return 0


class Supervisor:
    """The HTTP server and the worker's keeper."""

    def __init__(self, settings: Settings, arguments: Sequence[str]) -> None:
        self._settings = settings
        self._command = [sys.executable, "-m", "agent.modelsync", "--worker", *arguments]
        self._report: SidecarReport | None = None
        self._alive = True
        self._metrics = ""
        self._metrics_came = asyncio.Event()
        self._news = asyncio.Condition()
        self._worker: Process | None = None

    async def run(self) -> None:
        """See `run`."""
        runner = web.AppRunner(self._application(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, self._settings.report_host, self._settings.report_port).start()
        keeper = asyncio.create_task(self._keep())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, keeper.cancel)
        with suppress(asyncio.CancelledError):
            await keeper
        await self._stop_worker()
        await runner.cleanup()

    # The worker.

    async def _keep(self) -> None:
        failures = 0
        while True:
            started = asyncio.get_running_loop().time()
            status = await self._run_worker()
            ran = asyncio.get_running_loop().time() - started
            failures = 0 if ran > _STEADY_SECONDS else failures + 1
            pause = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
            _LOG.error("the worker ended with status %d after %.1f s; next start in %.1f s", status, ran, pause)
            await asyncio.sleep(pause)

    async def _run_worker(self) -> int:
        worker = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, limit=2 * limits.REPORT_BYTES, start_new_session=True
        )
        self._worker = worker
        assert worker.stdout is not None
        while line := await worker.stdout.readline():
            await self._take(line)
        return await worker.wait()

    async def _take(self, line: bytes) -> None:
        try:
            envelope = msgspec.json.decode(line, type=Envelope)
        except msgspec.DecodeError:
            # The last words of a worker that was killed.
            _LOG.exception("the worker said something else")
            return
        if envelope.metrics is not None:
            self._metrics = envelope.metrics
            self._metrics_came.set()
        if envelope.report is not None:
            async with self._news:
                self._report, self._alive = envelope.report, envelope.alive
                self._news.notify_all()

    async def _stop_worker(self) -> None:
        worker = self._worker
        if worker is None or worker.returncode is not None:
            return
        worker.terminate()
        try:
            await asyncio.wait_for(worker.wait(), _STOP_SECONDS)
        except TimeoutError:
            worker.kill()
            await worker.wait()

    # HTTP.

    def _application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.get("/v1/status", self._status),
                web.get("/readyz", self._readyz),
                web.get("/livez", self._livez),
                web.get("/metrics", self._get_metrics),
            ]
        )
        return application

    async def _status(self, request: web.Request) -> web.Response:
        after, wait = request.query.get("after"), _wait(request.query.get("wait"))
        async with self._news:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait_for(lambda: self._is_news(after)), wait)
            report = self._report
        if report is None:
            return web.json_response({"error": "no report yet"}, status=503)
        return web.Response(body=msgspec.json.encode(report), content_type="application/json")

    def _is_news(self, after: str | None) -> bool:
        return self._report is not None and self._report.seq != after

    async def _readyz(self, request: web.Request) -> web.Response:
        report = self._report
        if report is not None and report.ready:
            return web.Response(text="ready\n")
        blocked = ", ".join(report.blocked_by) if report is not None else "no report yet"
        return web.Response(status=503, text=f"not ready: {blocked or 'the server'}\n")

    async def _livez(self, request: web.Request) -> web.Response:
        if self._alive:
            return web.Response(text="alive\n")
        return web.Response(status=503, text="the server has to be restarted: a load passed its deadline\n")

    async def _get_metrics(self, request: web.Request) -> web.Response:
        worker = self._worker
        if worker is not None and worker.stdin is not None and worker.returncode is None:
            self._metrics_came.clear()
            with suppress(TimeoutError, ConnectionError):
                worker.stdin.write(b"metrics\n")
                await asyncio.wait_for(self._metrics_came.wait(), _METRICS_SECONDS)
        return web.Response(text=self._metrics, content_type="text/plain")


def _wait(text: str | None) -> float:
    """Seconds that a poll may last. Raises HTTPBadRequest."""
    try:
        wait = float(text) if text is not None else limits.REPORT_POLL
    except ValueError:
        wait = -1.0
    if 0.0 <= wait <= limits.REPORT_POLL:
        return wait
    raise web.HTTPBadRequest(text=f"wait: expected seconds, 0 to {limits.REPORT_POLL:g}, got {text!r}\n")
