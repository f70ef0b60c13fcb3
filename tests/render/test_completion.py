"""Completion, in the shells themselves: bash everywhere, zsh and fish where a machine has them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from render.cli import main
from render.completion import SHELLS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "repo"

BASH = """
eval "$(fresco completion bash)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9
read -r -a COMP_WORDS <<< "$1"
[[ "$1" == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete fresco "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = """
fresco completion fish | source
complete -C "$argv[1]"
"""
LINES = [
    ("fresco val", {"validate"}),
    ("fresco co", {"completion", "convert"}),
    ("fresco lock --", {"--help", "--quiet", "--check", "--update"}),
    ("fresco lock fr", {"fraud/", "fresco.yaml"}),
    ("fresco render --cluster ", {"local"}),
    ("fresco new deployment a --server ", {"cpu-a"}),
    ("fresco new server a --namespace ", {"fraud"}),
    ("fresco new server --v", {"--version"}),
    ("fresco schema repo", {"repository", "repository-status"}),
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In which `fresco` is this checkout's."""
    program = tmp_path / "fresco"
    code = "import sys; sys.argv[0] = 'fresco'; from render.cli import main; sys.exit(main())"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    return {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": path}


def completed(shell: list[str], line: str, environment: dict[str, str]) -> set[str]:
    done = subprocess.run(
        [*shell, line], cwd=EXAMPLE, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return {line.partition("\t")[0].strip() for line in done.stdout.splitlines()} - {""}


@pytest.mark.parametrize(("line", "words"), LINES)
def test_bash_completes_commands_options_and_names(line: str, words: set[str], environment: dict[str, str]) -> None:
    assert completed(["bash", "--norc", "-c", BASH, "bash"], line, environment) == words


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert ("#compdef fresco" in script) == (shell != "fish")
    assert ("complete --command fresco" in script) == (shell == "fish")


def test_names_of_a_broken_repository_are_those_that_can_be_read(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "fresco.yaml").write_text("apiVersion: serving.fresco.dev/v1alpha1\nspec: {clusters: [{name: a}, 7]}\n")
    shell = ["bash", "--norc", "-c", f"cd {tmp_path}\n{BASH}", "bash"]
    assert completed(shell, "fresco render --cluster ", environment) == {"a"}
    (tmp_path / "fresco.yaml").write_text("apiVersion: serving.fresco.dev/v1alpha1\nspec: {clusters: [")
    assert completed(shell, "fresco render --cluster ", environment) == set()
