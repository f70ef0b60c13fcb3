"""The worker process: runs the engine, and tells the supervisor, over a pipe, what the world may know.

A line out is an `Envelope`; a line in asks for the metrics; the end of input means that the supervisor is gone. I/O.
"""

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from uuid import uuid4

import msgspec

from agent.modelsync import log
from agent.modelsync.metrics import Metrics
from agent.modelsync.pipe import Envelope
from agent.modelsync.report import Sequence
from agent.modelsync.settings import Settings
from agent.modelsync.sync import Engine
from agent.modelsync.triton import TritonBackend
from agent.modelsync.watch import DirectoryWatch

_SOFT_SECONDS = 0.25  # between lines that tell of nothing but progress and counts
_LOG = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Runs the worker until SIGTERM, or until its supervisor is gone. Returns the exit status."""
    log.configure(json=settings.log_json, process="worker")
    # Whatever prints by mistake must not end up in the stream of reports.
    pipe = os.dup(1)
    os.dup2(2, 1)
    asyncio.run(Worker(settings, pipe).run())
    return 0


class Worker:
    """The engine and its pipe."""

    def __init__(self, settings: Settings, pipe: int) -> None:
        self._settings, self._pipe = settings, pipe
        self._metrics = Metrics()
        self._sequence = Sequence(uuid4().hex[:8])
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """See `run`."""
        backend = TritonBackend(self._settings.grpc)
        engine = Engine(self._settings, backend, metrics=self._metrics, changed=self._changed.set)
        watch = DirectoryWatch(self._settings.config_dir, engine.wake)
        await engine.start()
        await engine.once()
        watch.start()
        parts = (
            engine.run(),
            engine.server.run(),
            self._tell(engine),
            self._listen(engine),
            _refresh(watch, self._settings),
        )
        tasks = [asyncio.create_task(part) for part in parts]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, tasks[3].cancel)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await engine.stop()
            await asyncio.to_thread(watch.stop)
            await backend.close()
        for task in done:
            with suppress(asyncio.CancelledError):
                task.result()

    async def _tell(self, engine: Engine) -> None:
        """Writes a line at once for what is news, and now and then for what only counts on."""
        last: Envelope | None = None
        while True:
            self._changed.clear()
            report = self._sequence.numbered(engine.report())
            envelope = Envelope(report=report, alive=engine.alive)
            if envelope != last:
                self._write(envelope)
                last = envelope
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _SOFT_SECONDS)

    async def _listen(self, engine: Engine) -> None:
        """Answers each line with the metrics, until the supervisor is gone."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            self._write(Envelope(metrics=self._metrics.text(engine.report())))
        _LOG.error("the supervisor is gone")

    def _write(self, envelope: Envelope) -> None:
        data = memoryview(msgspec.json.encode(envelope) + b"\n")
        while data:
            data = data[os.write(self._pipe, data) :]


async def _refresh(watch: DirectoryWatch, settings: Settings) -> None:
    while True:
        await asyncio.sleep(settings.resync)
        watch.refresh()
