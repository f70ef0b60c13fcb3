"""Models that must not serve: each is rolled back, said where people look, and nobody's request is the worse for it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.report import Reason
from tests.e2e import artifacts
from tests.e2e.artifacts import Artifact
from tests.e2e.harness import LocalFresco
from tests.e2e.world import SUBJECT, World

Bad = Callable[[LocalFresco], Artifact]


def _harmful(file: str) -> Bad:
    def publish(fresco: LocalFresco) -> Artifact:
        content = artifacts.model(file)
        data = artifacts.HARMFUL[file](content, _outside(fresco))
        return fresco.publish(file, data, artifacts.digest_of(content))

    return publish


def _without_config(fresco: LocalFresco) -> Artifact:
    return fresco.store("no-config", {"1/weights.bin": b"\1\2\3\4"})


def _speechless(fresco: LocalFresco) -> Artifact:
    """The server completes its config, with no input and no output, and loads it without a word."""
    content = artifacts.model("speechless")
    del content["config.pbtxt"]
    return fresco.store("speechless", content)


def _outside(fresco: LocalFresco) -> Path:
    """A file that harmful archives try to make."""
    return fresco.directory / "made-by-an-archive"


BAD: dict[str, tuple[Bad, set[Reason]]] = {
    "absent directory": (
        lambda fresco: replace(fresco.model("gone"), uri=f"{fresco.storage.as_uri()}/nothing-here"),
        {Reason.ARTIFACT_NOT_FOUND},
    ),
    "absent archive": (
        lambda fresco: replace(fresco.publish("x", b"", "sha256:" + 64 * "0"), uri=f"{fresco.grants[1]}gone.tar"),
        {Reason.ARTIFACT_NOT_FOUND},
    ),
    "wrong digest": (
        lambda fresco: replace(fresco.model("changed"), digest="sha256:" + 64 * "e"),
        {Reason.DIGEST_MISMATCH},
    ),
    **{file: (_harmful(file), {Reason.ARTIFACT_INVALID}) for file in artifacts.HARMFUL},
    "no config": (_without_config, {Reason.MODEL_INVALID, Reason.LOAD_FAILED}),
    "no outputs": (_speechless, {Reason.MODEL_INVALID}),
    "Python that raises": (
        lambda fresco: fresco.model("raises", artifacts.RAISES),
        {Reason.LOAD_FAILED, Reason.MODEL_INVALID},
    ),
    "kills its server": (
        lambda fresco: fresco.model("kills", artifacts.KILLS_ITS_SERVER),
        {Reason.QUARANTINED},
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_model_is_rolled_back(subject: World, kind: str) -> None:
    make, reasons = BAD[kind]
    bad = make(subject.fresco)
    subject.fresco.deploy(SUBJECT, bad)
    status = subject.until_refused(bad)

    subject.check_said(status, bad, reasons)
    assert not _outside(subject.fresco).exists()


def test_a_model_that_loads_and_cannot_answer_fails_its_smoke_test(subject: World) -> None:
    bad = subject.fresco.model("cannot-answer", artifacts.CANNOT_ANSWER)
    subject.fresco.deploy(SUBJECT, bad, smoke_test=json.dumps(artifacts.QUESTION))
    subject.check_said(subject.until_refused(bad), bad, {Reason.SMOKE_TEST_FAILED})


def test_a_load_that_hangs_ends_with_a_restart_of_that_one_server(subject: World) -> None:
    (canary,) = subject.fresco.pods("canary")
    mains = {pod: subject.fresco.pid_in_pod(pod, "server") for pod in subject.fresco.pods("main")}
    before = subject.fresco.pid_in_pod(canary, "server")
    bad = subject.fresco.model("hangs", artifacts.HANGS)
    subject.fresco.deploy(SUBJECT, bad)
    status = subject.until_refused(bad)

    subject.check_said(status, bad, {Reason.LOAD_TIMED_OUT, Reason.QUARANTINED})
    subject.fresco.until_pid(lambda: subject.fresco.pid_in_pod(canary, "server"), other_than=before)
    assert {pod: subject.fresco.pid_in_pod(pod, "server") for pod in mains} == mains


def test_a_good_archive_over_http_serves(subject: World) -> None:
    content = artifacts.model("from-http")
    archive = subject.fresco.publish("good.tar.gz", artifacts.tar(content), artifacts.digest_of(content))
    subject.replace(replace(archive, revision="from-http"))
