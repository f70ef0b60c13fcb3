"""Gaps in observation."""

from agent.status.attendance import GAP, Attendance, Gap


def test_a_quick_restart_is_no_gap() -> None:
    attendance = Attendance(100.0)
    attendance.begin(100.0 - GAP, 100.0)
    assert attendance.gap is None


def test_a_gap_runs_from_the_last_sign_of_life_until_all_is_seen_again() -> None:
    attendance = Attendance(100.0)
    attendance.begin(40.0, 100.0)
    assert attendance.gap == Gap(start=40.0)
    attendance.seen_again(103.0)
    attendance.seen_again(104.0)
    assert attendance.gap == Gap(start=40.0, end=103.0)
    attendance.recorded()
    assert attendance.gap is None


def test_a_process_that_sleeps_notices_it_once() -> None:
    attendance = Attendance(100.0)
    assert not attendance.tick(101.0)
    assert attendance.tick(160.0)
    assert not attendance.tick(161.0)
    assert attendance.gap == Gap(start=101.0)


def test_sleeping_again_before_the_record_makes_one_gap() -> None:
    attendance = Attendance(100.0)
    attendance.begin(40.0, 100.0)
    attendance.seen_again(101.0)
    assert attendance.tick(200.0)
    assert attendance.gap == Gap(start=40.0)


def test_an_unknown_past_is_no_gap() -> None:
    attendance = Attendance(100.0)
    attendance.begin(None, 100.0)
    assert attendance.gap is None
