"""The hooks, as people use them: the real pre-commit, installed from this checkout into a real repository."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import installing
from tests.support.git import commit_files, git
from tests.support.installing import ROOT

EXAMPLE = ROOT / "examples" / "repo"
DEPLOYMENT = "fraud/deployments/scorer.yaml"
DIGEST = "sha256:1b0827ac7ccac332883de107ebea959e9337e31d2bd1ac40453b4d99919808ca"


class Team:
    """A repository with the hooks, and the environment in which its people commit."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def commit(self, message: str) -> subprocess.CompletedProcess[str]:
        """All that has changed."""
        self.run("git", "add", "--all")
        return self.run("git", "commit", "--quiet", "-m", message)

    @property
    def commits(self) -> list[str]:
        return git("log", "--format=%s", cwd=self.folder).split("\n")
