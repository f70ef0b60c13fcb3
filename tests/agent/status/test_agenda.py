"""What is looked at, and when."""

from agent.status.agenda import Agenda


def test_it_begins_empty() -> None:
    agenda = Agenda()
    assert not agenda
    assert agenda.servers == frozenset()
    assert agenda.wake_at is None


def test_what_was_looked_at_is_off_the_agenda_and_the_rest_is_not() -> None:
    agenda = Agenda()
    agenda.add({"a", "b"})
    agenda.looked({"a"}, wake_at=None, busy=())
    assert agenda.servers == frozenset({"b"})


def test_a_look_at_everything_is_one_at_each() -> None:
    agenda = Agenda()
    agenda.add({"a"})
    agenda.add_everything()
    assert agenda.servers is None
    agenda.looked(None, wake_at=None, busy=())
    assert not agenda


def test_time_brings_back_what_asked_for_it() -> None:
    agenda = Agenda()
    agenda.looked({"a", "b"}, wake_at=10.0, busy=())
    agenda.looked({"b"}, wake_at=5.0, busy=())
    assert agenda.wake_at == 5.0
    agenda.expire(5.0)
    assert agenda.servers == frozenset({"b"})
    assert agenda.wake_at == 10.0


def test_a_later_look_replaces_the_earlier_time() -> None:
    agenda = Agenda()
    agenda.looked({"a"}, wake_at=10.0, busy=())
    agenda.looked({"a"}, wake_at=None, busy=())
    assert agenda.wake_at is None


def test_after_a_look_at_everything_only_the_busy_are_looked_at_again() -> None:
    agenda = Agenda()
    agenda.looked(None, wake_at=10.0, busy={"a"})
    agenda.expire(10.0)
    assert agenda.servers == frozenset({"a"})


def test_without_anything_busy_everything_is_looked_at_again() -> None:
    agenda = Agenda()
    agenda.looked(None, wake_at=10.0, busy=())
    agenda.expire(10.0)
    assert agenda.servers is None
