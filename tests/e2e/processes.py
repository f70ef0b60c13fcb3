"""Processes by what the kernel tells of them. Reads /proc; ends one process at a time, by its number."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Seen(NamedTuple):
    """A process: its number, its parent's, and its command line."""

    pid: int
    parent: int
    command: tuple[str, ...]


def marked(mark: str) -> list[Seen]:
    """The running processes whose environment holds `mark`, a `NAME=value`."""
    return [seen for seen in _all() if mark.encode() in _read(seen.pid, "environ").split(b"\0")]


def is_running(pid: int) -> bool:
    """Whether it runs; one that has ended and was not waited for does not."""
    return _seen(pid) is not None


def kill(pid: int) -> None:
    """`kill -9`."""
    os.kill(pid, signal.SIGKILL)


def _all() -> Iterator[Seen]:
    numbers = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return (seen for seen in map(_seen, numbers) if seen is not None)


def _seen(pid: int) -> Seen | None:
    fields = _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()
    if not fields or fields[0] in ("Z", "X"):
        return None
    command = tuple(word.decode(errors="replace") for word in _read(pid, "cmdline").split(b"\0") if word)
    return Seen(pid, int(fields[1]), command)


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
