"""Archives over real HTTP: streamed, counted, and with an error that says what went wrong where."""

from pathlib import Path

import pytest

from agent.storage import ArtifactInvalid, ArtifactNotFound, InsufficientDisk, StorageError, open_uri
from agent.storage.digest_of import digest_of
from tests.agent.storage.support import Site, Unbounded, serving
from tests.agent.storage.test_archive import packed_tar, packed_zip
from tests.support.models import digest_of_directory

FILES = {"m.tar": packed_tar(""), "m.tgz": packed_tar("gz"), "m.zip": packed_zip()}


async def _download(site: Site, path: str, into: Path) -> Unbounded:
    into.mkdir()
    watch = Unbounded()
    await open_uri(f"{site.base}/{path}").download(into, watch=watch)
    return watch


@pytest.mark.parametrize("name", FILES)
async def test_an_archive_is_unpacked_while_it_streams(tmp_path: Path, name: str) -> None:
    async with serving(FILES) as site:
        watch = await _download(site, name, tmp_path / "into")
        assert watch.total == watch.done == len(FILES[name])
        assert digest_of_directory(tmp_path / "into") == await digest_of(f"{site.base}/{name}")
    assert [path.name for path in tmp_path.iterdir()] == ["into"], "nothing temporary is left"


async def test_a_length_that_is_not_told_is_none(tmp_path: Path) -> None:
    async with serving(FILES) as site:
        watch = await _download(site, "chunked/m.tgz", tmp_path / "into")
    assert watch.total is None
    assert watch.done == len(FILES["m.tgz"])


async def test_redirects_are_followed_and_queries_kept(tmp_path: Path) -> None:
    async with serving(FILES) as site:
        await _download(site, "redirect/m.tgz?signature=secret", tmp_path / "into")
        assert site.asked == ["/redirect/m.tgz?signature=secret", "/m.tgz"]


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("absent.tgz?token=secret", ArtifactNotFound, "/absent.tgz: HTTP 404"),
        ("status/403", ArtifactNotFound, "HTTP 403"),
        ("status/500", StorageError, "HTTP 500"),
        ("status/429", StorageError, "HTTP 429"),
        ("cut/m.tar", StorageError, "broke off"),
        ("cut/m.tgz", StorageError, "broke off"),
        ("cut/m.zip", StorageError, "broke off"),
        ("loop", StorageError, "redirects"),
        ("redirect/?to=http://169.254.169.254/latest", ArtifactInvalid, "link-local"),
        ("redirect/?to=http://[fe80::1]/latest", ArtifactInvalid, "link-local"),
        ("redirect/?to=file:///etc/passwd", ArtifactInvalid, "refused"),
        ("redirect/?to=http://h:abc/x%3Fsignature=secret", ArtifactInvalid, "not a URL"),
        ("redirect/?to=http://[x/?signature=secret", ArtifactInvalid, "no URL"),
    ],
)
async def test_what_goes_wrong_has_its_name(tmp_path: Path, path: str, error: type[StorageError], said: str) -> None:
    async with serving(FILES) as site:
        with pytest.raises(StorageError) as raised:
            await _download(site, path, tmp_path / "into")
    assert type(raised.value) is error
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


async def test_a_server_that_is_not_there_may_come(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as raised:
        await open_uri("http://127.0.0.1:9/m.tgz").download(tmp_path, watch=Unbounded())
    assert type(raised.value) is StorageError


class _Full(Unbounded):
    def expect(self, total: int | None) -> None:
        raise InsufficientDisk("no room")


async def test_a_watch_can_end_a_download_before_it_begins(tmp_path: Path) -> None:
    async with serving(FILES) as site:
        with pytest.raises(InsufficientDisk):
            await open_uri(f"{site.base}/m.tgz").download(tmp_path, watch=_Full())
    assert list(tmp_path.iterdir()) == []


async def test_the_digest_does_not_depend_on_what_packed_it(tmp_path: Path) -> None:
    found = set()
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
        found.add(await digest_of((tmp_path / name).as_uri()))
    assert len(found) == 1
