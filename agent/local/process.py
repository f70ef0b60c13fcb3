"""Programs that outlive the one that started them: started in sessions of their own, watched, found again, ended whole.

I/O: processes, /proc, and one small record on disk for each. Linux only: pidfd tells of an end at once, and of the end
of processes that are not our children, too.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agent.local import files

log = logging.getLogger(__name__)

# In the environment of everything that is started: the path of its record. What a process starts inherits it, so all
# that belongs to it is found, in whatever session it is, and what no record tells of is found too.
MARK = "FRESCO_LOCAL_RECORD"


@dataclass(frozen=True, slots=True)
class Program:
    """What to start. `log`: the file that its output is appended to."""

    argv: list[str]
    environment: Mapping[str, str]
    directory: Path
    log: Path


class Process:
    """One running program, child or found again.

    `ended` is done as soon as the program has ended; `gone` when nothing that it started is left either.
    """

    def __init__(self, pid: int, *, record: Path, child: subprocess.Popen[bytes] | None = None) -> None:
        """Use `start` or `find`."""
        self.pid = pid
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.record = record
        self._child = child
        self._descriptor = os.pidfd_open(pid)
        self._loop.add_reader(self._descriptor, self._has_ended)

    @classmethod
    def start(cls, program: Program, *, record: Path) -> Self:
        """Starts `program` and writes its record. Raises OSError when it cannot be started."""
        environment = {**program.environment, MARK: str(record)}
        with program.log.open("ab") as output:
            child = subprocess.Popen(
                program.argv,
                env=environment,
                cwd=program.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        files.put_json(record, {"pid": child.pid, "started": _started(child.pid), "boot": _boot()})
        return cls(child.pid, record=record, child=child)

    @classmethod
    def find(cls, *, record: Path) -> Self | None:
        """The process that `record` tells of, if it still runs: same number, same start, same boot."""
        known = files.get_json(record)
        if not known or known["boot"] != _boot() or _started(known["pid"]) != known["started"]:
            return None
        try:
            return cls(known["pid"], record=record)
        except ProcessLookupError:
            return None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self.ended.done()

    def terminate(self) -> None:
        """Asks it to end."""
        if self.running:
            signal.pidfd_send_signal(self._descriptor, signal.SIGTERM)

    def kill(self) -> None:
        """Ends it and its process group at once; everything else that it started is ended after it."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def end(self, *, patience: float) -> None:
        """Asks it to end, and kills it when it has not after `patience` seconds. Nothing of it is left then."""
        self.terminate()
        await asyncio.wait([self.ended], timeout=patience)
        self.kill()
        await asyncio.shield(self.gone)

    def _has_ended(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.ended.set_result(None)
        # Those who wait for the end go first: looking for what is left takes milliseconds.
        self._loop.call_soon(self._clean)

    def _clean(self) -> None:
        if self._child is not None:
            self._child.wait()
        mark = f"{MARK}={self.record}".encode()
        for pid in _processes():
            if mark in _environment(pid):
                _kill(pid)
        self.record.unlink(missing_ok=True)
        self.gone.set_result(None)


def sweep(directory: Path, *, spare: Iterable[Process]) -> int:
    """Kills what was once started with a record under `directory`, but for `spare` and what those started.

    Returns how many it killed.
    """
    prefix = f"{MARK}={directory}/".encode()
    known = {f"{MARK}={process.record}".encode() for process in spare}
    lost = 0
    for pid in _processes():
        marks = {variable for variable in _environment(pid) if variable.startswith(prefix)}
        if marks and not marks & known:
            _kill(pid)
            lost += 1
    return lost


_STATE, _START = 0, 19  # fields of /proc/<pid>/stat after the name in parentheses


def _started(pid: int) -> int | None:
    """When it was started, in clock ticks since boot; None when it does not run."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE] in ("Z", "X") else int(fields[_START])


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def _processes() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
