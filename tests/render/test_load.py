"""YAML comes in as plain values with positions, or as a finding; never as a traceback."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from render import load
from render.document import Places, prefix
from render.load import is_yaml, load_file, plain

HEAD = "apiVersion: serving.fresco.dev/v1alpha1\n"


def value_of(text: str) -> Any:
    return load_file("a.yaml", (HEAD + text).encode()).documents[0].value


DISPUTED = [
    "no",
    "on",
    "yes",
    "off",
    "y",
    "1:30",
    "014",
    "0o14",
    "0x1F",
    "1_000",
    ".inf",
    "-.INF",
    ".nan",
    "2026-11-20",
    "2026-11-20T03:01:07Z",
    "1e999",
    "+",
    "-",
    ".",
    "1.2.3",
    "truE",
    "nULL",
    "=",
    "1e",
    "e1",
    "--1",
    "1.e+",
    "00",
    "999999999999999999999999999999",
]
AGREED = {
    "true": True,
    "False": False,
    "": None,
    "~": None,
    "NULL": None,
    "0": 0,
    "-12": -12,
    "+3": 3,
    "1.5": 1.5,
    ".5": 0.5,
    "2.": 2.0,
    "1e3": 1000.0,
    "-1.5E-3": -0.0015,
    "24.10": 24.1,
}


@pytest.mark.parametrize("text", DISPUTED)
def test_what_readers_disagree_on_stays_text(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(("text", "value"), AGREED.items())
def test_what_readers_agree_on_is_read(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


def test_quotes_and_blocks_are_text() -> None:
    assert value_of("a: \"1\"\nb: 'true'\nc: |\n  1\nd: !!str 2\n") == {
        **value_of(""),
        "a": "1",
        "b": "true",
        "c": "1\n",
        "d": "2",
    }


def test_aliases_within_the_bound_are_values() -> None:
    assert value_of("a: &x {b: [1, 2]}\nc: *x\n")["c"] == {"b": [1, 2]}


def test_places_are_those_of_keys_and_values() -> None:
    text = "# first\n---\na: b\n---\n\n" + HEAD + "spec:\n  model:\n  - é: [x, {b: c}]\n"
    document = load_file("a.yaml", text.encode()).documents[0]
    places = document.places()
    assert (document.line, document.index) == (6, 1)
    assert places.at(("spec", "model", 0, "é", 1, "b")) == (
        (9, 13),
        (9, 16),
        (text.index("c}"), text.index("c}") + 1),
        False,
    )
    assert places.at(("spec", "nothing", "below")).key == (7, 1)
    assert places.at(()).value == (6, 1)
    assert places.exactly(("spec", "nothing")) is None
    assert places.at(("spec", "model", 0, "é")).is_flow


def test_a_file_is_read_once_for_all_places_that_are_asked_of_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    every, read = load.every_places, []

    def counted(content: bytes) -> Iterator[Places]:
        read.append(content)
        return every(content)

    monkeypatch.setattr(load, "every_places", counted)
    parts, other = "---\n".join(f"{HEAD}a: {number}\n" for number in range(50)), f"{HEAD}b: 1\n"
    many, one = (load_file("a.yaml", text.encode()).documents for text in (parts, other))
    lines = [[document.places().at((key,)).key.line for document, key in ((part, "a"), (one[0], "b"))] for part in many]
    assert lines == [[3 * number + 2, 2] for number in range(50)]
    assert sorted(read) == sorted((parts.encode(), other.encode()))


def test_files_that_do_not_claim_the_group_are_left_alone() -> None:
    for text in ("{{ template }}", "a: [", "labels: {serving.fresco.dev/server: a}\n\t", "apiVersion: apps/v1\n"):
        assert load_file("a.yaml", text.encode()) == load_file("b.yaml", b"")


def test_the_lock_at_the_top_is_read_too() -> None:
    assert [name for name in ("a.yaml", "b.yml", "fresco.lock", "a/fresco.lock", "uv.lock") if is_yaml(name)] == [
        "a.yaml",
        "b.yml",
        "fresco.lock",
    ]


def test_documents_of_other_kinds_beside_ours_are_left_alone() -> None:
    found = load_file("a.yaml", f"apiVersion: v1\n---\n{HEAD}---\n- list\n---\ntext\n".encode())
    assert [document.index for document in found.documents] == [1]


def test_a_file_beyond_the_limit_is_a_finding() -> None:
    found = load_file("a.yaml", HEAD.encode() + b"#" * (5 << 20))
    assert found.findings[0].rule == "FR001"


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from("ab:-?#&*!|>'\"%@`{}[],\n \t\r\0\x07\u2028\ufeffé😀0.~<=")))
def test_any_text_is_read_or_is_a_finding(text: str) -> None:
    found = load_file("a.yaml", (HEAD + text).encode())
    assert bool(found.documents) != bool(found.findings) or not found.documents
    for finding in found.findings:
        assert finding.line >= 1
        assert "\n" not in finding.message


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_are_a_finding(content: bytes) -> None:
    for text in (HEAD.encode() + content, content + HEAD.encode()):
        load_file("a.yaml", text)


SCALARS = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(-(10**6), 10**6),
    st.sampled_from(["a", "no", "1:30", "a b", "é", "x: y", "#", "- ", ""]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_another_reader_of_yaml_1_2_agrees(value: object) -> None:
    text = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.dump({"apiVersion": "serving.fresco.dev/v1alpha1", "value": value}, text)
    expected = YAML(typ="safe", pure=True).load(text.getvalue())
    found = load_file("a.yaml", text.getvalue().encode())
    assert [document.value for document in found.documents] == [expected]


def test_a_cluster_reads_its_folder_alone() -> None:
    assert "a/b.yaml".startswith(prefix("."))
    assert "prod/a/b.yaml".startswith(prefix("./prod/"))
    assert not "production/a.yaml".startswith(prefix("prod"))
    assert not "a.yaml".startswith(prefix("prod"))
