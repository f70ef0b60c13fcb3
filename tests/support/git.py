"""The git program for tests, apart from the settings of whoever runs them. Starts processes."""

import os
import subprocess
from pathlib import Path

_IDENTITY = {"NAME": "Ada Tester", "EMAIL": "ada@example.com", "DATE": "2026-01-01T00:00:00Z"}
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _IDENTITY.items()},
}
"""Everything git sees. Identity and time are fixed, so the same work gives the same commit."""


class GitError(Exception):
    """git ended with an exit code other than 0. The message is what it printed."""


def git(*arguments: str | Path, cwd: Path) -> str:
    """Run git in `cwd`; what it printed, stripped.

    Raises:
        GitError: it failed.
    """
    done = subprocess.run(["git", *arguments], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GitError(f"git {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def bare_repository(path: Path) -> Path:
    """A new, empty bare repository whose first branch is `main`."""
    path.mkdir(parents=True)
    git("init", "--quiet", "--bare", "--initial-branch=main", cwd=path)
    return path


def commit_files(checkout: Path, files: dict[str, str], *, message: str = "change") -> str:
    """Write `files` (path below the checkout → text), commit all there is, and give the commit's id."""
    for name, text in files.items():
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git("add", "--all", cwd=checkout)
    git("commit", "--quiet", "--message", message, cwd=checkout)
    return git("rev-parse", "HEAD", cwd=checkout)
