"""The models volume: what is on disk, and every change to it, crash-safe at each step. I/O, no network.

    store/<digest>/       an artifact, complete and verified, or absent; never written to again
    live/<name>-<n>/      one publication: real directories, files linked into the store, a config.pbtxt of its own
    live/<name>-<n>.json  what that publication is
    repository/<name>     symlink to the publication in force: all that the server sees
    tmp/                  whatever is not finished; empty after a start

Triton compares file times to decide whether to load again, and writes caches beside a model's files. So no publication
is used twice: each load gets a fresh directory. Links are relative, so that the volume may be mounted anywhere.
Fsync comes before each rename: a name that can be seen after a power cut has its content.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from agent.modelsync.identity import Target

CONFIG: Final = "config.pbtxt"


class Publication(msgspec.Struct, frozen=True):
    """One directory under `live`, and what is in it."""

    name: str
    number: int
    digest: str
    options: dict[str, str]

    @property
    def directory(self) -> str:
        """Its name under `live`."""
        return f"{self.name}-{self.number}"

    @property
    def target(self) -> Target:
        """What it publishes."""
        return Target(self.digest, self.options)


class Layout:
    """The volume at `root`. One process writes to it. Methods raise OSError where the disk does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store, self.live = root / "store", root / "live"
        self.repository, self.temporary = root / "repository", root / "tmp"
        self._last = 0

    def recover(self, *, keep: frozenset[str] = frozenset()) -> None:
        """Makes the folders, and removes what an earlier end left partial. `keep`: folders of `live` to spare."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        for folder in (self.store, self.live, self.repository, self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        for link in self.repository.iterdir():
            # A link always comes after what it points to: one that dangles was made by somebody else.
            if link.is_symlink() and self._publication(link.readlink().name) is None:
                link.unlink()
        self._last = max((_number(path.stem) for path in self.live.iterdir()), default=0)
        linked = {link.readlink().name for link in self.repository.iterdir() if link.is_symlink()}
        for path in self.live.iterdir():
            if path.name.removesuffix(".json") not in linked | keep:
                _delete(path)

    # The store.

    def staged(self) -> frozenset[str]:
        """The digests in the store."""
        return frozenset(_digest(path.name) for path in self.store.iterdir())

    def artifact(self, digest: str) -> Path:
        """Where the artifact with `digest` is, or would be."""
        return self.store / digest.replace(":", "-")

    def new_temporary(self) -> Path:
        """A new empty directory for a download."""
        path = self.temporary / uuid4().hex
        path.mkdir()
        return path

    def adopt(self, directory: Path, digest: str) -> None:
        """Moves a complete artifact, whose files are fsynced, from `directory` into the store."""
        for folder, _, _ in os.walk(directory):
            _fsync(Path(folder))
        target = self.artifact(digest)
        if not target.exists():
            directory.rename(target)
        _fsync(self.store)

    def evict(self, digest: str) -> None:
        """Removes an artifact: out of sight at once, then from the disk."""
        gone = self.temporary / uuid4().hex
        self.artifact(digest).rename(gone)
        shutil.rmtree(gone)

    def free_bytes(self) -> int:
        """Room on the volume."""
        return shutil.disk_usage(self.root).free

    # Publications.

    def linked(self) -> dict[str, Publication]:
        """The publications in force, by name."""
        found = {
            link.name: self._publication(link.readlink().name)
            for link in self.repository.iterdir()
            if link.is_symlink()
        }
        return {name: publication for name, publication in found.items() if publication is not None}

    def prepare(self, name: str, target: Target) -> Publication:
        """A fresh publication of an artifact in the store, not yet in force and without config.pbtxt."""
        self._last += 1
        publication = Publication(name, self._last, target.digest, target.options)
        _link_tree(self.artifact(target.digest), self.path(publication))
        return publication

    def path(self, publication: Publication) -> Path:
        """Its directory."""
        return self.live / publication.directory

    def switch(self, publication: Publication) -> None:
        """Puts a prepared publication in force, atomically."""
        record = self.live / f"{publication.directory}.json"
        write_atomically(record, msgspec.json.encode(publication))
        link = self.temporary / f"{publication.directory}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..", self.live.name, publication.directory))
        link.replace(self.repository / publication.name)
        _fsync(self.repository)

    def put_back(self, name: str, previous: Publication | None) -> None:
        """Puts `previous` in force again, or nothing. What was in force stays on disk until `tidy`."""
        if previous is not None and self.path(previous).is_dir():
            self.switch(previous)
        else:
            (self.repository / name).unlink(missing_ok=True)
            _fsync(self.repository)

    def tidy(self, name: str, *, keep: str | None = None) -> None:
        """Removes every publication of `name` that is not in force, but for the directory `keep`.

        For when the server reads none of them.
        """
        linked = self.linked().get(name)
        spared = (keep, linked.directory if linked else None)
        for path in self._of(name):
            if path.name.removesuffix(".json") not in spared:
                _delete(path)

    def remove(self, name: str) -> None:
        """Takes `name` out of the server's sight, then off the disk."""
        self.put_back(name, None)
        self.tidy(name)

    def _of(self, name: str) -> Iterator[Path]:
        return (path for path in self.live.iterdir() if path.name.removesuffix(".json").rpartition("-")[0] == name)

    def _publication(self, directory: str) -> Publication | None:
        """The publication in `live/<directory>`; None unless it is there, complete."""
        try:
            record = (self.live / f"{directory}.json").read_bytes()
            publication = msgspec.json.decode(record, type=Publication)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return publication if self.path(publication).is_dir() else None


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces the file `path` by `data`: after a crash it holds the old bytes or the new ones."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _fsync(path.parent)


def _link_tree(source: Path, target: Path) -> None:
    """Makes `target` look like `source`: real directories, links for files, and no config, which is written anew."""
    target.mkdir()
    for folder, directories, files in os.walk(source):
        here = target / Path(folder).relative_to(source)
        for name in directories:
            (here / name).mkdir()
        for name in files:
            original = Path(folder, name)
            if original != source / CONFIG:
                (here / name).symlink_to(os.path.relpath(original, here))


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _number(stem: str) -> int:
    number = stem.rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def _digest(name: str) -> str:
    return name.replace("-", ":", 1)


def _fsync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
