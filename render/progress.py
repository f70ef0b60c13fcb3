"""How far a long download is, for a person who waits. I/O: standard error, and only where that is a terminal."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from render.characters import columns, printable

QUIET_SECONDS: Final = 1.0  # what is over sooner is not worth a line
_PAUSE_SECONDS: Final = 0.1  # between two states of the line
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


class Progress:
    """One line that tells how much of `name` has been read. Follows one download, in whatever thread that is."""

    def __init__(self, name: str, out: TextIO | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`out`: None shows nothing. `clock`: seconds."""
        self._name, self._out, self._clock = printable(name), out, clock
        self._total: int | None = None
        self._done = 0
        self._next = clock() + QUIET_SECONDS
        self._width = 0

    def expect(self, total: int | None) -> None:
        """The bytes to come, or None where the source does not tell."""
        self._total = total

    def advance(self, count: int) -> None:
        """`count` more bytes have been read."""
        self._done += count
        if self._out is not None and self._clock() >= self._next:
            self._next = self._clock() + _PAUSE_SECONDS
            self._put(self._out, self._text())

    def end(self) -> None:
        """Takes the line away, so that what is printed next stands alone."""
        if self._out is not None and self._width:
            self._put(self._out, "")
            self._out.write("\r")
            self._out.flush()

    def _text(self) -> str:
        of = f" of {size(self._total)}, {100 * self._done // self._total} %" if self._total else ""
        return f"{self._name}: {size(self._done)}{of}"

    def _put(self, out: TextIO, text: str) -> None:
        too_much = columns(text) - (shutil.get_terminal_size().columns - 1)
        text = f"…{text[too_much + 1 :]}" if too_much > 0 else text
        out.write(f"\r{text}{' ' * (self._width - columns(text))}")
        out.flush()
        self._width = columns(text)


@contextmanager
def following(name: str, *, quiet: bool) -> Iterator[Progress]:
    """Shows the progress of what is done meanwhile, unless `quiet` or standard error is no terminal."""
    progress = Progress(name, sys.stderr if sys.stderr.isatty() and not quiet else None)
    try:
        yield progress
    finally:
        progress.end()


def size(count: float) -> str:
    """Bytes as people read them: `12.3 MiB`."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.1f} {_UNITS[unit]}" if unit else f"{count:.0f} {_UNITS[0]}"
