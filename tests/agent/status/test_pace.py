"""When the agent may write."""

from agent.status.pace import BURST, LONGEST, REFUSED, Pace


def test_a_few_writes_are_at_once_and_then_there_is_one_a_window() -> None:
    pace = Pace(window=0.2)
    for _ in range(BURST):
        assert pace.may_write(100.0)
        pace.wrote(100.0)
    assert not pace.may_write(100.1)
    assert pace.may_write(100.2)
    pace.wrote(100.2)
    assert not pace.may_write(100.3)


def test_a_pause_earns_the_burst_again() -> None:
    pace = Pace(window=0.2)
    for at in (100.0, 100.0, 100.0, 101.0, 101.0, 101.0):
        assert pace.may_write(at)
        pace.wrote(at)
    assert not pace.may_write(101.1)


def test_an_absent_repository_is_asked_ever_less_often() -> None:
    pace = Pace(window=0.2)
    pauses = []
    for _ in range(20):
        pace.away(100.0)
        pauses.append(pace.not_before - 100.0)
    assert pauses[:3] == [0.5, 1.0, 2.0]
    assert pauses[-1] == LONGEST
    pace.wrote(100.0)
    pace.away(100.0)
    assert pace.not_before == 100.5


def test_a_refusal_waits_for_a_person() -> None:
    pace = Pace(window=0.2)
    pace.refused(100.0)
    assert not pace.may_write(100.0 + REFUSED - 1)
    pace.moved()
    assert pace.may_write(100.0)


def test_a_deposed_leader_never_writes_again() -> None:
    pace = Pace(window=0.2)
    pace.deposed()
    pace.moved()
    assert not pace.may_write(1e12)
