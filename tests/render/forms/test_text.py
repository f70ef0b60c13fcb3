"""What a terminal shows of a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from render.characters import columns, printable
from render.forms.text import excerpt


@pytest.mark.parametrize(
    ("line", "column", "shown", "before"),
    [
        ("a: b", 4, "a: b", 3),
        ("", 1, "", 0),
        ("a: b", 9, "a: b", 4),
        ("日本: b", 5, "日本: b", 6),
        ("e\u0301: b", 5, "e\u0301: b", 3),
        ("\ta:\tb", 5, "    a:    b", 10),
        ("\x1b[31m: b", 8, "�[31m: b", 7),
        ("0123456789012345678901234", 1, "0123456789012345678…", 0),
        ("0123456789012345678901234", 25, "…6789012345678901234", 19),
        ("0123456789012345678901234567890", 15, "…567890123456789012…", 10),
        ("日本日本日本日本日本日本", 12, "…本日本日本日本日本", 17),
    ],
)
def test_the_place_is_seen(line: str, column: int, shown: str, before: int) -> None:
    assert excerpt(line, column, 20) == (shown, before)


@given(
    some.text(some.characters() | some.sampled_from("\t日\u0301\x1b\u202e "), max_size=80),
    some.integers(1, 80),
    some.integers(20, 60),
)
def test_whatever_the_line_it_fits_and_the_caret_is_under_its_place(line: str, column: int, room: int) -> None:
    shown, before = excerpt(line, column, room)
    assert shown == printable(shown)
    assert columns(shown) <= room
    assert 0 <= before <= room
    place = printable(line[column - 1 : column])[:1]
    if place and columns(place):
        starts = [columns(shown[:index]) for index, one in enumerate(shown) if one == place]
        assert before in starts
