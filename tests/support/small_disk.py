"""A file system that a test can fill, without being root: a small tmpfs in a user namespace of its own.

Everybody reaches it through the root directory of the process that holds it. Where the machine allows no such namespace
the writers get a limit on the size of files instead: each write of theirs fails, as on a full disk.
"""

import contextlib
import resource
import subprocess
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

_FILES = 4000  # that it has room for
_BLOCK = bytes(1 << 16)


class SmallDisk:
    """`root`: its top directory for everybody. `place`: the same for programs that are started `inside`; those that
    resolve links by themselves, as git does, find it in no other way."""

    def __init__(self, place: Path, holder: int | None) -> None:
        """Use `small_disk` or `limit_of_size`."""
        self.place = place
        self.root = Path(f"/proc/{holder}/root{place}") if holder is not None else place
        self._holder = holder
        self._limited: set[int] = set()

    @property
    def is_mounted(self) -> bool:
        """Whether it is a file system, which is full for programs that start later, too."""
        return self._holder is not None

    def inside(self, command: Sequence[str]) -> list[str]:
        """`command` as a program that sees the disk at `place`."""
        if self._holder is None:
            return list(command)
        enter = ["nsenter", "--target", str(self._holder), "--user", "--mount", "--preserve-credentials"]
        return [*enter, *command]

    def fill(self, *writers: int, files: bool = False) -> None:
        """Leaves no room for another byte, or for another file. `writers`: the processes that write to it."""
        if not self.is_mounted:
            self._limited |= set(writers)
            for pid in writers:
                _limit(pid, 0)
            return
        self._ballast.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):
            self._take_all_names() if files else self._take_all_bytes()

    def free(self) -> None:
        """There is room again."""
        for pid in self._limited:
            with contextlib.suppress(ProcessLookupError):
                _limit(pid, resource.RLIM_INFINITY)
        self._limited.clear()
        if self._ballast.exists():
            for path in self._ballast.iterdir():
                path.unlink()
            self._ballast.rmdir()

    @property
    def _ballast(self) -> Path:
        return self.root / "ballast"

    def _take_all_bytes(self) -> None:
        with (self._ballast / "0").open("wb", buffering=0) as file:
            while True:
                file.write(_BLOCK)

    def _take_all_names(self) -> None:
        for number in count():
            (self._ballast / str(number)).touch()


def limit_of_size(root: Path) -> SmallDisk:
    """A disk that is full for the writers alone that are told."""
    return SmallDisk(root, holder=None)


@contextlib.contextmanager
def small_disk(directory: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """A SmallDisk of that size at `directory`, which is made."""
    directory.mkdir()
    mount = f'mount -t tmpfs -o size={megabytes}m,nr_inodes={_FILES} fresco "$0" && echo there && exec cat'
    command = ["sh", "-c", 'exec unshare --user --map-root-user --mount sh -c "$0" "$1"', mount, str(directory)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        mounted = holder.stdout.readline() == "there\n"
        disk = SmallDisk(directory.resolve(), holder.pid if mounted else None)
        try:
            yield disk
        finally:
            disk.free()
            holder.stdin.close()


def _limit(pid: int, most: int) -> None:
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, hard))
