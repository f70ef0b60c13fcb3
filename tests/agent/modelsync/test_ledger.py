"""The memory of failures: pauses grow, repetition makes some reasons certain, what no longer matters is forgotten."""

from agent.modelsync.errors import Failed
from agent.modelsync.ledger import Ledger
from schemas import limits
from schemas.report import Reason

DIGEST = "sha256:" + "a" * 64


def _ledger() -> Ledger[str]:
    return Ledger(base=1.0, most=10.0, chance=lambda: 1.0)


def _fail(ledger: Ledger[str], failure: Failed, *, times: int) -> list[bool]:
    return [
        ledger.failed("k", failure, now=float(number), digest=DIGEST, attempt=0).permanent for number in range(times)
    ]


def test_a_refused_load_becomes_certain_by_repetition_and_is_tried_on() -> None:
    """The agent decides by the verdict; where it is still wanted, what it lacks may come yet."""
    ledger = _ledger()
    found = _fail(ledger, Failed(Reason.LOAD_FAILED, "no"), times=limits.LOAD_ATTEMPTS)
    assert found == [False] * (limits.LOAD_ATTEMPTS - 1) + [True]
    assert not ledger.allows("k", limits.LOAD_ATTEMPTS)
    assert ledger.allows("k", 1e9)


def test_what_trying_cannot_help_is_never_tried_again() -> None:
    ledger = _ledger()
    assert _fail(ledger, Failed(Reason.DIGEST_MISMATCH, "other", permanent=True), times=1) == [True]
    assert not ledger.allows("k", 1e9)
    assert ledger.next_retry(after=0.0) is None


def test_what_may_pass_never_becomes_certain() -> None:
    assert not any(_fail(_ledger(), Failed(Reason.LOAD_FAILED, "out of memory", passing=True), times=20))
    assert not any(_fail(_ledger(), Failed(Reason.DOWNLOAD_FAILED, "cut"), times=20))


def test_pauses_double_up_to_a_bound() -> None:
    ledger = _ledger()
    pauses = []
    for _ in range(6):
        ledger.failed("k", Failed(Reason.DOWNLOAD_FAILED, "cut"), now=0.0, digest=DIGEST, attempt=0)
        pauses.append(ledger.next_retry(after=0.0))
    assert pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert not ledger.allows("k", 9.9)
    assert ledger.allows("k", 10.0)


def test_success_and_the_end_of_interest_clear_the_record() -> None:
    ledger = _ledger()
    _fail(ledger, Failed(Reason.DIGEST_MISMATCH, "other", permanent=True), times=1)
    assert ledger.permanent("k")
    ledger.keep_only(["another"])
    assert ledger.error("k") is None
    _fail(ledger, Failed(Reason.DOWNLOAD_FAILED, "cut"), times=1)
    ledger.succeeded("k")
    assert ledger.allows("k", 0.0)
    assert ledger.next_retry(after=0.0) is None


def test_what_was_refused_before_a_restart_counts_on() -> None:
    before, after = _ledger(), _ledger()
    _fail(before, Failed(Reason.LOAD_FAILED, "no"), times=limits.LOAD_ATTEMPTS - 1)
    after.recall(before.refusals)
    assert _fail(after, Failed(Reason.LOAD_FAILED, "no"), times=1) == [True]
    after.succeeded("k")
    assert after.refusals == {}
    after.recall(before.refusals)
    after.keep_only(())
    assert after.refusals == {}
