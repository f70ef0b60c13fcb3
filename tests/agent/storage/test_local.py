"""Directories and archives on this machine's disk."""

import os
from pathlib import Path

import pytest

from agent.storage import ArtifactInvalid, ArtifactNotFound, open_uri, public
from agent.storage.digest_of import digest_of
from tests.agent.storage.support import Unbounded
from tests.support.models import digest_of_directory, model


async def _download(uri: str, tmp_path: Path) -> Path:
    into = tmp_path / "into"
    into.mkdir()
    await open_uri(uri).download(into, watch=Unbounded())
    return into


@pytest.mark.parametrize("form", ["uri", "path", "escaped"])
async def test_a_directory_is_copied(tmp_path: Path, form: str) -> None:
    source = model(tmp_path / "a model", "a")
    uri = {"uri": source.as_uri(), "path": str(source), "escaped": f"file://localhost{tmp_path}/a%20model"}[form]
    into = await _download(uri, tmp_path)
    assert digest_of_directory(into) == digest_of_directory(source) == await digest_of(uri)
    assert not (into / "1" / "model.py").is_symlink()


async def test_a_link_to_a_file_inside_is_that_file(tmp_path: Path) -> None:
    source = model(tmp_path / "a", "a")
    (source / "2").mkdir()
    (source / "2" / "model.py").symlink_to("../1/model.py")
    into = await _download(str(source), tmp_path)
    assert (into / "2" / "model.py").read_bytes() == (source / "1" / "model.py").read_bytes()
    assert not (into / "2" / "model.py").is_symlink()


def _link_out(source: Path) -> None:
    (source / "1" / "secret").symlink_to("/etc/passwd")


def _link_to_directory(source: Path) -> None:
    (source / "2").symlink_to("1")


def _pipe(source: Path) -> None:
    os.mkfifo(source / "pipe")


@pytest.mark.parametrize("spoil", [_link_out, _link_to_directory, _pipe])
async def test_what_is_no_plain_file_is_refused(tmp_path: Path, spoil: object) -> None:
    source = model(tmp_path / "a", "a")
    assert callable(spoil)
    spoil(source)
    with pytest.raises(ArtifactInvalid):
        await _download(str(source), tmp_path)


async def test_what_is_absent_may_come(tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFound, match="absent"):
        await _download((tmp_path / "absent").as_uri(), tmp_path)


async def test_an_empty_directory_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactInvalid, match="no file"):
        await _download(str(tmp_path / "empty"), tmp_path)


@pytest.mark.parametrize("uri", ["file://host/models/a", "gopher://host/a", "https:///nowhere"])
def test_what_no_storage_can_read_is_refused(uri: str) -> None:
    with pytest.raises(ArtifactInvalid):
        open_uri(uri)


def test_a_public_uri_has_no_secret() -> None:
    assert public("https://me:pass@host:8/a/b.tgz?sig=x#y") == "https://host:8/a/b.tgz"
