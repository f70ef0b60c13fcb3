"""What the agent asks of its own process, because a fleet is large: open files, and rest from the garbage collector."""

import asyncio
import gc
import resource
from typing import Final

# Collections of young objects before one of all, which takes 0.6 s: while everything is read, and from then on.
_READING: Final = 1000
_SETTLED: Final = 25


def raise_open_files() -> None:
    """As many open files as the machine allows: each open poll is one, and a usual limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def spare_collector(settled: asyncio.Event) -> None:
    """Until `settled` what is read stays, and looking through it finds nothing. Then what is there is never looked at
    again; what comes is, because polls leave cycles behind."""
    young = gc.get_threshold()[:2]
    gc.set_threshold(*young, _READING)
    await settled.wait()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*young, _SETTLED)
