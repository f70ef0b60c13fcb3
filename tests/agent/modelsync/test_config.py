"""Reading the model config: each way in which it can be wrong has its reason, and nothing else comes out."""

from pathlib import Path

import msgspec
import pytest

from agent.modelsync import config as config_file
from agent.modelsync.errors import Failed, one_line
from schemas import limits
from schemas.model_config import FILE_NAME, ConfigEntry, ConfigRevision, ModelConfig
from schemas.report import Reason
from tests.support.sidecar import POD, config, write_config

OWNER = config_file.Owner(namespace="fraud", server="gpu-a", slice="main")
SERVE = ConfigRevision(
    deployment="scorer", type="repository", revision="1", uri="file:///models/a", digest="sha256:" + "a" * 64
)


def _decoded(data: bytes) -> ModelConfig:
    return config_file.check(data, owner=OWNER)


def test_a_good_config_is_read_through_the_kubelets_links(tmp_path: Path) -> None:
    models = {"scorer": ConfigEntry(serve=SERVE, gate=True)}
    write_config(tmp_path, config(models))
    assert config_file.read(tmp_path / FILE_NAME, owner=OWNER).models == models


def test_a_missing_file_and_an_unreadable_one(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="does not exist") as missing:
        config_file.read(tmp_path / FILE_NAME, owner=OWNER)
    assert missing.value.reason is Reason.CONFIG_MISSING
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(Failed) as unreadable:
        config_file.read(tmp_path / FILE_NAME, owner=OWNER)
    assert unreadable.value.reason is Reason.CONFIG_UNREADABLE


GOOD = config({"scorer": ConfigEntry(serve=SERVE)})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.CONFIG_UNREADABLE),
        (b"\xff\xfe", Reason.CONFIG_UNREADABLE),
        (GOOD.replace(b"fraud", b"fr\xffud"), Reason.CONFIG_UNREADABLE),
        (b'{"schemaVersion": 1, "models": ' + b"[" * 100_000, Reason.CONFIG_UNREADABLE),
        (b"[]", Reason.CONFIG_SCHEMA),
        (b"{}", Reason.CONFIG_SCHEMA),
        (GOOD.replace(b'"serve"', b'"served"'), Reason.CONFIG_SCHEMA),
        (GOOD.replace(b'"scorer":{', b'"../scorer":{'), Reason.CONFIG_SCHEMA),
        (GOOD.replace(b'"revision":"1"', b'"revision":"2"'), Reason.CONFIG_CHECKSUM),
        (GOOD.replace(b'"schemaVersion":1', b'"schemaVersion":99'), Reason.CONFIG_TOO_NEW),
        (b" " * (limits.MODEL_CONFIG_BYTES + 1), Reason.CONFIG_SCHEMA),
        (config({}, namespace="other"), Reason.CONFIG_NOT_MINE),
        (config({}, slice="canary"), Reason.CONFIG_NOT_MINE),
    ],
)
def test_a_bad_config_is_refused(data: bytes, reason: Reason) -> None:
    with pytest.raises(Failed) as refused:
        _decoded(data)
    assert refused.value.reason is reason


def test_a_config_cut_anywhere_is_refused() -> None:
    for length in range(len(GOOD)):
        with pytest.raises(Failed):
            _decoded(GOOD[:length])


@pytest.mark.parametrize(
    ("published", "kept", "refused"),
    [(10, 8, False), (10, 7, True), (3, 1, False), (3, 0, True), (2, 0, False), (0, 0, False)],
)
def test_the_guard_counts_what_would_be_unloaded(published: int, kept: int, refused: bool) -> None:
    entries = {f"m{number}": ConfigEntry(serve=SERVE) for number in range(kept)}
    # An entry that serves nothing keeps nothing.
    entries["m9"] = entries.get("m9", ConfigEntry(stage=(SERVE,)))
    names = [f"m{number}" for number in range(published)]
    given = _decoded(config(entries))
    if refused:
        with pytest.raises(Failed, match="does not say so"):
            config_file.guard(given, pod=POD, published=names)
    else:
        config_file.guard(given, pod=POD, published=names)
    meant = msgspec.structs.replace(given, unload=tuple(names[kept:]))
    config_file.guard(meant, pod=POD, published=names)


def test_messages_are_one_line_without_the_queries_of_urls() -> None:
    said = one_line("GET https://host/m.tar.gz?X-Amz-Signature=secret#x failed\n  at \x1b[31mline 2" + "x" * 5000)
    assert "secret" not in said
    assert said.startswith("GET https://host/m.tar.gz failed at �[31mline 2")
    assert len(said) == limits.MESSAGE_CHARACTERS
