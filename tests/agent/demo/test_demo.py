"""The demo itself, as people run it: every promise is kept."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(600)
def test_the_demo_keeps_its_promises(tmp_path: Path) -> None:
    """And says so with its exit code."""
    command = [sys.executable, "-m", "agent.status", "demo", "--plain", "--data", str(tmp_path / "demo")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "✗" in done.stdout) == (0, False), done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("== ")][-1].startswith("== 5. Deletion")
