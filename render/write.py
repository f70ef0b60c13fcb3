"""Files laid out: rendered ones against what a branch or a folder already holds, a person's in place of the one before.
I/O: the file system, but for `against`.
"""

import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from render.plan import FOLDERS, MANIFESTS, Files
from render.repository import blob_id


def against(existing: Mapping[str, str], files: Iterable[tuple[str, bytes]]) -> dict[str, bytes | None]:
    """What has to change for a branch with the files `existing` (blob id by path) to hold `files`, and no more.

    A file that belongs to nothing goes, but only below the folders that are Fresco's own.
    """
    surplus: dict[str, bytes | None] = {path: None for path in existing if is_own(path)}
    changed: dict[str, bytes | None] = {}
    for path, content in files:
        surplus.pop(path, None)
        if existing.get(path) != blob_id(content):
            changed[path] = content
    return surplus | changed


def is_own(path: str) -> bool:
    """Whether a path lies below a folder in which every file is Fresco's."""
    return path.split("/")[0] in FOLDERS


def to_folder(folder: Path, files: Files) -> list[Path]:
    """Makes `folder` hold the manifests `files` and gives the paths that were written or deleted. Raises OSError.

    As `against`, with `manifests/` as the only folder of its own: everything beside it stays.
    """
    existing = {path.relative_to(folder).as_posix(): path for path in _manifests(folder)}
    changes = against({name: blob_id(path.read_bytes()) for name, path in existing.items()}, files.items())
    for name, content in changes.items():
        if content is None:
            existing[name].unlink()
        else:
            _put(folder / name, content)
    return [folder / name for name in sorted(changes)]


def _manifests(folder: Path) -> Iterable[Path]:
    return [path for path in sorted((folder / MANIFESTS).rglob("*")) if path.is_file()]


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def replace_file(path: Path, content: bytes) -> None:
    """Writes a person's file, which may be new, whole or not at all. Raises OSError."""
    target = path.resolve()
    descriptor, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(_mode(target))
        Path(beside).replace(target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def replace_if_same(path: Path, before: bytes, after: bytes) -> bool:
    """Writes a person's file as `replace_file` does, and gives True, unless somebody has changed it from `before` in
    the meantime. Raises OSError."""
    if path.read_bytes() != before:
        return False
    replace_file(path, after)
    return True


def _mode(path: Path) -> int:
    """The permissions of the file at `path`; where there is none, those that this process gives to new files."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0o022)  # it can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask
