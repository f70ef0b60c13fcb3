"""The sidecar on a real Triton: from a config file to a model that the server proves, answers with, and forgets."""

import json
import tarfile
import time
from functools import partial
from pathlib import Path

import pytest

from schemas import limits
from schemas.model_config import ConfigEntry, ConfigRevision, entry_hash
from schemas.report import ModelReport, ModelState, Reason
from tests.agent.modelsync.conftest import World
from tests.support.models import COMPLETES, CONFIG, model, serving_directory
from tests.support.sidecar import POD, candidate, config, revision, write_config

SMOKE = json.dumps({"inputs": [{"name": "IN", "shape": [1], "datatype": "FP32", "data": [1.0]}]})
BAD_SMOKE = json.dumps({"inputs": [{"name": "NOT_THERE", "shape": [1], "datatype": "FP32", "data": [1.0]}]})


def _failed(model: ModelReport, reason: Reason, *, permanent: bool = True) -> bool:
    return model.error is not None and model.error.reason is reason and model.error.permanent is permanent


def _serves_entry(model: ModelReport, entry: str) -> bool:
    return model.state is ModelState.SERVING and model.entry == entry


def test_there_and_back_again_is_proven_each_time(world: World, tmp_path: Path) -> None:
    """A B A B: Triton decides by file times whether to load, and would keep serving B when told to go back to A."""
    artifacts = {name: revision(model(tmp_path / name, name)) for name in "AB"}
    for name in "ABAB":
        serve = artifacts[name]
        entry = ConfigEntry(serve=serve, gate=True)
        world.sidecar.write({"scorer": entry})
        report = world.sidecar.until_serving("scorer", serve.digest)
        assert report.models["scorer"].entry == entry_hash(entry)
        assert world.ask("scorer") == name
    assert world.sidecar.get("/readyz")[0] == 200
    caches = list((world.models / "store").rglob("__pycache__"))
    assert not caches, "the server wrote into the store"


def test_a_failed_load_leaves_the_old_one_serving(world: World, tmp_path: Path) -> None:
    good = revision(model(tmp_path / "good", "good"))
    bad = revision(model(tmp_path / "bad", "bad", initialize='raise ValueError("boom\\nsecond line")'))
    world.sidecar.write({"scorer": ConfigEntry(serve=good)})
    world.sidecar.until_serving("scorer", good.digest)
    world.sidecar.write({"scorer": ConfigEntry(serve=bad, attempt=7)})
    found = world.sidecar.until_model("scorer", lambda m: _failed(m, Reason.LOAD_FAILED), what="it failed for good")
    assert found.state is ModelState.FAILED
    assert found.serving == good.digest
    assert found.error is not None
    assert (found.error.digest, found.error.attempt, found.error.retries) == (bad.digest, 7, 2)
    assert "boom" in found.error.message
    assert "\n" not in found.error.message
    assert world.ask("scorer") == "good"
    world.sidecar.write({"scorer": ConfigEntry(serve=good)})
    world.sidecar.until_serving("scorer", good.digest)
    assert world.ask("scorer") == "good"


def test_first_pods_serve_the_candidate_and_the_others_have_it_on_disk(world: World, tmp_path: Path) -> None:
    serve, new = revision(model(tmp_path / "old", "old")), revision(model(tmp_path / "new", "new"))
    world.sidecar.write({"scorer": ConfigEntry(serve=serve, candidate=candidate(new, "another-pod"))})
    found = world.sidecar.until_model(
        "scorer", lambda m: m.serving == serve.digest and len(m.staged) == 2, what="both are staged"
    )
    assert set(found.staged) == {serve.digest, new.digest}
    world.sidecar.write({"scorer": ConfigEntry(serve=serve, candidate=candidate(new, "another-pod", POD))})
    world.sidecar.until_serving("scorer", new.digest)
    assert world.ask("scorer") == "new"


def test_staging_alone_serves_nothing(world: World, tmp_path: Path) -> None:
    staged = revision(model(tmp_path / "a", "a"))
    world.sidecar.write({"scorer": ConfigEntry(stage=(staged,))})
    found = world.sidecar.until_model("scorer", lambda m: m.state is ModelState.STAGED, what="staged")
    assert found.staged == (staged.digest,)
    assert found.serving is None


def test_other_options_are_another_model(world: World, tmp_path: Path) -> None:
    artifact = model(tmp_path / "a", "a")
    for options in ({"depth": "1"}, {"depth": "2"}):
        serve = revision(artifact, options=options)
        entry = ConfigEntry(serve=serve)
        world.sidecar.write({"scorer": entry})
        world.sidecar.until_model(
            "scorer", partial(_serves_entry, entry=entry_hash(entry)), what="it is served with its options"
        )
        text = (world.models / "repository" / "scorer" / "config.pbtxt").read_text()
        assert f'string_value: "{options["depth"]}"' in text


def test_an_answered_smoke_test_is_part_of_the_proof(world: World, tmp_path: Path) -> None:
    serve = revision(model(tmp_path / "a", "a"), smoke=SMOKE)
    world.sidecar.write({"scorer": ConfigEntry(serve=serve)})
    report = world.sidecar.until_serving("scorer", serve.digest)
    assert report.models["scorer"].error is None


def test_a_failing_smoke_test_brings_the_previous_back(world: World, tmp_path: Path) -> None:
    good = revision(model(tmp_path / "good", "good"), smoke=SMOKE)
    bad = revision(model(tmp_path / "bad", "bad"), smoke=BAD_SMOKE)
    world.sidecar.write({"scorer": ConfigEntry(serve=good)})
    world.sidecar.until_serving("scorer", good.digest)
    world.sidecar.write({"scorer": ConfigEntry(serve=bad)})
    world.sidecar.until_model(
        "scorer",
        lambda m: _failed(m, Reason.SMOKE_TEST_FAILED) and m.serving == good.digest,
        what="the previous one serves again",
    )
    assert world.ask("scorer") == "good"


def test_a_failing_smoke_test_of_a_first_revision_leaves_nothing_served(world: World, tmp_path: Path) -> None:
    bad = revision(model(tmp_path / "bad", "bad"), smoke="{not json")
    world.sidecar.write({"scorer": ConfigEntry(serve=bad)})
    found = world.sidecar.until_model(
        "scorer", lambda m: _failed(m, Reason.SMOKE_TEST_FAILED) and m.serving is None, what="nothing is served"
    )
    assert found.error is not None


def test_what_no_entry_names_is_unloaded_and_then_deleted(world: World, tmp_path: Path) -> None:
    serve = revision(model(tmp_path / "a", "a"))
    world.sidecar.write({"scorer": ConfigEntry(serve=serve), "other": ConfigEntry(serve=serve)})
    for name in ("scorer", "other"):
        world.sidecar.until_serving(name, serve.digest)
    world.sidecar.write({"other": ConfigEntry(serve=serve)})
    world.sidecar.until_serving("scorer", None)
    assert [path.name for path in (world.models / "repository").iterdir()] == ["other"]
    assert world.ask("other") == "a"


def test_a_model_without_config_is_completed_by_the_server(world: World, tmp_path: Path) -> None:
    serve = revision(model(tmp_path / "a", "a", config=None, more=COMPLETES))
    world.sidecar.write({"scorer": ConfigEntry(serve=serve)})
    world.sidecar.until_serving("scorer", serve.digest)
    assert world.ask("scorer") == "a"


def test_a_model_without_outputs_is_invalid_and_the_previous_one_is_back(world: World, tmp_path: Path) -> None:
    """Triton loads it, and would answer 400 to every request."""
    good = revision(model(tmp_path / "a", "a"))
    bad = revision(model(tmp_path / "b", "b", config=None))
    world.sidecar.write({"scorer": ConfigEntry(serve=good)})
    world.sidecar.until_serving("scorer", good.digest)
    world.sidecar.write({"scorer": ConfigEntry(serve=bad)})
    report = world.sidecar.until(
        lambda r: (
            (error := r.models["scorer"].error) is not None
            and error.reason is Reason.MODEL_INVALID
            and r.models["scorer"].serving == good.digest
        ),
        what="it is refused",
    )
    error = report.models["scorer"].error
    assert error is not None
    assert error.permanent
    assert world.ask("scorer") == "a"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config.pbtxt": CONFIG}, "no version directory"),
        ({"config.pbtxt": CONFIG, "1/model.txt": "?"}, "no 1/model.py"),
        ({"config.pbtxt": "backend: ", "1/model.py": "?"}, "config.pbtxt"),
        ({"config.pbtxt": CONFIG + "max_batch_size: -3", "1/model.py": "?"}, "failed to poll"),
    ],
    ids=["no-version", "no-model-file", "broken-config", "refused-config"],
)
def test_an_invalid_model_fails_at_once(world: World, tmp_path: Path, files: dict[str, str], said: str) -> None:
    for path, text in files.items():
        (tmp_path / "bad" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bad" / path).write_text(text)
    world.sidecar.write({"scorer": ConfigEntry(serve=revision(tmp_path / "bad"), gate=True)})
    error = world.sidecar.until_model("scorer", lambda m: _failed(m, Reason.MODEL_INVALID), what="invalid").error
    assert error is not None
    assert said in error.message
    assert error.retries == 0


def _absent(tmp_path: Path) -> ConfigRevision:
    return revision(model(tmp_path / "a", str(tmp_path)), uri=(tmp_path / "absent").as_uri())


def _other_content(tmp_path: Path) -> ConfigRevision:
    return revision(model(tmp_path / "a", "a"), digest="sha256:" + "0" * 64)


def _unknown_scheme(tmp_path: Path) -> ConfigRevision:
    return revision(model(tmp_path / "a", str(tmp_path)), uri="pvc://volume/a")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_absent, Reason.ARTIFACT_NOT_FOUND),
        (_other_content, Reason.DIGEST_MISMATCH),
        (_unknown_scheme, Reason.ARTIFACT_INVALID),
    ],
)
def test_an_artifact_that_is_not_what_it_should_be(world: World, tmp_path: Path, make: object, reason: Reason) -> None:
    assert callable(make)
    world.sidecar.write({"scorer": ConfigEntry(stage=(make(tmp_path),))})
    found = world.sidecar.until_model("scorer", lambda m: _failed(m, reason), what="it is refused for good")
    assert found.state is ModelState.FAILED
    assert found.staged == ()
    assert list((world.models / "tmp").iterdir()) == []


def test_an_artifact_that_comes_late_is_fetched(world: World, tmp_path: Path) -> None:
    late = revision(model(tmp_path / "a", str(tmp_path)), uri=(tmp_path / "late").as_uri())
    world.sidecar.write({"scorer": ConfigEntry(stage=(late,))})
    world.sidecar.until_model(
        "scorer", lambda m: _failed(m, Reason.ARTIFACT_NOT_FOUND, permanent=False), what="reported at once"
    )
    (tmp_path / "a").rename(tmp_path / "late")
    world.sidecar.until_model("scorer", lambda m: m.staged == (late.digest,), what="staged")


def test_an_archive_is_fetched_over_http(world: World, tmp_path: Path) -> None:
    artifact = model(tmp_path / "site" / "a", str(tmp_path))
    with tarfile.open(tmp_path / "site" / "a.tar.gz", "w:gz") as archive:
        archive.add(artifact, arcname=".")
    with serving_directory(tmp_path / "site") as base:
        serve = revision(artifact, uri=f"{base}/a.tar.gz?token=secret")
        world.sidecar.write({"scorer": ConfigEntry(serve=serve)})
        world.sidecar.until_serving("scorer", serve.digest)
    assert world.ask("scorer") == str(tmp_path)
    assert "secret" not in world.sidecar.log


def test_a_raised_attempt_tries_again(world: World, tmp_path: Path) -> None:
    serve = revision(model(tmp_path / "a", str(tmp_path)), uri=(tmp_path / "later").as_uri())
    world.sidecar.write({"scorer": ConfigEntry(serve=serve)})
    world.sidecar.until_model("scorer", lambda m: _failed(m, Reason.ARTIFACT_NOT_FOUND), what="given up")
    (tmp_path / "a").rename(tmp_path / "later")
    world.sidecar.write({"scorer": ConfigEntry(serve=serve, attempt=1)})
    world.sidecar.until_serving("scorer", serve.digest)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, Reason.CONFIG_MISSING),
        (config({})[:-20], Reason.CONFIG_UNREADABLE),
        (config({}, checksum="sha256:" + "0" * 64), Reason.CONFIG_CHECKSUM),
        (config({}).replace(b'"models"', b'"modells"'), Reason.CONFIG_SCHEMA),
        (b'{"schemaVersion": 2, "everything": "else"}', Reason.CONFIG_TOO_NEW),
        (config({}, server="gpu-b"), Reason.CONFIG_NOT_MINE),
    ],
    ids=["missing", "cut", "checksum", "schema", "newer", "another-server"],
)
def test_a_bad_config_changes_nothing(world: World, tmp_path: Path, data: bytes | None, reason: Reason) -> None:
    serve = revision(model(tmp_path / "a", "a"))
    world.sidecar.write({"scorer": ConfigEntry(serve=serve)})
    before = world.sidecar.until_serving("scorer", serve.digest)
    write_config(world.sidecar.config_dir, data)
    report = world.sidecar.until(
        lambda r: r.config.error is not None and r.config.error.reason is reason, what="the config is refused"
    )
    assert report.config.checksum == before.config.checksum
    assert report.models["scorer"].serving == serve.digest
    assert report.ready
    assert world.ask("scorer") == "a"


def test_a_config_that_unloads_too_much_is_refused_without_permission(world: World, tmp_path: Path) -> None:
    serve = revision(model(tmp_path / "a", "a"))
    names = ("a", "b", "c")
    world.sidecar.write({name: ConfigEntry(serve=serve) for name in names})
    for name in names:
        world.sidecar.until_serving(name, serve.digest)
    world.sidecar.write({})
    report = world.sidecar.until(
        lambda r: r.config.error is not None and r.config.error.reason is Reason.CONFIG_UNLOADS_TOO_MUCH, what="refused"
    )
    assert {model.serving for model in report.models.values()} == {serve.digest}
    world.sidecar.write({}, unload=names)
    world.sidecar.until(lambda r: not r.models, what="all are unloaded")


def test_requests_are_counted_and_their_end_is_news(world: World, tmp_path: Path) -> None:
    serve = revision(model(tmp_path / "a", "a"))
    world.sidecar.write({"scorer": ConfigEntry(serve=serve)})
    before = world.sidecar.until_serving("scorer", serve.digest)
    world.ask("scorer")
    busy = world.sidecar.status(before.seq)
    assert busy is not None
    assert busy.models["scorer"].requests.busy
    after = world.sidecar.status(busy.seq)
    assert after is not None
    assert not after.models["scorer"].requests.busy
    assert after.models["scorer"].requests.count == 1


def test_a_poll_ends_when_it_was_told_to(world: World) -> None:
    report = world.sidecar.until(lambda r: True, what="it reports")
    begun = time.monotonic()
    code, body = world.sidecar.get(f"/v1/status?after={report.seq}&wait=0.2")
    assert (code, json.loads(body)["pod"]) == (200, report.pod)
    assert time.monotonic() - begun < limits.REPORT_POLL / 2


@pytest.mark.parametrize("wait", ["soon", "-1", "31", "nan", "inf"])
def test_a_poll_of_another_length_is_refused(world: World, wait: str) -> None:
    code, body = world.sidecar.get(f"/v1/status?after=0.0&wait={wait}")
    assert (code, body.decode()) == (400, f"wait: expected seconds, 0 to 30, got '{wait}'\n")


def test_metrics_are_in_prometheus_form(world: World) -> None:
    status, body = world.sidecar.get("/metrics")
    assert status == 200
    assert b"fresco_modelsync_loads_total" in body
