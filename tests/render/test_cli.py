"""The program from outside: what it prints, what it writes, how it ends."""

import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from render import cli, plan, tree
from render.cli import main
from render.rules import Rule
from tests.support.git import commit_files, git

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
EXAMPLE = ROOT / "examples" / "repo"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    shutil.copytree(CASES / "good" / "several-documents" / "repo", folder)
    git("init", "--quiet", "--initial-branch=main", cwd=folder)
    commit_files(folder, {})
    return folder


def manifests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted((folder / "manifests").rglob("*.yaml"))
    }


def test_the_example_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(EXAMPLE)]) == 0
    assert capsys.readouterr().out == ""


def test_findings_are_printed_all_at_once_and_end_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES / "bad" / "wrong-values" / "repo")
    assert main(["validate"]) == 1
    expected = (CASES / "bad" / "wrong-values" / "expected" / "findings.txt").read_text()
    assert capsys.readouterr().out == expected


def test_warnings_alone_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(CASES / "good" / "warnings" / "repo")]) == 0
    assert "warning: " in capsys.readouterr().out


def test_render_prints_what_it_writes(repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-C", str(repository)]) == 0
    printed = capsys.readouterr().out
    assert main(["render", "-C", str(repository), "--output", str(tmp_path / "out")]) == 0
    written = manifests(tmp_path / "out")
    assert printed == "".join(f"---\n# {path}\n{text}" for path, text in written.items())
    assert written == manifests(CASES / "good" / "several-documents" / "expected")


def test_every_kind_of_repository_gives_the_same(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git("clone", "--quiet", "--bare", str(repository), str(tmp_path / "bare.git"), cwd=tmp_path)
    outputs = set()
    for arguments in (
        ["-C", str(repository)],
        ["-C", str(repository), "--revision", "main"],
        ["-C", str(tmp_path / "bare.git"), "--revision", "main", "--cluster", "prod"],
    ):
        assert main(["render", *arguments]) == 0
        outputs.add(capsys.readouterr().out)
    assert len(outputs) == 1


def test_a_clusters_branch_is_rendered_from_its_status_alone(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    shutil.copytree(CASES / "status" / "traffic-routing", folder)
    git("init", "--quiet", "--initial-branch=clusters/prod", cwd=folder)
    expected = manifests(folder)
    shutil.rmtree(folder / "manifests")
    commit_files(folder, {})
    assert main(["render", "-C", str(folder), "--revision", "clusters/prod", "--output", str(tmp_path / "out")]) == 0
    assert manifests(tmp_path / "out") == expected
    assert main(["render", "-C", str(folder), "--revision", "clusters/prod", "--cluster", "test"]) == 2


def test_what_is_invalid_does_not_hide_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-C", str(CASES / "bad" / "duplicate-model" / "repo")]) == 1
    output = capsys.readouterr()
    assert "manifests/fraud/routes/scorer.yaml" in output.out
    assert "routes/twin.yaml" not in output.out
    assert "FR022" in output.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["render", "-C", "/nonexistent"],
        ["validate", "/nonexistent"],
        ["render", "-C", "/", "--revision", "main"],
        ["render", "-C", str(ROOT), "--revision", "no-such-revision"],
        ["lock", "/nonexistent.yaml"],
        ["explain", "FR999"],
        ["explain", "deployment.no-such-field"],
    ],
)
def test_wrong_use_ends_with_2_and_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.err.startswith("fresco: ")
    assert output.err.count("\n") == 1
    assert "Errno" not in output.err
    assert output.out == ""


def test_several_clusters_have_to_be_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (EXAMPLE / "fresco.yaml").read_text()
    shutil.copytree(EXAMPLE, tmp_path / "repo")
    second = "  clusters:\n    - {name: second, gateway: {name: a, namespace: b}}\n"
    (tmp_path / "repo" / "fresco.yaml").write_text(text.replace("  clusters:\n", second))
    assert main(["render", "-C", str(tmp_path / "repo")]) == 2
    assert "--cluster second or --cluster local" in capsys.readouterr().err
    assert main(["render", "-C", str(tmp_path / "repo"), "--cluster", "local"]) == 0


def test_a_broken_status_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(CASES / "status" / "clean-up", tmp_path / "repo")
    (tmp_path / "repo" / tree.REPOSITORY_PATH).write_text("apiVersion: serving.fresco.dev/v1alpha1\nschemaVersion: 9\n")
    assert main(["render", "-C", str(tmp_path / "repo")]) == 2
    assert "newer" in capsys.readouterr().err


def test_a_mistake_of_ours_has_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "manifests", lambda _: 1 / 0)
    assert main(["render", "-C", str(EXAMPLE)]) == 3
    output = capsys.readouterr().err
    assert "report it: ZeroDivisionError" in output
    assert "Traceback" not in output


def test_explain_says_why_and_shows_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "fr063"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("FR063 Another digest has another revision\n\nThe revision is how people")
    assert re.findall(r"^\S.*:$", output, flags=re.MULTILINE) == ["Before:", "Wrong:", "Before:", "Right:"]


def test_explain_lists_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert [line[:5] for line in capsys.readouterr().out.splitlines()] == sorted(Rule)


@pytest.mark.parametrize("command", [None, *cli.COMMANDS])
def test_help_has_an_example(command: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*([command] if command else []), "--help"])
    assert f"\nexamples:\n  fresco {command or ''}" in capsys.readouterr().out


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_each_example_of_the_help_can_be_pasted(command: str) -> None:
    """What stands behind it is a comment to a shell too."""
    examples = re.findall("^  fresco (.+)$", import_module(f"render.commands.{command}").EXAMPLES, re.MULTILINE)
    for line in examples:
        assert not re.search("  +(?!#| )", line), f"what it is for needs a # before it: {line}"
        words = shlex.split(re.sub("[<>] [^ ]+", "", line), comments=True)
        assert words[0] == command
        cli.parser(words).parse_args(words)


@pytest.mark.parametrize(("arguments", "foreign"), [("--help", {"agent", "pygit2", "msgspec"}), ("lock -h", {"agent"})])
def test_help_imports_little(arguments: str, foreign: set[str]) -> None:
    code = f"import sys; from render.cli import parser; parser({arguments.split()}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not foreign & {name.split(".")[0] for name in done.stdout.split()}


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = "import sys; from render.cli import main; sys.exit(main(['render', '-C', 'examples/repo']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
