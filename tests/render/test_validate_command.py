"""`fresco validate` from outside: which repository it looks at, what of it it shows, and how it ends."""

import io
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from render.cli import main
from render.forms import FORMS
from render.rules.explained import BASE
from tests.support.git import ENVIRONMENT, commit_files, git

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
HEAD = "apiVersion: serving.fresco.dev/v1alpha1\nkind: Deployment\nmetadata: {name: odd, namespace: fraud}\nspec:\n"
SPEC = '  server: gpu-a\n  model:\n    revision: "1"\n    uri: s3://models/fraud/odd\n'
WARNED = f"{HEAD}{SPEC}    digest: sha256:{'9f' * 32}\n  rollout:\n    steps: [{{weight: 10, soak: 5m}}]\n"

Validate = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with findings of many kinds, and the current folder in it."""
    folder = tmp_path / "repository"
    shutil.copytree(CASES / "bad" / "every-form" / "repo", folder)
    (folder / "below").mkdir()
    (folder / "twins.yaml").rename(folder / "below" / "twins.yaml")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def validate(capsys: pytest.CaptureFixture[str]) -> Validate:
    """Runs the command: the exit code, and the lines of its output."""

    def run(*arguments: object) -> tuple[int, list[str]]:
        code = main(["validate", *map(str, arguments)])
        return code, capsys.readouterr().out.splitlines()

    return run


def files(lines: list[str]) -> list[str]:
    """The files that the lines are about, each once, in their order."""
    return list(dict.fromkeys(line.split(":")[0] for line in lines))


def rules(lines: list[str]) -> set[str]:
    return {line.split(": ")[1][:5] for line in lines}


# ---- what is about to be committed


@pytest.mark.parametrize("below", ["", "serving"])
def test_a_change_is_compared_with_what_is_committed(below: str, tmp_path: Path, validate: Validate) -> None:
    git("init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    root = tmp_path / below
    assert validate("-C", commit_base(tmp_path, below)) == (0, [])
    scorer = root / "scorer.yaml"
    scorer.write_text(BASE["scorer.yaml"].replace("9f", "7c"))
    code, lines = validate("-C", root)
    assert (code, len(lines)) == (0, 1)
    assert "scorer.yaml:7:15: FR063 warning: spec.model.revision: the digest is another one" in lines[0]
    git("commit", "--quiet", "--all", "--message", "again", cwd=tmp_path)
    assert validate("-C", root) == (0, [])


def test_what_is_odd_about_a_change_is_silenced_while_it_is_one(tmp_path: Path, validate: Validate) -> None:
    git("init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    commit_base(tmp_path, "")
    reason = "  # fresco: ignore FR063 because the label was wrong"
    text = BASE["scorer.yaml"].replace("9f", "7c").replace('revision: "1"', f'revision: "1"{reason}')
    (tmp_path / "scorer.yaml").write_text(text)
    assert validate("-C", tmp_path) == (0, [])
    git("commit", "--quiet", "--all", "--message", "again", cwd=tmp_path)
    code, lines = validate("-C", tmp_path)
    assert (code, rules(lines)) == (0, {"FR072"})  # it has had its time


def test_before_the_first_commit_nothing_is_compared(tmp_path: Path, validate: Validate) -> None:
    git("init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    for path, text in BASE.items():
        (tmp_path / path).write_text(text)
    assert validate("-C", tmp_path) == (0, [])


@pytest.mark.parametrize("damaged", ["index", "file", "folder"])
def test_a_git_repository_that_is_damaged_is_not_a_mistake_of_ours(
    damaged: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git("init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    commit_base(tmp_path, "")
    (tmp_path / "scorer.yaml").write_text(BASE["scorer.yaml"].replace("9f", "7c"))
    names = {"file": "HEAD:scorer.yaml", "folder": "HEAD^{tree}"}
    name = git("rev-parse", names[damaged], cwd=tmp_path) if damaged in names else ""
    file = tmp_path / ".git" / (f"objects/{name[:2]}/{name[2:]}" if name else "index")
    file.chmod(0o644)
    file.write_bytes(b"\x00")
    assert main(["validate", "-C", str(tmp_path)]) == 2
    assert "git cannot read this repository" in capsys.readouterr().err


LOST = BASE["scorer.yaml"].replace("scorer", "lost").replace("gpu-a", "gpu-b")
ITS_SERVER = BASE["gpu-a.yaml"].replace("gpu-a", "gpu-b")


@pytest.mark.parametrize("below", ["", "serving"])
def test_what_is_staged_has_no_file_that_was_not_added(below: str, tmp_path: Path, validate: Validate) -> None:
    git("init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    root = commit_base(tmp_path, below)
    (root / "lost.yaml").write_text(LOST)
    (root / "gpu-b.yaml").write_text(ITS_SERVER)
    git("add", "lost.yaml", cwd=root)
    assert validate("-C", root) == (0, [])
    code, lines = validate("-C", root, "--staged")
    assert (code, rules(lines)) == (1, {"FR021"})
    git("add", "gpu-b.yaml", cwd=root)
    assert validate("-C", root, "--staged") == (0, [])


def test_what_is_staged_has_the_text_that_was_added(tmp_path: Path, validate: Validate) -> None:
    git("init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    scorer = commit_base(tmp_path, "") / "scorer.yaml"
    scorer.write_text(BASE["scorer.yaml"].replace("gpu-a", "gpu-b"))
    assert validate("-C", tmp_path, "--staged") == (0, [])
    git("add", "scorer.yaml", cwd=tmp_path)
    scorer.write_text(BASE["scorer.yaml"])
    assert validate("-C", tmp_path) == (0, [])
    assert rules(validate("-C", tmp_path, "--staged")[1]) == {"FR021"}
    scorer.unlink()
    assert rules(validate("-C", tmp_path, "--staged")[1]) == {"FR021"}


def test_settings_that_are_not_staged_are_missed(tmp_path: Path, validate: Validate) -> None:
    git("init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    for path, text in BASE.items():
        (tmp_path / path).write_text(text)
    code, lines = validate("-C", tmp_path, "--staged")
    assert (code, rules(lines)) == (1, {"FR050"})


def test_a_commit_of_some_files_alone_is_what_is_staged(tmp_path: Path) -> None:
    git("init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    commit_base(tmp_path, "")
    hook = tmp_path / ".git" / "hooks" / "pre-commit"
    hook.write_text(f"#!/bin/sh\n{sys.executable} -c 'from render.cli import main; exit(main())' validate --staged\n")
    hook.chmod(0o755)
    (tmp_path / "lost.yaml").write_text(LOST)
    (tmp_path / "gpu-b.yaml").write_text(ITS_SERVER)
    git("add", ".", cwd=tmp_path)
    commit = ("git", "commit", "--quiet", "--message", "some")
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    codes = [
        subprocess.run([*commit, *paths], cwd=tmp_path, env=environment, check=False).returncode
        for paths in (["lost.yaml"], ["gpu-b.yaml"], ["lost.yaml"])
    ]
    assert codes == [1, 0, 0]


def test_nothing_is_staged_in_the_middle_of_a_merge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    commit_base(tmp_path, "")
    git("checkout", "--quiet", "-b", "other", cwd=tmp_path)
    commit_files(tmp_path, {"scorer.yaml": "one\n"})
    git("checkout", "--quiet", "main", cwd=tmp_path)
    commit_files(tmp_path, {"scorer.yaml": "two\n"})
    subprocess.run(["git", "merge", "other"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=False)
    assert main(["validate", "-C", str(tmp_path), "--staged"]) == 2
    assert "what is staged is no commit yet" in capsys.readouterr().err


def commit_base(top: Path, below: str) -> Path:
    """The base repository of the rules' examples, committed in a folder of a work tree."""
    commit_files(top, {f"{below}/{path}".lstrip("/"): text for path, text in BASE.items()})
    return top / below


# ---- which repository, and how its files are called

EVERYTHING = ["below/twins.yaml", "hasty.yaml", "needless.yaml", "ranker, 50% slow.yaml", "scorer.yaml", "warned.yaml"]


@pytest.mark.parametrize(
    ("here", "arguments", "begin"),
    [
        (".", [], ""),
        (".", ["."], ""),
        ("below", ["-C", ".."], "../"),
        ("below", ["../scorer.yaml", ".."], "../"),
        ("..", ["repository"], "repository/"),
        ("..", ["repository/scorer.yaml", "repository"], "repository/"),
        ("..", ["-C", "repository", "repository"], "repository/"),
        ("../elsewhere", ["-C", "../repository"], "{root}/"),
    ],
)
def test_paths_are_shown_from_the_current_folder(
    repository: Path, validate: Validate, monkeypatch: pytest.MonkeyPatch, here: str, arguments: list[str], begin: str
) -> None:
    (repository.parent / "elsewhere").mkdir()
    monkeypatch.chdir(here)
    code, lines = validate(*arguments)
    shown = begin.format(root=repository)
    assert code == 1
    assert files(lines) == [f"{shown}{path}" for path in EVERYTHING]


def test_a_folder_with_its_own_settings_is_its_own_root(repository: Path, validate: Validate) -> None:
    shutil.copytree(CASES / "bad" / "missing-server" / "repo", repository / "below" / "inner")
    assert files(validate("below/inner")[1]) == ["below/inner/scorer.yaml"]


def test_without_settings_the_top_of_the_work_tree_is_the_root(
    tmp_path: Path, validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fresco.yaml").write_text("outside of git\n")
    (tmp_path / "tree" / "a").mkdir(parents=True)
    git("init", "--quiet", cwd=tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree" / "a")
    assert files(validate()[1]) == ["../fresco.yaml"]


def test_without_settings_and_git_the_folder_is_the_root(
    tmp_path: Path, validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, lines = validate()
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("fresco.yaml:1:1: FR050 ")


@pytest.mark.parametrize(
    ("form", "begin"), [("github", "::error file=deep/scorer.yaml,"), ("text", "scorer.yaml:5:11: ")]
)
def test_services_get_paths_from_the_top_of_the_work_tree(
    tmp_path: Path, validate: Validate, monkeypatch: pytest.MonkeyPatch, form: str, begin: str
) -> None:
    shutil.copytree(CASES / "bad" / "missing-server" / "repo", tmp_path / "deep")
    git("init", "--quiet", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "deep")
    assert validate("--format", form)[1][0].startswith(begin)


# ---- what of it is shown


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["scorer.yaml"], ["scorer.yaml"]),
        (["below"], ["below/twins.yaml"]),
        (["below", "hasty.yaml"], ["below/twins.yaml", "hasty.yaml"]),
        (["servers.yaml"], ["hasty.yaml", "scorer.yaml", "warned.yaml"]),  # the other place: the server that is meant
        (["silent.yaml"], []),
    ],
)
def test_what_concerns_the_given_files_is_shown(
    repository: Path, validate: Validate, paths: list[str], expected: list[str]
) -> None:
    code, lines = validate(*paths)
    assert files(lines) == expected
    assert code == (1 if any(" warning: " not in line for line in lines) else 0)


def test_a_file_is_checked_beside_all_others(repository: Path, validate: Validate) -> None:
    text = (repository / "scorer.yaml").read_text()
    (repository / "copy.yaml").write_text(text)
    assert any("FR020" in line and "scorer.yaml" in line for line in validate("copy.yaml")[1])


def test_settings_that_keep_all_from_being_checked_are_shown_always(repository: Path, validate: Validate) -> None:
    (repository / "fresco.yaml").write_text("apiVersion: serving.fresco.dev/v1alpha1\nkind: Repository\n")
    code, lines = validate("scorer.yaml")
    assert (code, files(lines)) == (1, ["fresco.yaml"])


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ([], 1, {"FR010", "FR020", "FR021", "FR043", "FR070", "FR072"}),
        (["--severity", "error"], 1, {"FR010", "FR020", "FR021"}),
        (["--select", "FR021"], 1, {"FR021"}),
        (["--select", "FR021,FR043", "--select", "FR070"], 1, {"FR021", "FR043", "FR070"}),
        (["--select", "FR043"], 0, {"FR043"}),
        (["--select", "FR043", "--severity", "error"], 0, set()),
        (["--ignore", "FR010,FR020", "--ignore", "FR043"], 1, {"FR021", "FR070", "FR072"}),
        (["--ignore", "FR010,FR020,FR021"], 0, {"FR043", "FR070", "FR072"}),
    ],
)
def test_rules_and_severities_are_chosen(
    repository: Path, validate: Validate, arguments: list[str], code: int, expected: set[str]
) -> None:
    ended, lines = validate(*arguments)
    assert (ended, rules(lines)) == (code, expected)


# ---- standard input


def standard_input(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_standard_input_takes_the_place_of_a_file(
    repository: Path, validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    standard_input(monkeypatch, (repository / "scorer.yaml").read_text().replace("gpu-c", "gpu-a"))
    assert validate("-", "--stdin-name", "scorer.yaml") == (0, [])
    assert validate("scorer.yaml")[0] == 1


def test_standard_input_may_be_a_file_that_is_not_there_yet(
    repository: Path, validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    standard_input(monkeypatch, (repository / "scorer.yaml").read_text())
    code, lines = validate("-", "--stdin-name", "new/folder/scorer.yaml")
    assert code == 1
    assert [line.split(" ")[1] for line in lines if line.startswith("new/folder/scorer.yaml:3:18: ")] == ["FR020"]


def test_the_lines_shown_are_those_of_standard_input(
    repository: Path, validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    standard_input(monkeypatch, HEAD + SPEC.replace("gpu-a", "nowhere"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "5 |   server: nowhere" in validate("-", "--stdin-name", "scorer.yaml")[1]


# ---- wrong use


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.yaml"], "nowhere.yaml is not there"),
        (["scorer.yaml", ".."], ".. is not in the repository"),
        (["-C", "below", "scorer.yaml"], "scorer.yaml is not in the repository"),
        (["-C", "nowhere"], "nowhere is not a directory"),
        (["-"], "go together"),
        (["--stdin-name", "scorer.yaml"], "go together"),
        (["-", "--stdin-name", "scorer.txt"], "expected the name of a YAML file, got scorer.txt"),
        (["-", "--stdin-name", "../scorer.yaml", "-C", "."], "is not in the repository"),
    ],
)
def test_wrong_use_is_said_in_one_line(
    repository: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["validate", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("fresco: ")
    assert words in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--select", "FR43"], "there is no rule 'FR43', did you mean FR043?"),
        (["--ignore", "FR010,"], "there is no rule ''"),
        (["--ignore", "FR999"], "there is no rule 'FR999', expected one like FR001: `fresco explain` lists them"),
        (["--select", "FR043,foo"], "there is no rule 'foo', expected one like FR001: `fresco explain` lists them"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--severity", "fatal"], "invalid choice: 'fatal'"),
    ],
)
def test_a_wrong_option_ends_with_2(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["validate", *arguments])
    assert words in capsys.readouterr().err


# ---- terminals


def on_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """What the program sends to a real terminal."""
    ours, theirs = pty.openpty()
    code = "import sys; from render.cli import main; sys.exit(main())"
    known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM", "COLUMNS")}
    with subprocess.Popen(
        [sys.executable, "-c", code, "validate", *arguments],
        cwd=folder,
        env={**known, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environment},
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        output = b""
        while part := _read(ours):
            output += part
    os.close(ours)
    return output.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # what Linux says when the other side has closed
        return b""


def test_a_terminal_gets_colours_and_carets(repository: Path) -> None:
    output = on_terminal(repository, "scorer.yaml")
    assert "\x1b[1m\x1b[31m^\x1b[0m\r\n" in output
    assert "\x1b[0m hint: did you mean gpu-b?\r\n" in output
    assert output.splitlines()[-1].endswith(" in 1 file, 9 files read")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_unwanted(repository: Path, environment: dict[str, str]) -> None:
    output = on_terminal(repository, "scorer.yaml", **environment)
    assert "\x1b" not in output
    assert " 5 |   server: gpu-c\r\n   |           ^\r\n" in output


def test_quiet_is_one_line_a_finding(repository: Path) -> None:
    assert on_terminal(repository, "scorer.yaml", "--quiet").count("\r\n") == 1
    assert on_terminal(repository, "silent.yaml", "--quiet") == ""


def test_a_terminal_is_told_that_all_is_well(repository: Path) -> None:
    assert on_terminal(repository, "silent.yaml") == "nothing to say of 9 files\r\n"


@pytest.mark.parametrize("form", [*FORMS, "terminal"])
def test_nothing_in_a_file_can_steer_a_terminal(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    key = r'  "\e[31m\r\n\x07\u009b\u202e": 1  # ' + "\u202e hidden"
    (repository / "bad\x1b[2J\n\udcff.yaml").write_text(f"{HEAD}{SPEC}{key}\n")
    monkeypatch.setenv("NO_COLOR", "1")
    if form == "terminal":
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    main(["validate", "--format", "text" if form == "terminal" else form])
    output = capsys.readouterr().out
    output.encode()
    assert "unknown field" in output
    assert {one for one in output if not one.isprintable()} == {"\n"}
