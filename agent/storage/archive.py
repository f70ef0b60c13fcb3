"""Unpacking archives that strangers made: tar (plain, gzip, bzip2, xz) while it streams, zip from a file. I/O.

The rules are strict, because an archive is an attack until it is proven a model:
- The artifact is the archive's root. A single top directory is not stripped: `tar -C model -czf m.tar.gz .` packs well.
- Regular files and directories only. Links of either kind are refused even if they stay inside (a digest knows none,
  and what a link means changes while one unpacks); `tar --dereference --hard-dereference` packs what they point to.
- No absolute path, no `..`, no path twice, no file where a directory is; modes, owners and times are ignored.
- Bounds on the number of files, the bytes, and the bytes for each byte of archive.
"""

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import Final, Protocol, Self

from agent.storage import ArtifactInvalid
from agent.storage.files import make_directory, safe_path, write_file
from schemas.digest import FileEntry

MAGIC_BYTES: Final = 4
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, struct.error,
    EOFError, LookupError, NotImplementedError, OverflowError, RecursionError, ValueError,
)  # fmt: skip
_HEADER_BYTES: Final = 1 << 20  # of one header that tells a name, which is read into memory as a whole
_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"X")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What an archive may hold. `ratio` counts once `free_bytes` are exceeded: small files may be all zeros."""

    files: int = 100_000
    bytes: int = 1 << 40
    ratio: int = 200
    free_bytes: int = 256 << 20


class Reader(Protocol):
    """A stream of bytes, as files and responses are."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


def is_zip(magic: bytes) -> bool:
    """Whether an archive that begins with `magic` is a zip, which cannot be unpacked as a stream."""
    return magic[:MAGIC_BYTES] in _ZIP_MAGIC


def unpack_tar(reader: Reader, into: Path, *, bounds: Bounds | None = None) -> list[FileEntry]:
    """Unpacks a tar stream into the empty directory `into`. Raises ArtifactInvalid, and what `reader` raises."""
    counted = _Counting(reader)
    meter = _Meter(bounds or Bounds(), lambda: counted.count)
    try:
        with tarfile.open(fileobj=counted, mode="r|*", bufsize=1 << 18, tarinfo=_Member) as archive:
            entries = [entry for member in archive if (entry := _tar_member(archive, member, into, meter))]
            counted.drain()
    except _BROKEN as error:
        raise _broken(error) from error
    return _not_empty(entries)


def unpack_zip(path: Path, into: Path, *, bounds: Bounds | None = None) -> list[FileEntry]:
    """Unpacks the zip file `path` into the empty directory `into`. Raises ArtifactInvalid."""
    size = path.stat().st_size
    meter = _Meter(bounds or Bounds(), lambda: size)
    try:
        with zipfile.ZipFile(path) as archive:
            return _not_empty(
                [entry for info in archive.infolist() if (entry := _zip_member(archive, info, into, meter))]
            )
    except (*_BROKEN, RuntimeError) as error:  # RuntimeError is how zipfile says "encrypted".
        raise _broken(error) from error


def _tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, into: Path, meter: "_Meter") -> FileEntry | None:
    meter.one_more()
    path = safe_path(member.name)
    if member.isdir():
        make_directory(into, path)
        return None
    if not member.isreg() or member.issparse():
        raise ArtifactInvalid(f"neither a plain file nor a directory: {path!r} ({_kind(member)})")
    content = archive.extractfile(member)
    if content is None:
        raise ArtifactInvalid(f"no content: {path!r}")
    return write_file(into, _file_path(path), meter.metered(content))


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, into: Path, meter: "_Meter") -> FileEntry | None:
    meter.one_more()
    path = safe_path(info.orig_filename)
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArtifactInvalid(f"neither a plain file nor a directory: {path!r}")
    if info.is_dir():
        make_directory(into, path)
        return None
    with archive.open(info) as content:
        return write_file(into, _file_path(path), meter.metered(content))


class _Member(tarfile.TarInfo):
    """A member whose headers are no larger than a name can be."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """See `TarInfo.frombuf`. Raises ArtifactInvalid."""
        made = super().frombuf(buf, encoding, errors)
        if made.type in _HEADERS and made.size > _HEADER_BYTES:
            raise ArtifactInvalid(f"a header of {made.size} bytes in the archive, {_HEADER_BYTES} are allowed")
        return made


class _Meter:
    """Counts what an archive yields against its bounds."""

    def __init__(self, bounds: Bounds, packed: Callable[[], int]) -> None:
        self._bounds, self._packed = bounds, packed
        self._files = self._bytes = 0

    def one_more(self) -> None:
        self._files += 1
        if self._files > self._bounds.files:
            raise ArtifactInvalid(f"more than {self._bounds.files} entries in the archive")

    def metered(self, content: Reader) -> Callable[[int], bytes]:
        def read(size: int) -> bytes:
            chunk = content.read(size)
            self._count(len(chunk))
            return chunk

        return read

    def _count(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self._bounds.bytes:
            raise ArtifactInvalid(f"more than {self._bounds.bytes} bytes in the archive")
        if self._bytes > self._bounds.free_bytes + self._bounds.ratio * self._packed():
            raise ArtifactInvalid(f"the archive unpacks to more than {self._bounds.ratio} times its size")


class _Counting(io.RawIOBase):
    """Passes a stream on and counts its bytes, as far as they were asked for."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._reader.read(size if size >= 0 else 1 << 18)
        self.count += len(chunk)
        return chunk

    def drain(self) -> None:
        """Reads to the end, so that a source which breaks there is noticed."""
        while self.read(1 << 18):
            pass


def _file_path(path: str) -> str:
    if not path:
        raise ArtifactInvalid("a file without a name")
    return path


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a link to {member.linkname!r}; pack with --dereference --hard-dereference"
    return "a device or another special file"


def _broken(error: BaseException) -> ArtifactInvalid:
    return ArtifactInvalid(f"not a readable tar, tar.gz or zip archive: {error}")


def _not_empty(entries: list[FileEntry]) -> list[FileEntry]:
    if not entries:
        raise ArtifactInvalid("the archive holds no file")
    return entries
