"""The digest of an artifact: one number for the content of a directory, whatever packed it. Pure.

`sha256` over the canonical listing: for each file, in the byte order of its UTF-8 POSIX path,
the line `<sha256 hex> <size> <path>\n`. Modes, times, empty directories and links are not part of it.
`schemas/digest-vectors.json` holds test vectors for other implementations.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple


class FileEntry(NamedTuple):
    """One file of an artifact: `path` relative and POSIX, `size` in bytes, `sha256` in lower-case hex."""

    path: str
    size: int
    sha256: str


def listing(files: Iterable[FileEntry]) -> bytes:
    """The canonical listing of `files`, in any order given.

    Raises ValueError for a path that is absolute, leaves the artifact, has a line end or NUL, or comes twice.
    """
    lines: dict[bytes, bytes] = {}
    for entry in files:
        key = _key(entry.path)
        if key in lines:
            raise ValueError(f"path comes twice: {entry.path!r}")
        lines[key] = f"{entry.sha256} {entry.size} {entry.path}\n".encode()
    return b"".join(lines[key] for key in sorted(lines))


def digest(files: Iterable[FileEntry]) -> str:
    """The artifact's digest, `sha256:<hex>`. Raises as `listing` does."""
    return "sha256:" + hashlib.sha256(listing(files)).hexdigest()


def _key(path: str) -> bytes:
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts) or any(c in path for c in "\n\r\0"):
        raise ValueError(f"not a path inside an artifact: {path!r}")
    return path.encode()
