"""The ledger itself: what it takes for a failure, for an excused one, and for a wrong answer."""

import time

import pytest

from tests.e2e.load import Answer, Load


def load(monkeypatch: pytest.MonkeyPatch, *answers: tuple[float, float, str | None]) -> Load:
    """A load with these answers (sent, ended, revision), for which "1" is meant until 10 and "2" from then on."""
    made = Load("http://nowhere.invalid")
    for at, revision in ((0.0, "1"), (10.0, "2")):
        monkeypatch.setattr(time, "monotonic", lambda at=at: at)
        made.expect(revision)
    made._answers += [Answer(sent, ended, revision, "" if revision else "503") for sent, ended, revision in answers]
    return made


def test_an_answer_is_wrong_unless_its_revision_was_meant_between_question_and_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fine = [(1.0, 2.0, "1"), (9.0, 11.0, "1"), (9.0, 11.0, "2"), (11.0, 12.0, "2")]
    assert load(monkeypatch, *fine).wrong() == []
    assert load(monkeypatch, *fine, (1.0, 2.0, "2"), (11.0, 12.0, "1"), (11.0, 12.0, "3")).wrong() == ["2", "1", "3"]


def test_a_failure_is_excused_only_while_there_was_no_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    made = load(monkeypatch, (1.0, 2.0, None), (4.0, 5.5, None), (5.5, 9.0, None), (7.0, 8.0, None), (8.0, 9.0, "1"))
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    with made.gateway_down():
        monkeypatch.setattr(time, "monotonic", lambda: 6.0)
    seen = made.ledger()
    assert (seen.sent, seen.failed, seen.excused, seen.wrong) == (5, 2, 2, 0)
    assert made.problems() == ["503"]
