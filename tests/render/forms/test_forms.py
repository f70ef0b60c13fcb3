"""Every form of the output: what it is for one bad repository, and that its readers can read it."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import junitparser
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from jsonschema import Draft4Validator, Draft202012Validator

from render.characters import printable
from render.cli import main
from render.forms import FORMS
from render.forms.report import Report, fingerprints
from render.rules.table import RULES
from schemas.status import Finding, OtherPlace
from tests.support import contracts
from tests.support.golden import Golden

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
REPOSITORY = TESTS / "cases" / "bad" / "every-form" / "repo"
SARIF = TESTS / "support" / "sarif" / "sarif-2.1.0-rtm.5.json"
ENDINGS = {"text": "txt", "terminal": "txt", "colours": "txt", "github": "txt", "junit": "xml"}
JUNIT = TESTS / "support" / "junit" / "junit-10.xsd"
XSD = "{http://www.w3.org/2001/XMLSchema}"
LINE = {"type": "integer", "minimum": 1}
CODE_QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path"],
                "properties": {
                    "path": {"type": "string", "pattern": r"^(?!/|\.\.?/)."},
                    "lines": {"type": "object", "required": ["begin"], "properties": {"begin": LINE}},
                    "positions": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "object", "required": ["line"], "properties": {"line": LINE}}},
                    },
                },
                "anyOf": [{"required": ["lines"]}, {"required": ["positions"]}],
            },
        },
    },
}
"""What GitLab asks of a report. Its parser holds each violation to `codeclimate.json`, of its own JSON schemas, and
leaves out one that fails, with all that follow: description, fingerprint, severity and location have to be there, and
are of these types. Its documentation ("Code Quality report format") asks for more: one array, the name of the check,
one of five severities, a path inside the repository, and a line in one of two places."""
ODD = Finding(
    file="a, 50%: b\x07/日本.yaml",
    line=3,
    column=7,
    rule="FR013",
    message='100 % <of> "it" & more\r\n::set-output::\x1b[31m]]>',
    hint="a: b, c",
    other=OtherPlace(file="c.yaml", line=1, column=2),
)
WARNING = Finding(file="c.yaml", line=1, column=2, rule="FR043", message="so", severity="warning")


def report(*findings: Finding, **lines: str) -> Report:
    """A report on `findings`; `lines`: the text of line 1 by the name of a `.yaml` file."""
    return Report(findings, {(f"{name}.yaml", 1): text for name, text in lines.items()}, count=2)


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["validate", *arguments]) == 1
    return capsys.readouterr().out


# ---- the whole of it


@pytest.mark.parametrize("form", [*FORMS, "terminal", "colours"])
def test_a_bad_repository_is_told_as_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], golden: Golden, form: str
) -> None:
    shutil.copytree(REPOSITORY, tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1" if form == "terminal" else "")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: form in ("terminal", "colours"))
    told = output(capsys, "--format", form if form in FORMS else "text")
    golden.check(HERE / "expected" / f"{form}.{ENDINGS.get(form, 'json')}", told)
    if form in READERS:
        assert len(READERS[form](told)) == len((HERE / "expected" / "text.txt").read_text().splitlines())


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_nothing_can_be_read(form: str) -> None:
    told = FORMS[form].write(report())
    expected = {"text": "", "github": "", "gitlab": "[]\n"}
    assert told == expected.get(form, told)
    if form == "junit":
        assert [(case.classname, case.is_passed) for case in cases(told)] == [("fresco validate", True)]
    elif form in READERS:
        assert READERS[form](told) == []


# ---- each by its own schema or reader


def findings(told: str) -> list[dict[str, Any]]:
    """Those of an output that keeps the contract."""
    value = json.loads(told)
    contracts.check("findings", value)
    return list(value["findings"])


def test_json_keeps_its_contract() -> None:
    found = findings(FORMS["json"].write(report(ODD, WARNING)))
    assert [one["message"] for one in found] == [ODD.message, "so"]


def sarif_of(told: str) -> dict[str, Any]:
    """The only run of a log that the published schema accepts."""
    value = json.loads(told)
    schema = json.loads(SARIF.read_text("utf-8"))
    assert [error.message for error in Draft4Validator(schema).iter_errors(value)] == []
    (run,) = value["runs"]
    return dict(run)


def test_sarif_keeps_the_published_schema() -> None:
    run = sarif_of(FORMS["sarif"].write(report(ODD, WARNING)))
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(RULES)
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)
    assert [rules[one["ruleIndex"]]["id"] for one in run["results"]] == ["FR013", "FR043"]
    assert [one["level"] for one in run["results"]] == ["error", "warning"]
    (related,) = run["results"][0]["relatedLocations"]
    assert related["physicalLocation"]["region"] == {"startLine": 1, "startColumn": 2}
    assert "relatedLocations" not in run["results"][1]


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("a/b.yaml", "a/b.yaml"),
        ("a b, 50%.yaml", "a%20b%2C%2050%25.yaml"),
        ("a:b#c?.yaml", "a%3Ab%23c%3F.yaml"),
        ("日.yaml", "%E6%97%A5.yaml"),
        ("\udcff.yaml", "%FF.yaml"),
        ("/a b.yaml", "file:///a%20b.yaml"),
    ],
)
def test_sarif_has_uris(file: str, uri: str) -> None:
    finding = Finding(file=file, line=1, column=1, rule="FR001", message="so")
    (result,) = sarif_of(FORMS["sarif"].write(report(finding)))["results"]
    found = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert found == uri
    assert unquote(urlsplit(found).path, errors="surrogateescape") == file


def violations(told: str) -> list[dict[str, Any]]:
    """Those of a report, as GitLab takes it: it wants no byte order mark, and shows what has one fingerprint once."""
    assert told.startswith("[")
    found: list[dict[str, Any]] = json.loads(told)
    assert [error.message for error in Draft202012Validator(CODE_QUALITY).iter_errors(found)] == []
    assert len({one["fingerprint"] for one in found}) == len(found)
    return found


def test_gitlab_gets_what_its_parser_and_its_documentation_ask_for() -> None:
    found = violations(FORMS["gitlab"].write(report(ODD, WARNING)))
    assert [one["severity"] for one in found] == ["major", "minor"]
    assert found[1] == {
        "description": "FR043 so",
        "check_name": "FR043",
        "fingerprint": found[1]["fingerprint"],
        "severity": "minor",
        "location": {"path": "c.yaml", "lines": {"begin": 1}},
    }


Command = tuple[str, dict[str, str], str]


def commands(told: str) -> list[Command]:
    """The workflow commands of an output, by name, properties and message, as the runner of GitHub Actions reads them.

    A line is one if it begins with `::`. Up to the next `::` it has the command's name and, after a blank, properties,
    which commas part and whose names end at the first `=`; then comes the message. `%0D` and `%0A` are undone in both,
    `%3A` and `%2C` in properties, and `%25` in both, at the end. So the runner does it (`ActionCommand.cs`), and so the
    toolkit writes it (`command.ts`).
    """
    found = []
    for line in told.removesuffix("\n").split("\n") if told else []:
        assert line.startswith("::"), line
        head, mark, message = line.removeprefix("::").partition("::")
        assert mark, line
        name, _, properties = head.partition(" ")
        pairs = [one.partition("=") for one in properties.split(",")]
        values = {key: undone(value, "%0D", "%0A", "%3A", "%2C", "%25") for key, _, value in pairs}
        assert name in ("error", "warning")
        assert values.keys() <= {"title", "file", "line", "endLine", "col", "endColumn"}
        found.append((name, values, undone(message, "%0D", "%0A", "%25")))
    return found


def undone(text: str, *codes: str) -> str:
    for code in codes:
        text = text.replace(code, unquote(code))
    return text


def test_github_undoes_the_escapes() -> None:
    told = FORMS["github"].write(report(ODD, WARNING))
    assert told.splitlines()[1] == "::warning file=c.yaml,line=1,col=2,title=FR043::so"
    properties = {"file": "a, 50%: b�/日本.yaml", "line": "3", "col": "7", "title": "FR013"}
    message = ODD.message.replace("\x1b", "�")
    assert commands(told)[0] == ("error", properties, f"{message} (a: b, c)\nthe other place: c.yaml:1:2")


TEXTS = some.text(some.characters() | some.sampled_from("%:,=;\r\n0123456789ABCD \x1b\u2028"), min_size=1)


@settings(deadline=None)
@example([("a::b,c=d%3A", "%0A::error::", "%25")])
@given(some.lists(some.tuples(TEXTS, TEXTS, some.none() | TEXTS), max_size=3))
def test_github_reads_back_whatever_is_written(texts: list[tuple[str, str, str | None]]) -> None:
    those = [
        Finding(file=file, line=1, column=2, rule="FR001", message=message, hint=hint) for file, message, hint in texts
    ]
    found = commands(FORMS["github"].write(report(*those)))
    assert [(properties["file"], message) for _, properties, message in found] == [
        (harmless(one.file), harmless(f"{one.message} ({one.hint})" if one.hint else one.message)) for one in those
    ]


def harmless(text: str) -> str:
    """With what steers a terminal replaced, but for line ends, which GitHub shows as such."""
    return "".join(one if one in "\r\n" else printable(one) for one in text)


def cases(told: str) -> list[junitparser.TestCase]:
    """The cases of the only suite, as a parser reads them; all that is there, the published schema allows."""
    kinds = {one.get("name"): one for one in ElementTree.parse(JUNIT).getroot()}
    for element in ElementTree.fromstring(told.encode()).iter():
        kind = kinds[element.tag]
        uses = {one.get("name"): one.get("use") for one in kind.iter(f"{XSD}attribute")}
        assert element.attrib.keys() <= uses.keys(), element.tag
        assert {name for name, use in uses.items() if use == "required"} <= element.attrib.keys(), element.tag
        assert {child.tag for child in element} <= {one.get("ref") for one in kind.iter(f"{XSD}element")}, element.tag
    (suite,) = junitparser.JUnitXml.fromstring(told.encode())
    return list(suite)


def test_junit_keeps_the_published_schema_and_is_read_by_a_parser() -> None:
    told = FORMS["junit"].write(report(ODD, WARNING))
    top = junitparser.JUnitXml.fromstring(told.encode())
    assert (top.tests, top.failures, top.errors) == (2, 1, 0)
    failed, passed = cases(told)
    assert (failed.classname, failed.name) == ("a, 50%: b�/日本.yaml", "FR013 3:7")
    assert [(one.type, one.message) for one in failed.result] == [
        ("FR013", '100 % <of> "it" & more��::set-output::�[31m]]> (a: b, c)')
    ]
    assert passed.is_passed
    assert passed.system_out == "c.yaml:1:2: FR043 warning: so"


READERS: Final[Mapping[str, Callable[[str], Sequence[Any]]]] = {
    "json": findings,
    "sarif": lambda told: sarif_of(told)["results"],
    "github": commands,
    "gitlab": violations,
    "junit": cases,
}
"""By form, the findings as whoever reads that form has them. Each fails for what its reader would refuse."""


# ---- what tells one finding from another


def test_fingerprints_stay_when_lines_above_come_and_go() -> None:
    moved = Finding(file="c.yaml", line=9, column=4, rule="FR043", message="so", severity="warning")
    before = fingerprints(report(WARNING, c="  a: b"))
    after = fingerprints(Report((moved,), {("c.yaml", 9): "    a: b"}, count=1))
    assert list(before) == list(after)


def test_fingerprints_tell_apart_what_is_alike() -> None:
    others = [
        WARNING,
        Finding(file="d.yaml", line=1, column=2, rule="FR043", message="so"),
        Finding(file="c.yaml", line=1, column=2, rule="FR044", message="so"),
        Finding(file="c.yaml", line=2, column=2, rule="FR043", message="so"),
    ]
    assert len(set(fingerprints(report(WARNING, *others, c="a: b", d="a: b")))) == 5
