"""Waiting in asynchronous tests: for a condition, with a generous deadline, never for a time."""

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(condition: Callable[[], bool | Awaitable[bool]], *, what: str, seconds: float = 60.0) -> None:
    """Returns once `condition` holds; fails the test after a generous while."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        assert loop.time() < end, f"not seen within {seconds:g} s: {what}"
        await asyncio.sleep(0.02)
