"""What is looked at, and when."""

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as some

from agent.status.agenda import Agenda, concerned
from render.errors import InvalidRepository
from render.normal import Wanted, accept
from render.rollout import advance, has_more_room
from render.rollout.observation import Observation
from schemas.status import Tree
from tests.support.histories import Source, Texts, histories, progress

NOTHING_SEEN = Observation(now=10.0)


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


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(commits=histories(), data=some.data())
def test_after_a_commit_a_look_at_what_it_concerns_is_one_at_everything(
    commits: list[Texts], data: some.DataObject
) -> None:
    tree: Tree | None = None
    before: Wanted | None = None
    for texts in commits:
        wanted = _accepted(texts, tree)
        if wanted is None:
            continue
        if before is not None and tree is not None:
            servers = concerned(before, wanted, tree)
            event(f"{len(servers)} servers" if servers is not None else "everything")
            those, all_ = (advance(tree, wanted, NOTHING_SEEN, one).tree for one in (servers, None))
            assert those == all_ or has_more_room(tree, those)
        tree, before = _at_rest(texts, progress(data, tree, wanted))


def _accepted(texts: Texts, tree: Tree | None) -> Wanted | None:
    try:
        return accept(Source().read(texts), "prod", tree)
    except InvalidRepository:
        return None


def _at_rest(texts: Texts, tree: Tree | None) -> tuple[Tree, Wanted]:
    """What looks at everything come to while nothing is seen, with what is accepted then."""
    for _ in range(9):
        wanted = accept(Source().read(texts), "prod", tree)
        before, tree = tree, advance(tree or Tree(repository=wanted.repository), wanted, NOTHING_SEEN).tree
        if tree == before:
            return tree, wanted
    raise AssertionError("it comes to no rest")
