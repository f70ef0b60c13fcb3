"""Comments that silence a warning: where they are found in a file, and what they do."""

from pathlib import Path

import pytest

from render import report
from render.check import check
from render.document import Position
from render.files import Replaced
from render.load import comments
from render.repository import WorkingTree
from render.silence import silenced
from schemas.status import Finding

GOOD = Path(__file__).parents[1] / "cases" / "good" / "warnings" / "repo"


def found(text: str) -> list[tuple[str, Position, int]]:
    return [(one.text, one.at, one.target) for one in comments(text.encode())]


@pytest.mark.parametrize(
    "text",
    [
        "a: b#c\n",
        "a: 'b # c'\n",
        'a: "b # c"\n',
        'a: "b\n  # c"\n',
        "a: |\n  b\n  # c\n\n  # d\n",
        "a: >-\n  # c\n",
        "'# a': b\n",
        "[a#b, 'c #d']\n",
        "",
    ],
)
def test_a_hash_in_a_scalar_begins_no_comment(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("a: b # c\n", ("# c", (1, 6), 1)),
        ("a: b\t# c", ("# c", (1, 6), 1)),
        ("a: 'it''s # no' # c # d\n", ("# c # d", (1, 17), 1)),
        ("# c\na: b\n", ("# c", (1, 1), 2)),
        ("a:\n  # c\n  b: 1\n", ("# c", (2, 3), 3)),
        ("a: 日本 # 語\n", ("# 語", (1, 7), 1)),
        ("\ufeffa: b # c\n", ("# c", (1, 6), 1)),
        ("a: b # c\r\nd: e\r\n", ("# c", (1, 6), 1)),
        ("a: b\r# c\rd: e\r", ("# c", (2, 1), 3)),
        ("a: {b: 'x', # c\n  d: 1}\n", ("# c", (1, 13), 1)),
        ("a: |\n  text\n# c\nb: 1\n", ("# c", (3, 1), 4)),
        ("a: # c\n  b: '# d'\n", ("# c", (1, 4), 1)),
        ("--- # c\na: b\n", ("# c", (1, 5), 1)),
        ("a: b\n# c", ("# c", (2, 1), 2)),
    ],
)
def test_a_comment_is_found_where_it_stands(text: str, comment: tuple[str, tuple[int, int], int]) -> None:
    assert found(text) == [comment]


def test_comments_alone_in_their_lines_are_about_the_same_line() -> None:
    assert [target for _, _, target in found("a:\n  # c\n  # d\n  b: 1  # e\n")] == [4, 4, 4]


# ---- what they do


def warning(line: int, rule: str = "FR043", severity: str = "warning") -> Finding:
    return Finding(
        file="a.yaml",
        line=line,
        column=3,
        rule=rule,
        message="so",
        severity="error" if severity == "error" else "warning",
    )


def left(text: str, *findings: Finding) -> list[str]:
    """What is left of the findings, and what is said of the comments of `text`: rules and places."""
    some = silenced(findings, {"a.yaml": comments(text.encode())})
    return [f"{one.rule}:{one.line}:{one.column}" for one in report.in_order(some)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2  # fresco: ignore FR043 because it is so\n", []),
        ("a: 1\n#fresco: ignore FR043   because so\nb: 2\n", ["FR072:2:1", "FR043:2:3"]),
        ("# fresco: ignore FR043 because it is so\nb: 2\n", []),
        ("# fresco: ignore FR043 because it is so\n# and so on\nb: 2\n", ["FR072:1:1", "FR043:2:3"]),
        ("a: 1\nb: 2  # fresco: ignore FR043\n", ["FR043:2:3", "FR070:2:7"]),
        ("a: 1\nb: 2  # fresco: ignore FR043 because\n", ["FR043:2:3", "FR070:2:7"]),
        ("a: 1\nb: 2  # fresco: ignore FR043 so it is\n", ["FR043:2:3", "FR070:2:7"]),
        ("a: 1\nb: 2  # fresco: ignore FR430 because it is so\n", ["FR043:2:3", "FR071:2:7"]),
        ("a: 1\nb: 2  # fresco: ignore\n", ["FR043:2:3", "FR071:2:7"]),
        ("a: 1\nb: 2  # fresco: ignore because it is so\n", ["FR043:2:3", "FR071:2:7"]),
        ("a: 1\nb: 2  # fresco: ignore FR044 because it is so\n", ["FR043:2:3", "FR072:2:7"]),
        ("a: 1  # fresco: ignore FR043 because it is so\nb: 2\n", ["FR072:1:7", "FR043:2:3"]),
        ("a: 1\nb: 2  # fresco: ignored FR043 because it is so\n", ["FR043:2:3"]),
        ("a: 1\nb: '  # fresco: ignore FR043 because it is so'\n", ["FR043:2:3"]),
    ],
)
def test_a_comment_silences_one_rule_on_one_line(text: str, expected: list[str]) -> None:
    assert left(text, warning(2)) == expected


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        ("FR43", "did you mean FR043?"),
        ("FR430", "write `# fresco: ignore FRnnn because …`; `fresco explain` lists them"),
    ],
)
def test_an_unknown_rule_comes_with_a_hint(rule: str, hint: str) -> None:
    told = comments(f"b: 2  # fresco: ignore {rule} because it is so\n".encode())
    assert [one.hint for one in silenced([], {"a.yaml": told})] == [hint]


def test_an_error_is_not_silenced() -> None:
    text = "a: 1\nb: 2  # fresco: ignore FR021 because it is so\n"
    assert left(text, warning(2, "FR021", "error")) == ["FR021:2:3", "FR073:2:7"]


def test_two_rules_are_silenced_on_one_line() -> None:
    text = "# fresco: ignore FR043 because a\n# fresco: ignore FR044 because b\nb: 2\n"
    assert left(text, warning(3), warning(3, "FR044"), warning(3)) == []


def test_beside_errors_a_comment_need_not_silence_anything() -> None:
    text = "a: 1\nb: 2  # fresco: ignore FR043 because it is so\n"
    assert left(text, warning(1, "FR010", "error")) == ["FR010:1:3"]


def test_what_is_said_of_comments_is_a_warning() -> None:
    text = "# fresco: ignore FR1 because a\nb: 2  # fresco: ignore FR043 because it is so\n"
    some = silenced([], {"a.yaml": comments(text.encode())})
    assert [(one.rule, one.severity) for one in some] == [("FR071", "warning"), ("FR072", "warning")]


def test_a_repository_is_silenced_as_a_whole() -> None:
    text = (GOOD / "other.yaml").read_text()
    lines = text.splitlines()
    lines[10] += "  # fresco: ignore FR043 because there is one GPU alone"
    silent = check(Replaced(WorkingTree(GOOD), "other.yaml", "\n".join(lines).encode()))
    assert [one.rule for one in check(WorkingTree(GOOD)).findings] == ["FR043", "FR044"]
    assert [one.rule for one in silent.findings] == ["FR044"]
