"""`fresco schema` gives editors what they need: the schemas, and the line that leads to one."""

import argparse
import json
import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import schemas
from render.cli import COMMANDS, main, parser
from render.load import load_file

EXAMPLE = Path(__file__).parents[2] / "examples" / "repo"
PRINTED = {"validate": ["findings"], "diff": ["change"], "status": ["overview", "verdicts"]}
"""By command, the schemas of what `--format json` prints."""
THEIR_SERVER = """\
apiVersion: michelangelo.api/v2
kind: InferenceServer
metadata: {name: a}
spec: {backendType: BACKEND_TYPE_TRITON}
"""
MARK = "# yaml-language-server: $schema="


def test_a_schema_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "deployment"]) == 0
    assert json.loads(capsys.readouterr().out) == schemas.load("deployment")


def test_without_a_kind_all_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert tuple(capsys.readouterr().out.split()) == schemas.NAMES


def test_whatever_is_printed_as_json_has_a_schema() -> None:
    (commands,) = (one for one in parser(list(COMMANDS))._actions if isinstance(one, argparse._SubParsersAction))
    found = {
        name
        for name, command in commands.choices.items()
        for one in command._actions
        if one.dest == "format" and "json" in one.choices
    }
    assert found == PRINTED.keys()
    assert {name for names in PRINTED.values() for name in names} <= set(schemas.NAMES)


@pytest.mark.parametrize(
    "file", ["fresco.yaml", "fraud/servers/cpu-a.yaml", "fraud/deployments/scorer.yaml", "theirs.yaml"]
)
def test_the_line_leads_from_a_file_to_its_schema(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As yaml-language-server goes: a relative path begins in the folder of the file that has the line."""
    text = THEIR_SERVER if file == "theirs.yaml" else (EXAMPLE / file).read_text()
    path = tmp_path / file
    (tmp_path / "fresco.yaml").touch()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["schema", "--output", ".fresco/schemas"]) == 0
    capsys.readouterr()
    assert main(["schema", "--line", file]) == 0
    line = capsys.readouterr().out
    path.write_text(line + text)
    assert line.startswith(MARK)
    schema = json.loads((path.parent / line.removeprefix(MARK).strip()).read_text())
    (document,) = load_file(file, path.read_bytes()).documents
    assert list(Draft202012Validator(schema).iter_errors(document.value)) == []
    document.value["spec"]["surprise"] = 1
    assert [one.validator for one in Draft202012Validator(schema).iter_errors(document.value)] == [
        "additionalProperties"
    ]


def test_schemas_are_written_where_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["schema", "deployment", "--output", "a/b", "--line", "new.yaml"]) == 0
    assert capsys.readouterr().out == f"a/b/deployment.schema.json\n{MARK}./a/b/deployment.schema.json\n"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["deployment.schema.json"]


def test_the_line_is_right_from_any_folder_of_the_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fraud" / "servers").mkdir(parents=True)
    (tmp_path / "fresco.yaml").write_text((EXAMPLE / "fresco.yaml").read_text())
    expected = f"{MARK}../../.fresco/schemas/inferenceserver.schema.json\n"
    for folder in (tmp_path, tmp_path / "fraud", tmp_path / "fraud" / "servers"):
        monkeypatch.chdir(folder)
        file = tmp_path / "fraud" / "servers" / "a.yaml"
        assert main(["schema", "inferenceserver", "--line", os.path.relpath(file, folder)]) == 0
        assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "no resource"),
        ("a: b\n", "no resource"),
        ("{server}---\n{deployment}", "deployment and inferenceserver"),
        ("{server}---\n{theirs}", "inferenceserver and michelangelo-inferenceserver"),
    ],
)
def test_a_file_of_no_kind_or_several_has_to_be_told(
    text: str, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = (EXAMPLE / "fraud/servers/cpu-a.yaml").read_text()
    deployment = (EXAMPLE / "fraud/deployments/scorer.yaml").read_text()
    path = tmp_path / "a.yaml"
    path.write_text(text.format(server=server, deployment=deployment, theirs=THEIR_SERVER))
    assert main(["schema", "--line", str(path)]) == 2
    assert f"{path} holds {found}: say which kind" in capsys.readouterr().err
