"""Completion, in the shells themselves."""

import errno
import os
import pty
import select
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from render import fields
from render.cli import COMMANDS, main
from render.commands.completion import EXAMPLES
from render.completion import SHELLS
from render.forms import FORMS
from render.rules import Rule
from tests.support.shells import Missing, shell

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "repo"
LONGEST: Final = 60  # seconds that a shell may take for an answer

READ: Final = {
    "bash": 'eval "$(fresco completion bash)"\n',
    "zsh": 'eval "$(fresco completion zsh)"\n',
    "fish": "fresco completion fish | source\n",
}
"""How a shell reads the script that makes it complete `fresco`."""
BASH = """
COMP_LINE="$LINE" COMP_POINT=${#LINE} COMP_TYPE=9
read -r -a COMP_WORDS <<< "$LINE"
[[ "$LINE" == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete fresco "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = """
complete -C "$LINE"
"""
COMPINIT = """
autoload -Uz compinit
compinit -u -d "$ZDOTDIR/dump"
"""
ZSH = """
all-of-them() { _main_complete; compstate[insert]=all compstate[list]= }
zle -C all-of-them complete-word all-of-them
zle-line-init() { BUFFER=$LINE CURSOR=$#LINE; zle all-of-them; print -r -- "$BUFFER" > "$ZDOTDIR/answer"; exit }
zle -N zle-line-init
"""
"""zsh completes in its line editor alone. So the editor's first line is the one in question, the key is pressed for it,
all that matches is inserted, and the line that this gives is kept."""

LINES = [
    ("fresco va", {"validate"}),
    ("fresco co", {"completion", "convert"}),
    ("fresco ", {"--help", *COMMANDS}),
    ("fresco explain dep", {path for path in fields.paths() if path.startswith("dep")}),
    ("fresco explain FR00", {rule for rule in Rule if rule.startswith("FR00")}),
    ("fresco validate --format ", set(FORMS)),
    ("fresco lock --", {"--help", "--quiet", "--check", "--update"}),
    ("fresco lock fr", {"fraud/", "fresco.yaml"}),
    ("fresco lock fraud/servers/", {"fraud/servers/cpu-a.yaml"}),
    ("fresco lock zz", set()),
    ("fresco status fr", {"fraud/scorer"}),
    ("fresco render --cluster ", {"local"}),
    ("fresco new deployment a --server ", {"cpu-a"}),
    ("fresco new server a --namespace ", {"fraud"}),
    ("fresco new server --v", {"--version"}),
    ("fresco schema repo", {"repository", "repository-status"}),
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In which `fresco` is this checkout's, and the home of all settings is an empty folder."""
    home, program = tmp_path / "home", tmp_path / "bin" / "fresco"
    home.mkdir()
    program.parent.mkdir()
    code = "import sys; sys.argv[0] = 'fresco'; from render.cli import main; sys.exit(main())"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    program.chmod(0o755)
    homes = {"HOME": str(home), "ZDOTDIR": str(home), "XDG_CONFIG_HOME": f"{home}/.config", "XDG_DATA_HOME": str(home)}
    modules = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **homes, "PATH": path, "PYTHONPATH": modules, "TERM": "dumb"}


def completed(name: str, line: str, environment: dict[str, str], *, read: str, folder: Path = EXAMPLE) -> set[str]:
    """The words that a shell offers for the end of `line`, in `folder`, after it has run `read`."""
    one = shell(name)
    program, environment = str(one.program), {**environment, **one.variables, "LINE": line}
    if name == "zsh":
        return _of_zsh(program, one.beginning + read + ZSH, folder, environment)
    command = [program, "--norc", "-c", read + BASH] if name == "bash" else [program, "-c", read + FISH]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=LONGEST
    )
    # In a second column, fish tells what each word is for.
    return {line.partition("\t")[0].strip() for line in done.stdout.splitlines()} - {""}


def _of_zsh(program: str, settings: str, folder: Path, environment: dict[str, str]) -> set[str]:
    home, line = Path(environment["ZDOTDIR"]), environment["LINE"]
    (home / ".zshrc").write_text(settings)
    _in_a_terminal([program, "-d", "-i"], folder, environment)  # -d: without the machine's own settings
    answer = (home / "answer").read_text().removesuffix("\n")
    begun = shlex.split(line) if line.endswith(" ") else shlex.split(line)[:-1]
    return set(shlex.split(answer)[len(begun) :]) if answer != line else set()


def _in_a_terminal(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Runs it to its end, which has to come, and to be a good one."""
    end, terminal = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    try:
        while select.select([end], [], [], LONGEST)[0]:
            shown += os.read(end, 65536)
        process.kill()
    except OSError as problem:
        if problem.errno != errno.EIO:  # so Linux says that nobody has the terminal any more
            raise
    finally:
        os.close(end)
    assert process.wait(LONGEST) == 0, shown


def read(name: str) -> str:
    return (COMPINIT if name == "zsh" else "") + READ[name]


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize(("line", "words"), LINES)
def test_a_shell_completes_commands_options_names_and_files(
    name: str, line: str, words: set[str], environment: dict[str, str]
) -> None:
    assert completed(name, line, environment, read=read(name)) == words


@pytest.mark.parametrize("name", SHELLS)
def test_names_of_a_broken_repository_are_those_that_can_be_read(
    name: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    line = "fresco render --cluster "
    (tmp_path / "fresco.yaml").write_text("apiVersion: serving.fresco.dev/v1alpha1\nspec: {clusters: [{name: a}, 7]}\n")
    assert completed(name, line, environment, read=read(name), folder=tmp_path) == {"a"}
    (tmp_path / "fresco.yaml").write_text("apiVersion: serving.fresco.dev/v1alpha1\nspec: {clusters: [")
    assert completed(name, line, environment, read=read(name), folder=tmp_path) == set()


@pytest.mark.parametrize(
    ("name", "file", "before"),
    [
        ("zsh", ".zfunc/_fresco", "fpath=(~/.zfunc $fpath)\n" + COMPINIT),
        ("fish", ".config/fish/completions/fresco.fish", ""),
    ],
)
def test_a_shell_finds_the_script_in_the_file_that_the_help_names(
    name: str, file: str, before: str, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell that is first asked for the completions of `fresco` looks for such a file by itself."""
    assert f"> ~/{file}" in EXAMPLES
    assert main(["completion", name]) == 0
    path = Path(environment["HOME"], file)
    path.parent.mkdir(parents=True)
    path.write_text(capsys.readouterr().out)
    assert completed(name, "fresco va", environment, read=before) == {"validate"}


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_without_its_script_a_shell_knows_nothing_of_fresco(name: str, environment: dict[str, str]) -> None:
    assert completed(name, "fresco va", environment, read=COMPINIT if name == "zsh" else "") == set()


def test_a_machine_without_a_shell_and_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Missing, match="there is no zsh on this machine, and no apt to fetch it with: install zsh"):
        shell("zsh")
