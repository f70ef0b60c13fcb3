"""Archives from strangers: good ones give exactly their files, hostile ones nothing outside, and always a reason."""

import io
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import pytest

from agent.storage import ArtifactInvalid
from agent.storage.archive import Bounds, unpack_tar, unpack_zip
from agent.storage.local import LocalStorage
from schemas.digest import digest
from tests.agent.storage.support import Unbounded
from tests.support.models import digest_of_directory

FILES = {"config.pbtxt": b"backend: 'python'", "1/model.py": b"x = 1\n" * 5000, "1/weights/part": bytes(300_000)}


def packed_tar(mode: str, files: dict[str, bytes] = FILES, prefix: str = "") -> bytes:
    """A tar of `files`, compressed by `mode`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def packed_zip(files: dict[str, bytes] = FILES) -> bytes:
    """A zip of `files`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_header_is_not_read_into_memory_whatever_it_says_of_its_size(tmp_path: Path) -> None:
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1 << 32
    with pytest.raises(ArtifactInvalid, match="a header of 4294967296 bytes"):
        unpack_tar(io.BytesIO(member.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)), tmp_path)


def test_a_header_that_means_nothing_is_a_broken_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("m")
        member.pax_headers = {"GNU.sparse.map": "x,y"}
        archive.addfile(member)
    buffer.seek(0)
    with pytest.raises(ArtifactInvalid, match="not a readable"):
        unpack_tar(buffer, tmp_path)


@pytest.mark.parametrize(
    "data",
    [packed_tar(""), packed_tar("gz"), packed_tar("xz"), packed_tar("gz", prefix="./"), packed_zip()],
    ids=["tar", "gz", "xz", "dot", "zip"],
)
async def test_a_good_archive_gives_its_files(tmp_path: Path, data: bytes) -> None:
    packed, into = tmp_path / "artifact", tmp_path / "into"
    packed.write_bytes(data)
    into.mkdir()
    entries = await LocalStorage(packed).download(into, watch=Unbounded())
    assert {path: (into / path).read_bytes() for path in FILES} == FILES
    assert sorted(entry.path for entry in entries) == sorted(FILES)
    assert digest(entries) == digest_of_directory(into)


def _member(name: str, **fields: object) -> bytes:
    """A tar with one member made to order, after a good one."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:") as archive:
        good, member = tarfile.TarInfo("config.pbtxt"), tarfile.TarInfo(name)
        archive.addfile(good)
        for key, value in fields.items():
            setattr(member, key, value)
        archive.addfile(member, io.BytesIO(b"x" * member.size) if member.isreg() else None)
    return buffer.getvalue()


def _zip_member(name: str, mode: int = 0o100644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        info.external_attr = mode << 16
        archive.writestr(info, "../../outside")
    return buffer.getvalue()


HOSTILE: dict[str, bytes] = {
    "absolute": _member("/etc/passwd", size=1),
    "climbs": _member("../outside", size=1),
    "climbs-later": _member("1/../../outside", size=1),
    "symlink-out": _member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "symlink-inside": _member("link", type=tarfile.SYMTYPE, linkname="config.pbtxt"),
    "hard-link-out": _member("link", type=tarfile.LNKTYPE, linkname="../outside"),
    "device": _member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "fifo": _member("pipe", type=tarfile.FIFOTYPE),
    "twice": _member("config.pbtxt", size=1),
    "twice-in-disguise": _member("./config.pbtxt", size=1),
    "file-as-directory": _member("config.pbtxt/x", size=1),
    "newline": _member("a\nb", size=1),
    "backslash": _member("..\\outside", size=1),
    "long-name": _member("n" * 300, size=1),
    "root-as-file": _member(".", size=1),
    "cut-tar": packed_tar("")[:2000],
    "cut-gz": packed_tar("gz")[:-50],
    "empty-tar": packed_tar("", {}),
    "garbage": b"not an archive at all" * 100,
    "nothing": b"",
    "zip-climbs": _zip_member("../outside"),
    "zip-absolute": _zip_member("/outside"),
    "zip-symlink": _zip_member("link", 0o120777),
    "cut-zip": packed_zip()[:-10],
    "empty-zip": packed_zip({}),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_archive_is_refused(tmp_path: Path, name: str) -> None:
    packed, into = tmp_path / "artifact", tmp_path / "deep" / "into"
    packed.write_bytes(HOSTILE[name])
    into.mkdir(parents=True)
    with pytest.raises(ArtifactInvalid):
        await LocalStorage(packed).download(into, watch=Unbounded())
    assert {path.name for path in tmp_path.iterdir()} == {"artifact", "deep"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["into"]
    assert not any(path.is_symlink() for path in into.rglob("*"))


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        (Bounds(files=2), "more than 2 entries"),
        (Bounds(bytes=1000), "1000 bytes"),
        (Bounds(free_bytes=0, ratio=2), "2 times"),
    ],
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_bombs_are_stopped_by_bounds(tmp_path: Path, bounds: Bounds, said: str, kind: str) -> None:
    into = tmp_path / "into"
    into.mkdir()
    (tmp_path / "bomb.zip").write_bytes(packed_zip())
    unpack = {
        "tar": partial(unpack_tar, io.BytesIO(packed_tar("gz"))),
        "zip": partial(unpack_zip, tmp_path / "bomb.zip"),
    }
    with pytest.raises(ArtifactInvalid, match=said):
        unpack[kind](into, bounds=bounds)
