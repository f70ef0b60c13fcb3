"""The report: what moves its number, and which models keep a starting pod unready."""

import pytest
from msgspec.structs import replace

from agent.modelsync.report import Sequence, blocking
from schemas.model_config import SCHEMA_VERSION, ConfigEntry, ConfigRevision, ModelConfig, checksum
from schemas.report import (
    ConfigReport,
    ModelReport,
    ModelState,
    Progress,
    Reason,
    ReportError,
    Requests,
    ServerReport,
    SidecarReport,
)
from tests.support.sidecar import POD

DIGEST = "sha256:" + "a" * 64
SERVE = ConfigRevision(deployment="m", type="repository", revision="1", uri="file:///a", digest=DIGEST)


def _report(model: ModelReport, **changes: object) -> SidecarReport:
    whole = SidecarReport(
        schema_version=1,
        seq="00000000.0",
        pod=POD,
        namespace="fraud",
        server_name="gpu-a",
        slice="main",
        config=ConfigReport(),
        server=ServerReport(type="triton", live=True),
        ready=False,
        models={"m": model},
    )
    return replace(whole, **changes)


def test_counts_and_progress_do_not_move_the_number_and_all_else_does() -> None:
    sequence = Sequence("abcdef01")
    model = ModelReport(state=ModelState.DOWNLOADING, bytes=Progress(done=1, total=9))
    seen = [
        sequence.numbered(_report(each)).seq
        for each in (
            model,
            replace(model, bytes=Progress(done=2, total=9)),
            replace(model, requests=Requests(count=5, latency_seconds=1.0)),
            replace(model, requests=Requests(count=6, busy=True)),
            replace(model, requests=Requests(count=7, busy=True)),
            replace(model, requests=Requests(count=7)),
            replace(model, state=ModelState.STAGED),
        )
    ]
    assert [seq.rpartition(".")[2] for seq in seen] == ["1", "1", "1", "2", "2", "3", "4"]
    assert sequence.numbered(_report(replace(model, state=ModelState.STAGED), ready=True)).seq == "abcdef01.5"


FAILED = ModelReport(
    state=ModelState.FAILED, error=ReportError(reason=Reason.LOAD_FAILED, message="no", permanent=True, digest=DIGEST)
)


@pytest.mark.parametrize(
    ("entry", "model", "degrade", "blocks"),
    [
        (ConfigEntry(serve=SERVE, gate=True), None, False, True),
        (ConfigEntry(serve=SERVE, gate=True), ModelReport(state=ModelState.LOADING), True, True),
        (ConfigEntry(serve=SERVE, gate=True), ModelReport(state=ModelState.LOADING, serving=DIGEST), False, False),
        (ConfigEntry(serve=SERVE, gate=True), FAILED, False, True),
        (ConfigEntry(serve=SERVE, gate=True), FAILED, True, False),
        (ConfigEntry(serve=SERVE), None, False, False),
        (ConfigEntry(stage=(SERVE,), gate=True), None, False, False),
    ],
    ids=["unknown", "loading", "some-revision", "failed", "failed-degrade", "not-gated", "nothing-to-serve"],
)
def test_what_blocks_a_starting_pod(entry: ConfigEntry, model: ModelReport | None, degrade: bool, blocks: bool) -> None:
    models = {"m": entry}
    config = ModelConfig(
        schema_version=SCHEMA_VERSION,
        namespace="fraud",
        server="gpu-a",
        slice="main",
        checksum=checksum(models),
        models=models,
    )
    reports = {"m": model} if model is not None else {}
    assert blocking(config, reports, pod=POD, degrade=degrade) == (("m",) if blocks else ())
