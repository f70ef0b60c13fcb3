"""A set of files, wherever it is. Pure."""

from collections.abc import Iterable
from typing import Protocol


class Files(Protocol):
    """A set of files at one time, by POSIX path relative to its root."""

    def paths(self) -> Iterable[str]:
        """All paths, sorted. Links and submodules are not among them."""

    def read(self, path: str) -> bytes:
        """The content of one of `paths`."""
