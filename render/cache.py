"""What the last check of a repository left, kept in its `.git` until the next one. I/O: the file system.

It is used by the very version that wrote it alone: of Fresco's own files, of Python, and of what they work with, no
matter where they are installed. Where it is missing, damaged or of another version, everything is found anew.
"""

import sys
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self

import msgspec

import schemas
from render.known import Known
from render.repository import git_folder
from render.write import replace_file

_LIBRARIES: Final = ("jsonschema", "msgspec", "pygit2", "PyYAML")


class _Kept(msgspec.Struct, frozen=True):
    """The content of the file. `version`: who wrote it."""

    version: str
    known: Known


class Cache:
    """What is kept of the repository in the folder `root`, in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = _version()

    @classmethod
    def of(cls, root: Path) -> Self | None:
        """That of the repository in the folder `root`; None outside of git."""
        git = git_folder(root)
        name = sha256(bytes(root.resolve())).hexdigest()[:16]
        return cls(git / "fresco" / f"validate-{name}") if git is not None else None

    def load(self) -> Known:
        """What was kept last; nothing where that cannot be used."""
        with suppress(OSError, ValueError):
            kept = msgspec.msgpack.decode(self._path.read_bytes(), type=_Kept)
            if kept.version == self._version:
                return kept.known
        return Known()

    def keep(self, known: Known) -> None:
        """Keeps `known`, whole or not at all. Raises OSError."""
        self._path.parent.mkdir(exist_ok=True)
        replace_file(self._path, msgspec.msgpack.encode(_Kept(self._version, known)))


def _version() -> str:
    """Another one after any change of Fresco's own files, also in a checkout, where its number stays the same.

    They are read, because two builds may have files of one size and one date.
    """
    own = sha256()
    for folder in (Path(__file__).parent, Path(schemas.__file__).parent):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".json")):
            content = path.read_bytes()
            own.update(f"{path.relative_to(folder.parent)} {len(content)}\n".encode() + content)
    return sha256("\n".join([sys.version, *map(version, _LIBRARIES), own.hexdigest()]).encode()).hexdigest()
