"""What the demo promises is judged as a strict reader of the figures would."""

import pytest

from agent.demo import checks
from agent.demo.checks import Share
from agent.demo.history import Event
from agent.demo.traffic import Answer, Record
from schemas.status import Stage


def event(at: float, stage: Stage, step: str, revision: str, **more: float | int) -> Event:
    """A change of stage."""
    return Event(
        at=at,
        commit="c" * 40,
        stage=stage,
        step=step,
        message="",
        revision=revision,
        weight=int(more["weight"]) if "weight" in more else None,
        soaking_since=more.get("soaking_since"),
    )


def answers(revision: str | None, *, start: float, count: int, status: int | None = 200) -> list[Answer]:
    """Requests sent ten milliseconds apart, each answered after five."""
    times = [start + index / 100 for index in range(count)]
    return [Answer(sent, sent + 0.005, status, revision, "") for sent in times]


LIFE = [
    event(10.0, Stage.VALIDATION, "accepted", "1"),
    event(11.0, Stage.TRAFFIC_ROUTING, "route", "1"),
    event(12.0, Stage.ROLLOUT_COMPLETE, "bake", "1"),
    event(20.0, Stage.TRAFFIC_ROUTING, "weight 1", "2", weight=10, soaking_since=20.5),
    event(25.0, Stage.TRAFFIC_ROUTING, "main", "2"),
    event(30.0, Stage.ROLLOUT_COMPLETE, "bake", "2"),
    event(40.0, Stage.TRAFFIC_ROUTING, "weight 1", "4", weight=10),
    event(45.0, Stage.ROLLBACK_IN_PROGRESS, "restore", "2"),
    event(50.0, Stage.CLEAN_UP_IN_PROGRESS, "unload", "2"),
]
"""Revision 1, then 2, then 4 withdrawn, then the end."""


@pytest.mark.parametrize(
    ("answered", "kept"),
    [(100, True), (130, True), (70, True), (150, False), (55, False), (0, False), (1000, False)],
)
def test_a_share_may_be_off_by_chance_and_no_more(answered: int, kept: bool) -> None:
    """10 % of 1000 has a standard deviation of 9.5; four of those are allowed."""
    assert checks.fair(Share("2", 10, {"2": answered, "1": 1000 - answered})).kept is kept


def test_a_share_of_too_few_answers_proves_nothing() -> None:
    """Half of ten is half, and luck."""
    assert not checks.fair(Share("2", 50, {"1": 5, "2": 5})).kept


def test_a_share_is_measured_while_the_step_soaks() -> None:
    """Not before its route was seen live, and not after the next step began."""
    before, during, after = (answers("2", start=start, count=30) for start in (20.0, 20.6, 25.5))
    record = Record(before + during + after)
    assert checks.share(LIFE[3], 25.0, record) == Share("2", 10, {"2": 30})


def test_stages_come_once_each_and_in_order() -> None:
    """Several steps of one stage are one stage."""
    events = [event(1, Stage.ROLLBACK_IN_PROGRESS, step, "2") for step in ("traffic", "restore")]
    events.append(event(2, Stage.ROLLBACK_COMPLETE, "done", "2"))
    expected = (Stage.ROLLBACK_IN_PROGRESS, Stage.ROLLBACK_COMPLETE)
    assert checks.stages("back", events, expected).kept
    assert not checks.stages("back", events[::-1], expected).kept
    assert not checks.stages("back", [], expected).kept


@pytest.mark.parametrize(
    ("revision", "sent", "kept"),
    [
        ("1", 11.5, True),
        ("2", 11.5, False),  # not yet
        ("2", 21.0, True),
        ("1", 29.9, True),  # main has not switched for certain
        ("1", 30.1, False),  # it has
        ("4", 41.0, True),
        ("4", 45.1, False),  # withdrawn
        ("3", 35.0, False),  # never
        ("2", 50.1, False),  # deleted
    ],
)
def test_who_may_answer_when(revision: str, sent: float, kept: bool) -> None:
    """A revision may answer from its first share on, and until it was replaced, withdrawn or deleted for certain."""
    record = Record(answers(revision, start=sent, count=1))
    assert checks.only_allowed(LIFE, record).kept is kept


def test_an_answer_may_come_from_whoever_served_when_it_was_asked_for() -> None:
    """A request in flight while its revision is replaced is answered by that."""
    assert checks.only_allowed(LIFE, Record([Answer(29.99, 30.2, 200, "1")])).kept


def test_failures_count_from_the_first_answer_to_the_deletion() -> None:
    """404 before the route exists and after it went is no failure, anything else is."""
    before, during = answers(None, start=1.0, count=5, status=404), answers("1", start=2.0, count=5)
    after = answers(None, start=9.0, count=5, status=404)
    record = Record(before + during + after)
    assert checks.none_failed(checks.tally(record, deleted_at=8.0)).kept
    assert not checks.none_failed(checks.tally(record, deleted_at=10.0)).kept
    broken = Record([*during, Answer(9.0, 9.1, 503, None, "no healthy upstream")])
    assert not checks.none_failed(checks.tally(broken, deleted_at=8.0)).kept


def test_every_request_is_counted_once() -> None:
    """However their answers overtake each other."""
    overtaken = [Answer(2.1, 2.2, 200, "1"), Answer(2.0, 2.3, 200, "1"), Answer(1.9, 2.4, 404, None)]
    counted = checks.tally(Record([*overtaken, Answer(9.0, 9.1, 404, None), Answer(3.0, 3.1, 500, None, "x")]), 8.0)
    assert (counted.served, counted.early, counted.late, len(counted.failed)) == (2, 1, 1, 1)
    assert str(counted).startswith("5 requests sent: 2 answered, 1 failed; before the first answer 1 and after")


def test_nothing_answered_is_no_success() -> None:
    """A demo whose requests never reached a model has shown nothing."""
    assert not checks.none_failed(checks.tally(Record(), deleted_at=1.0)).kept
    assert not checks.only_allowed([], Record()).kept


@pytest.mark.parametrize(
    ("no_route_at", "unloaded", "kept"),
    [
        (5.0, {"a": 5.5, "b": 5.2}, True),
        (5.3, {"a": 5.5, "b": 5.2}, False),  # one replica lost the model while requests still came
        (5.0, {"a": 5.5}, False),  # one replica was never seen without it
        (None, {"a": 5.5, "b": 5.2}, False),
    ],
)
def test_the_route_goes_before_the_model(no_route_at: float | None, unloaded: dict[str, float], kept: bool) -> None:
    """On every replica."""
    assert checks.route_first(no_route_at=no_route_at, unloaded=unloaded, pods=2).kept is kept
