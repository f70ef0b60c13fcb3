"""What is written is read back as it was, by readers of YAML 1.1, of YAML 1.2, and by our own."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from render.emit import emit
from render.load import load_file

SUSPICIOUS = [
    *[
        "1e3",
        "0o14",
        "on",
        "off",
        "yes",
        "no",
        "y",
        "N",
        "True",
        "null",
        "~",
        "12_000",
        "1:30",
        "190:20:30",
        "0x1f",
        "0b1",
        "014",
        ".inf",
        "-.INF",
        ".nan",
        "+1",
        "1.",
        "._",
        "=",
        "<<",
        "e1",
    ],
    *[
        "2020-01-01",
        "2020-01-01T00:00:00Z",
        "-",
        "--",
        "---",
        "...",
        "?",
        ":",
        "|",
        ">",
        "!",
        "&",
        "*",
        "%",
        "@",
        "`",
        "{",
        "[",
        "}",
        "]",
        ",",
        "'",
        '"',
        "#",
    ],
    *(
        [
            "a: b",
            "a #b",
            "- a",
            "!a",
            "&a",
            "*a",
            "%a",
            "a:",
            ":a",
            "? a",
            " a",
            "a ",
            "a,b",
            "a\tb",
            "/a b",
            "--- a",
            "...a",
        ]
    ),
    *("", " ", "\t", "\n", "a\n", "\na", "a\n\nb\n", " a\nb", "a\n b", "a \nb", "a\r\nb", "\x00", "\x1b", "\x85"),
    *("\u2028", "\ufeff", "é", "😀", "x" * 200 + " " + "y" * 200, "a\n---\nb", "\ud7ff", "\x7f"),
]
TEXT = st.one_of(
    st.sampled_from(SUSPICIOUS), st.text(max_size=12), st.from_regex(r"[-+0-9._eExob:naif]{1,8}", fullmatch=True)
)
NUMBERS = st.one_of(st.integers(-(10**15), 10**15), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.recursive(
    st.one_of(TEXT, NUMBERS, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=10,
)


def readers(text: bytes) -> list[Any]:
    found = [yaml.load(text, Loader=yaml.CSafeLoader)]
    for version in ((1, 1), (1, 2)):
        reader = YAML(typ="safe", pure=True)
        reader.version = version
        found.append(reader.load(text.decode()))
    return found


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=3))
def test_every_reader_reads_what_was_written(value: dict[str, Any]) -> None:
    assert readers(emit(value)) == [value] * 3


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_our_own_reader_reads_what_was_written(value: object) -> None:
    whole = {"apiVersion": "serving.fresco.dev/v1alpha1", "value": value}
    assert [document.value for document in load_file("a.yaml", emit(whole)).documents] == [whole]


@pytest.mark.parametrize("text", SUSPICIOUS)
def test_a_suspicious_word_is_text_to_every_reader(text: str) -> None:
    assert readers(emit({"a": text})) == [{"a": text}] * 3


def test_it_looks_as_people_write_it() -> None:
    value = {"a": {"b": [{"c": 1, "d": []}, {"e": {}}], "f": "x\ny\n", "g": "1e3"}, "h": 1.0, "k": "on", "l": "a b"}
    assert emit(value).decode() == (
        'a:\n  b:\n  - c: 1\n    d: []\n  - e: {}\n  f: |\n    x\n    y\n  g: "1e3"\nh: 1.0\nk: "on"\nl: a b\n'
    )
    shared = ["x"]
    assert emit({"a": shared, "b": shared}) == b"a:\n- x\nb:\n- x\n"
