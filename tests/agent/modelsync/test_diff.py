"""The comparison of wanted and had, by table: every row is one name's situation and the one thing to do about it."""

import pytest

from agent.modelsync.diff import Action, Fetch, Have, Judgement, Load, Remove, Unload, Want, compare
from agent.modelsync.identity import Target, target
from schemas.model_config import ConfigRevision


def _revision(letter: str, **options: str) -> ConfigRevision:
    return ConfigRevision(
        deployment="scorer",
        type="repository",
        revision=letter,
        uri=f"file:///models/{letter}",
        digest="sha256:" + letter * 64,
        options=options,
    )


A, B = _revision("a"), _revision("b")
A_DEEP = _revision("a", depth="2")
TA, TB = target(A), target(B)
FREE = Judgement(
    may_load=lambda name, identity, attempt: True,
    condemned=lambda name, identity, attempt: False,
    may_fetch=lambda revision, attempt: True,
)


def _against(*bad: Target) -> Judgement:
    """Condemns the targets in `bad`."""
    identities = {item.identity for item in bad}
    return Judgement(
        may_load=lambda name, identity, attempt: identity not in identities,
        condemned=lambda name, identity, attempt: identity in identities,
        may_fetch=lambda revision, attempt: True,
    )


def _resting(*waiting: Target) -> Judgement:
    """Lets the targets in `waiting` wait for their next try."""
    identities = {item.identity for item in waiting}
    return Judgement(
        may_load=lambda name, identity, attempt: identity not in identities,
        condemned=lambda name, identity, attempt: False,
        may_fetch=lambda revision, attempt: False,
    )


def _actions(
    serve: ConfigRevision | None,
    have: Have,
    *,
    staged: str = "ab",
    judgement: Judgement = FREE,
    needs: tuple[ConfigRevision, ...] | None = None,
) -> list[Action]:
    wants = {"m": Want(serve=serve, needs=needs if needs is not None else ((serve,) if serve else ()), attempt=3)}
    digests = frozenset("sha256:" + letter * 64 for letter in staged)
    return list(compare(wants, {"m": have}, staged=digests, judgement=judgement))


PROVEN_A = Have(loaded=True, proven=TA.identity, linked=TA)
PROVEN_B = Have(loaded=True, proven=TB.identity, linked=TB)


@pytest.mark.parametrize(
    ("serve", "have", "expected"),
    [
        (A, PROVEN_A, []),
        (A, Have(), [Load("m", TA, wanted=True)]),
        (B, PROVEN_A, [Load("m", TB, wanted=True)]),
        (A_DEEP, PROVEN_A, [Load("m", target(A_DEEP), wanted=True)]),
        (A, Have(linked=TA), [Load("m", TA, wanted=True)]),
        (A, Have(loaded=True, linked=TA), [Load("m", TA, wanted=True)]),
        (A, Have(busy=True), []),
        (None, PROVEN_A, [Unload("m")]),
        (None, Have(linked=TA), [Remove("m")]),
        (None, Have(), []),
        (None, Have(loaded=True, busy=True), []),
    ],
    ids=[
        "served",
        "new",
        "changed",
        "other-options",
        "server-lost-it",
        "unproven",
        "under-way",
        "unwanted",
        "unwanted-and-not-loaded",
        "unwanted-and-gone",
        "unwanted-and-under-way",
    ],
)
def test_what_can_be_done(serve: ConfigRevision | None, have: Have, expected: list[Action]) -> None:
    assert _actions(serve, have) == expected


@pytest.mark.parametrize(
    ("have", "judgement", "expected"),
    [
        (PROVEN_A, _against(TB), []),
        (Have(linked=TA), _against(TB), [Load("m", TA, wanted=False)]),
        (Have(linked=TA), _resting(TB), [Load("m", TA, wanted=False)]),
        (Have(linked=TB), _against(TB), []),
        (Have(linked=TA), _against(TA, TB), []),
        (Have(loaded=True, proven=TB.identity, linked=TA), _against(TB), [Load("m", TA, wanted=False)]),
        (PROVEN_B, _against(TB), [Unload("m")]),
        (Have(loaded=True, proven=TB.identity, linked=TA), _against(TA, TB), []),
    ],
    ids=[
        "previous-serves",
        "previous-comes-back",
        "previous-serves-meanwhile",
        "no-previous",
        "previous-is-bad-too",
        "bad-one-is-replaced",
        "bad-one-without-previous",
        "bad-one-with-a-bad-previous",
    ],
)
def test_when_b_is_wanted_and_cannot_be(have: Have, judgement: Judgement, expected: list[Action]) -> None:
    assert _actions(B, have, judgement=judgement) == expected


def test_what_is_not_on_disk_is_fetched_and_the_previous_one_serves_meanwhile() -> None:
    assert _actions(B, Have(linked=TA), staged="a") == [Fetch(B, 3), Load("m", TA, wanted=False)]
    assert _actions(B, PROVEN_A, staged="a") == [Fetch(B, 3)]


def test_each_digest_is_fetched_once_and_what_is_to_be_served_comes_first() -> None:
    wants = {
        "x": Want(serve=A, needs=(A, B), attempt=0),
        "y": Want(serve=B, needs=(B,), attempt=1),
    }
    actions = list(compare(wants, {}, staged=frozenset(), judgement=FREE))
    assert actions == [Fetch(A, 0), Fetch(B, 1)]


def test_a_download_that_has_to_wait_is_not_begun() -> None:
    assert _actions(B, PROVEN_A, staged="a", judgement=_resting()) == []


def test_names_that_no_entry_has_go() -> None:
    haves = {"old": PROVEN_A, "link": Have(linked=TB)}
    assert list(compare({}, haves, staged=frozenset(), judgement=FREE)) == [Remove("link"), Unload("old")]
