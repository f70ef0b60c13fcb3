"""Artifacts on this machine's disk: a directory, or an archive, as `file:///path` or a plain path. I/O, in a thread.

In a directory, links to files inside it are read as the files they point to; links to directories, and links that
lead out, are refused.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent.storage import ArtifactInvalid, ArtifactNotFound, Storage, StorageError, Watch, archive, public
from agent.storage.files import safe_path, write_file
from schemas.digest import FileEntry


def storage(uri: str) -> Storage:
    """The directory or archive that `uri` names. Raises ArtifactInvalid for a URI with a host, or a relative path."""
    parts = urlsplit(uri)
    if parts.scheme and parts.netloc not in ("", "localhost"):
        raise ArtifactInvalid(f"{public(uri)}: file:// takes no host; write file:///path")
    path = Path(unquote(parts.path)) if parts.scheme else Path(uri).absolute()
    if not path.is_absolute() or "\0" in str(path):
        raise ArtifactInvalid(f"{public(uri)}: not an absolute path")
    return LocalStorage(path)


@dataclass(frozen=True)
class LocalStorage:
    """A directory or an archive at `path`."""

    path: Path

    async def download(self, into: Path, *, watch: Watch) -> list[FileEntry]:
        """See `Storage.download`."""
        return await asyncio.to_thread(self._copy, into, watch)

    def _copy(self, into: Path, watch: Watch) -> list[FileEntry]:
        try:
            return self._copy_directory(into, watch) if self.path.is_dir() else self._unpack(into, watch)
        except (FileNotFoundError, PermissionError) as error:
            raise ArtifactNotFound(f"{error.filename or self.path}: {error.strerror}") from error
        except OSError as error:
            raise StorageError(f"{error.filename or self.path}: {error.strerror}") from error

    def _copy_directory(self, into: Path, watch: Watch) -> list[FileEntry]:
        files = list(_files(self.path))
        if not files:
            raise ArtifactInvalid(f"{self.path}: the directory holds no file")
        watch.expect(sum(path.stat().st_size for path in files))
        return [self._copy_file(path, into, watch) for path in files]

    def _copy_file(self, path: Path, into: Path, watch: Watch) -> FileEntry:
        with path.open("rb", buffering=0) as file:
            return write_file(into, safe_path(path.relative_to(self.path).as_posix()), _watched(file.read, watch))

    def _unpack(self, into: Path, watch: Watch) -> list[FileEntry]:
        with self.path.open("rb") as file:
            watch.expect(os.fstat(file.fileno()).st_size)
            if archive.is_zip(file.peek(archive.MAGIC_BYTES)):
                return archive.unpack_zip(self.path, into)
            return archive.unpack_tar(_WatchedFile(_watched(file.read, watch)), into)


@dataclass(frozen=True)
class _WatchedFile:
    read: Callable[[int], bytes]


def _watched(read: Callable[[int], bytes | None], watch: Watch) -> Callable[[int], bytes]:
    def watched(size: int) -> bytes:
        chunk = read(size) or b""
        watch.advance(len(chunk))
        return chunk

    return watched


def _files(root: Path) -> Iterator[Path]:
    for folder, directories, names in os.walk(root, onerror=_raise):
        directories.sort()
        for name in directories:
            if Path(folder, name).is_symlink():
                raise ArtifactInvalid(f"{Path(folder, name)}: a link to a directory")
        for name in sorted(names):
            yield _plain(Path(folder, name), root.resolve())


def _plain(path: Path, root: Path) -> Path:
    real = path.resolve(strict=True)
    if not real.is_relative_to(root):
        raise ArtifactInvalid(f"{path}: a link that leads out of the artifact")
    if not real.is_file():
        raise ArtifactInvalid(f"{path}: neither a plain file nor a directory")
    return path


def _raise(error: OSError) -> None:
    raise error
