"""Every form of the output: what it is for one bad repository, and that its readers can read it."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import junitparser
import pytest
from jsonschema import Draft4Validator, Draft202012Validator

from render.cli import main
from render.forms import FORMS
from render.forms.report import Report, fingerprints
from render.rules import RULES
from schemas.status import Finding, OtherPlace
from tests.support import contracts
from tests.support.golden import Golden

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
REPOSITORY = TESTS / "cases" / "bad" / "every-form" / "repo"
SARIF = TESTS / "support" / "sarif" / "sarif-2.1.0-rtm.5.json"
ENDINGS = {"text": "txt", "terminal": "txt", "colours": "txt", "github": "txt", "junit": "xml"}
SEVERITIES = ("info", "minor", "major", "critical", "blocker")
CODE_QUALITY = {  # what GitLab's documentation asks of a report
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": list(SEVERITIES)},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./|/)"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}
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


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_nothing_can_be_read(form: str) -> None:
    told = FORMS[form].write(report())
    expected = {"text": "", "github": "", "gitlab": "[]\n"}
    assert told == expected.get(form, told)
    if form == "json":
        contracts.check("findings", json.loads(told))
    if form == "sarif":
        assert sarif_of(told)["results"] == []
    if form == "junit":
        assert [(case.classname, case.is_passed) for case in cases(told)] == [("fresco validate", True)]


# ---- each by its own schema or reader


def test_json_keeps_its_contract() -> None:
    told = json.loads(FORMS["json"].write(report(ODD, WARNING)))
    contracts.check("findings", told)
    assert [one["message"] for one in told["findings"]] == [ODD.message, "so"]


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


def test_gitlab_gets_what_its_documentation_asks_for() -> None:
    told = json.loads(FORMS["gitlab"].write(report(ODD, WARNING)))
    assert [error.message for error in Draft202012Validator(CODE_QUALITY).iter_errors(told)] == []
    assert [one["severity"] for one in told] == ["major", "minor"]


def test_github_undoes_the_escapes() -> None:
    first, second = FORMS["github"].write(report(ODD, WARNING)).splitlines()
    assert second == "::warning file=c.yaml,line=1,col=2,title=FR043::so"
    command = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", first)
    assert command is not None
    properties = dict(one.split("=") for one in command[2].split(","))
    assert {name: unescaped(value) for name, value in properties.items()} == {
        "file": "a, 50%: b�/日本.yaml",
        "line": "3",
        "col": "7",
        "title": "FR013",
    }
    message = ODD.message.replace("\x1b", "�")
    assert (command[1], unescaped(command[3])) == ("error", f"{message} (a: b, c)\nthe other place: c.yaml:1:2")


def unescaped(text: str) -> str:
    """As the runner of GitHub Actions reads a value."""
    for code, one in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, one)
    return text


def cases(told: str) -> list[junitparser.TestCase]:
    (suite,) = junitparser.JUnitXml.fromstring(told.encode())
    return list(suite)


def test_junit_is_read_by_a_parser() -> None:
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
