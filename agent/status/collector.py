"""What Python's garbage collector looks at in the agent's process: with a large repository, all takes it 0.6 s."""

import asyncio
import gc
from typing import Final

# Collections of young objects before one of all: while everything is read, and from then on.
_READING: Final = 1000
_SETTLED: Final = 100


async def spare(settled: asyncio.Event) -> None:
    """Until `settled` what is read stays, and looking through it finds nothing. Then what is there is never looked at
    again; what comes is, because polls leave cycles behind."""
    young = gc.get_threshold()[:2]
    gc.set_threshold(*young, _READING)
    await settled.wait()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*young, _SETTLED)
