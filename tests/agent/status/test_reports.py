"""What is believed of a report, and what is not."""

import msgspec
import pytest

from agent.status import reports
from agent.status.cluster import PodState
from schemas import limits
from schemas.report import ConfigReport, ModelReport, ModelState, Reason, ReportError, ServerReport, SidecarReport

POD = PodState(
    namespace="fraud", server="gpu-a", slice="main", name="p0", report="127.0.0.1:1", live=True, ready=True, template=""
)
REPORT = SidecarReport(
    schema_version=1,
    seq="5f3c9a10.1",
    pod="p0",
    namespace="fraud",
    server_name="gpu-a",
    slice="main",
    config=ConfigReport(),
    server=ServerReport(type="triton", live=True),
    ready=True,
)


def test_a_report_of_the_pod_that_was_asked_is_believed() -> None:
    assert reports.decode(msgspec.json.encode(REPORT), POD) == REPORT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pod": "p1"}, "expected fraud/gpu-a/main/p0, got fraud/gpu-a/main/p1"),
        ({"namespace": "other"}, "got other/gpu-a/main/p0"),
        ({"server_name": "gpu-b"}, "got fraud/gpu-b/main/p0"),
        ({"slice": "canary"}, "got fraud/gpu-a/canary/p0"),
        ({"schema_version": 2}, "schema version 2, expected 1"),
    ],
)
def test_a_report_of_anything_else_is_refused(change: dict[str, object], words: str) -> None:
    report = msgspec.structs.replace(REPORT, **change)
    with pytest.raises(reports.Refused, match=words):
        reports.decode(msgspec.json.encode(report), POD)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b'{"seq": 1}', b"[" * 100_000, b"null"])
def test_what_is_no_report_is_refused(body: bytes) -> None:
    with pytest.raises(reports.Refused):
        reports.decode(body, POD)


def test_a_field_that_the_contract_does_not_know_is_refused() -> None:
    body = msgspec.json.encode({**msgspec.to_builtins(REPORT), "extra": 1})
    with pytest.raises(reports.Refused, match="extra"):
        reports.decode(body, POD)


def test_messages_become_one_escaped_line() -> None:
    error = ReportError(reason=Reason.LOAD_FAILED, message="first\nsecond\x1b[31m")
    model = ModelReport(state=ModelState.FAILED, error=error)
    report = msgspec.structs.replace(REPORT, models={"scorer": model}, config=ConfigReport(error=error))

    cleaned = reports.decode(msgspec.json.encode(report), POD)

    assert cleaned.models["scorer"].error is not None
    assert cleaned.models["scorer"].error.message == "first\\nsecond\\u001b[31m"
    assert cleaned.config.error is not None
    assert cleaned.config.error.message == "first\\nsecond\\u001b[31m"


def test_a_line_is_cut() -> None:
    assert len(reports.one_line("\n" * 5000)) == limits.MESSAGE_CHARACTERS
