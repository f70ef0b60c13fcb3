"""How a program of local mode is told to end: by a signal, or by the end of its input when its parent has gone. I/O."""

import asyncio
import signal
import sys


def told_to_end(*, parent_stdin: bool) -> asyncio.Future[None]:
    """Done on SIGTERM, SIGINT or SIGHUP (the terminal was closed).

    With `parent_stdin` also when the standard input, a pipe from the parent, ends.
    To be called in the event loop's thread, once.
    """
    loop = asyncio.get_running_loop()
    end: asyncio.Future[None] = loop.create_future()

    def told() -> None:
        if parent_stdin:
            loop.remove_reader(sys.stdin.fileno())
        if not end.done():
            end.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, told)
    if parent_stdin:
        # Nothing is ever written to it: it becomes readable when the parent has gone, however it went.
        loop.add_reader(sys.stdin.fileno(), told)
    return end
