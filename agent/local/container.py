"""One container of a pod as a process: started, started again when it ends, found again by the next node. I/O."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.local.process import Process, Program

log = logging.getLogger(__name__)

_FIRST, _LONGEST = 0.1, 10.0  # seconds before it is started again, doubling
_HEALTHY = 10.0  # seconds of running after which the first pause applies again


class Container:
    """`prepare` is awaited before each start and gives the program; `ended` is called at once after each end."""

    def __init__(
        self,
        *,
        record: Path,
        prepare: Callable[[], Awaitable[Program]],
        ended: Callable[[], None],
    ) -> None:
        """Finds the process of an earlier node, if it still runs."""
        self.process: Process | None = None
        self._record = record
        self._prepare, self._ended = prepare, ended
        self._since = asyncio.get_running_loop().time()
        self._take(Process.find(record=record))

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.running

    @property
    def age(self) -> float:
        """Seconds since it was started, or found."""
        return asyncio.get_running_loop().time() - self._since

    async def run(self) -> None:
        """Keeps it running until cancelled. The process runs on then, see `stop`."""
        pause = _FIRST
        while True:
            if self.process is None:
                await self._start()
            if self.process is not None:
                await asyncio.shield(self.process.gone)
                self.process = None
            pause = _FIRST if self.age > _HEALTHY else pause
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST)

    def kill(self) -> None:
        """Ends its process and all that it started, at once. It is started again."""
        if self.process is not None:
            self.process.kill()

    async def stop(self, *, patience: float) -> None:
        """Ends its process for good; killed after `patience` seconds. To be called when `run` has been cancelled."""
        if self.process is not None:
            await self.process.end(patience=patience)
            self.process = None

    async def _start(self) -> None:
        program = await self._prepare()
        self._since = asyncio.get_running_loop().time()
        try:
            self._take(Process.start(program, record=self._record))
        except OSError as error:
            log.error("cannot start %s: %s", program.argv[0], error)

    def _take(self, process: Process | None) -> None:
        self.process = process
        if process is not None:
            process.ended.add_done_callback(lambda _: self._ended())
