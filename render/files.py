"""A set of files, wherever it is. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Files(Protocol):
    """A set of files at one time, by POSIX path relative to its root."""

    def paths(self) -> Iterable[str]:
        """All paths, sorted. Links and submodules are not among them; a folder that cannot be listed is, with a `/` at
        its end."""

    def read(self, path: str) -> bytes:
        """The content of one of `paths`. Raises OSError for a file, and for any folder, that the system withholds."""


def is_folder(path: str) -> bool:
    """Whether one of the paths of `Files` is a folder: nobody knows what is in it."""
    return path.endswith("/")


@dataclass(frozen=True, slots=True)
class Replaced:
    """`files` as they would be if the one at `path` had another content, or were there."""

    files: Files
    path: str
    content: bytes

    def paths(self) -> Iterable[str]:
        """All paths, sorted."""
        return sorted({*self.files.paths(), self.path})

    def read(self, path: str) -> bytes:
        """The content of one of `paths`."""
        return self.content if path == self.path else self.files.read(path)
