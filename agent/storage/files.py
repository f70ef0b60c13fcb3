"""Writing an artifact's files: safe relative paths, hashed while written, fsynced. Used by every storage. I/O."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from agent.storage import ArtifactInvalid, InsufficientDisk, StorageError
from schemas.digest import FileEntry

CHUNK: Final = 1 << 20
_MAX_NAME_BYTES = 255


def safe_path(name: str) -> str:
    """`name`, an entry of some archive, as a clean relative path; "" for the artifact's own root.

    Raises ArtifactInvalid for one that is absolute, climbs, or could be taken for something else.
    """
    if name.startswith("/"):
        raise ArtifactInvalid(f"absolute path in the artifact: {name!r}")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ArtifactInvalid(f"path that leads out of the artifact: {name!r}")
    if any(not character.isprintable() or character == "\\" for character in name):
        raise ArtifactInvalid(f"path with a control character or a backslash: {name!r}")
    if any(len(part.encode()) > _MAX_NAME_BYTES for part in parts):
        raise ArtifactInvalid(f"name longer than {_MAX_NAME_BYTES} bytes: {name[:80]!r}")
    return "/".join(parts)


def make_directory(root: Path, path: str) -> None:
    """Makes `path` under `root`. Raises ArtifactInvalid where a file is in its way, StorageError on I/O errors."""
    try:
        root.joinpath(path).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ArtifactInvalid(f"both a file and a directory: {path!r}") from error
    except OSError as error:
        raise disk_error(error) from error


def write_file(root: Path, path: str, read: Callable[[int], bytes]) -> FileEntry:
    """Writes what `read(size)` yields until it yields nothing, as the new file `path` under `root`.

    Raises ArtifactInvalid if the path is taken, InsufficientDisk, StorageError; and what `read` raises.
    """
    make_directory(root, PurePosixPath(path).parent.as_posix())
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(root / path, flags, 0o644)
    except (FileExistsError, IsADirectoryError) as error:
        raise ArtifactInvalid(f"path comes twice: {path!r}") from error
    except OSError as error:
        raise disk_error(error) from error
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        return _copy(path, read=read, write=file.write, sync=lambda: os.fsync(file.fileno()))


def _copy(
    path: str, *, read: Callable[[int], bytes], write: Callable[[bytes], int | None], sync: Callable[[], None]
) -> FileEntry:
    hasher, size = hashlib.sha256(), 0
    while chunk := read(CHUNK):
        hasher.update(chunk)
        size += len(chunk)
        _write_all(chunk, write)
    try:
        sync()
    except OSError as error:
        raise disk_error(error) from error
    return FileEntry(path, size, hasher.hexdigest())


def _write_all(chunk: bytes, write: Callable[[bytes], int | None]) -> None:
    # An unbuffered write may take less than it was given; the last bytes before a full disk do.
    view = memoryview(chunk)
    while view:
        try:
            view = view[write(bytes(view)) or 0 :]
        except OSError as error:
            raise disk_error(error) from error


def disk_error(error: OSError) -> StorageError:
    """An error of the disk written to, in the vocabulary of storage."""
    message = f"cannot write the artifact: {os.strerror(error.errno or errno.EIO)}"
    return InsufficientDisk(message) if is_of_room(error) else StorageError(message)


def is_of_room(error: OSError) -> bool:
    """Whether there was no room for another byte or file: on the disk, or within what is allowed of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
