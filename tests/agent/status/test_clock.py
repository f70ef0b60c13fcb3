"""The agent's time over a wall clock that somebody sets."""

from agent.status.clock import Clock


def test_it_follows_the_wall_clock_and_a_step_forward() -> None:
    wall = iter([100.0, 101.0, 5000.0])
    clock = Clock(lambda: next(wall))
    assert [clock(), clock()] == [101.0, 5000.0]


def test_set_back_it_goes_on_from_where_it_was() -> None:
    wall = iter([5000.0, 5001.0, 100.0, 103.0, 50.0, 51.0])
    clock = Clock(lambda: next(wall))
    assert [clock() for _ in range(5)] == [5001.0, 5001.0, 5004.0, 5004.0, 5005.0]


def test_a_time_that_was_is_not_gone_below() -> None:
    clock = Clock(lambda: 100.0)
    clock.at_least(90.0)
    assert clock() == 100.0
    clock.at_least(150.0)
    assert clock() == 150.0
