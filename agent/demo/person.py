"""A person with a clone: edits files, commits and pushes with the git program, as anyone would. I/O: git, files."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

_WHO = ("Ada Example", "ada@example.com")


class GitFailed(Exception):
    """git ended with an error; the message is what it said."""


def git(*arguments: str | Path, cwd: Path) -> str:
    """Runs git in `cwd` without the settings of whoever runs the demo, and gives what it printed. Raises GitFailed."""
    done = subprocess.run(
        ["git", *map(str, arguments)], cwd=cwd, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise GitFailed(f"git {' '.join(map(str, arguments))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def bare_repository(path: Path) -> Path:
    """A new, empty bare repository whose branch for people is `main`."""
    path.mkdir(parents=True)
    git("init", "--quiet", "--bare", "--initial-branch=main", ".", cwd=path)
    return path


class Person:
    """Works in a clone of the repository at `url`."""

    def __init__(self, clone: Path, url: str) -> None:
        self.clone = clone
        clone.parent.mkdir(parents=True, exist_ok=True)
        git("clone", "--quiet", url, clone, cwd=clone.parent)
        git("symbolic-ref", "HEAD", "refs/heads/main", cwd=clone)

    def write(self, file: str, text: str) -> None:
        """Gives `file` another content, or makes it."""
        path = self.clone / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def commit(self, message: str) -> str:
        """Commits all there is to commit, pushes it, and gives the commit's id."""
        git("add", "--all", cwd=self.clone)
        git("commit", "--quiet", "--message", message, cwd=self.clone)
        return self._push()

    def delete(self, file: str) -> None:
        """Deletes `file`."""
        (self.clone / file).unlink()

    def revert(self, message: str) -> str:
        """Takes the last commit back."""
        git("revert", "--no-commit", "HEAD", cwd=self.clone)
        return self.commit(message)

    def _push(self) -> str:
        git("push", "--quiet", "origin", "HEAD:main", cwd=self.clone)
        return git("rev-parse", "HEAD", cwd=self.clone)


def with_fields(text: str, fields: Mapping[str, str]) -> str:
    """YAML with other values for some fields: of each the one line that has it, and no other byte."""
    for name, value in fields.items():
        text, count = re.subn(rf"(?m)^(\s*{name}:).*$", rf"\g<1> {value}", text)
        if count != 1:
            raise ValueError(f"expected one line with {name}, found {count}")
    return text


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    name, email = _WHO
    return {
        **inherited,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{role}_NAME": name for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": email for role in ("AUTHOR", "COMMITTER")},
    }
