"""Brings a repository's branches up to date with the git program, which knows how its user signs in. I/O: a process,
the network."""

import os
import subprocess
from pathlib import Path

from render.errors import NotFound, RemoteUnavailable

REMOTE = "origin"
_SECONDS = 60.0


def fetch(directory: Path) -> None:
    """Fetches all branches of `origin` into the repository at `directory`. Raises RemoteUnavailable, and NotFound where
    there is no git."""
    command = ["git", "-C", str(directory), "fetch", "--quiet", "--prune", REMOTE]
    command.append(f"+refs/heads/*:refs/remotes/{REMOTE}/*")
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS, errors="replace"
        )
    except FileNotFoundError as error:
        raise NotFound("fetching needs the git program, which is not here") from error
    except subprocess.TimeoutExpired as error:
        raise RemoteUnavailable(f"cannot fetch from {REMOTE}: no answer in {_SECONDS:g} s") from error
    if done.returncode != 0:
        raise RemoteUnavailable(f"cannot fetch from {REMOTE}: {' '.join(done.stderr.split())}")
