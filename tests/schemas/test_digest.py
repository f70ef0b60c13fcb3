"""The digest is what the test vectors for other implementations say."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas.digest import FileEntry, digest, listing

GIVEN: dict[str, Any] = json.loads(Path(schemas.__path__[0], "digest-vectors.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", GIVEN["vectors"], ids=lambda vector: vector["name"])
@pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned"])
def test_the_vectors(vector: dict[str, Any], turned: bool) -> None:
    files = [_entry(path, content.encode()) for path, content in vector["files"].items()]
    files = files[::-1] if turned else files
    assert listing(files).decode() == vector["listing"]
    assert digest(files) == vector["digest"] == "sha256:" + sha256(vector["listing"].encode()).hexdigest()


@pytest.mark.parametrize("path", GIVEN["refused"], ids=repr)
def test_what_is_no_path_inside_an_artifact_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not a path inside an artifact"):
        digest([_entry(path, b"")])


def test_a_path_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="path comes twice"):
        digest([_entry("1/model.py", b"1"), _entry("1/model.py", b"2")])


def _entry(path: str, content: bytes) -> FileEntry:
    return FileEntry(path, len(content), sha256(content).hexdigest())
