"""The program `fresco-agent`."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.status.__main__ import POLL_LOOPBACK, _parser, main, settings
from render.errors import ExitCode
from render.repository import Credentials
from schemas import limits


def parsed(*arguments: str) -> list[str]:
    """A command line with what is required."""
    return ["--data", "agent", "--node", "node", *arguments]


@pytest.mark.parametrize(("user", "credentials"), [("me:s%40crt", ("me", "s@crt")), ("token", ("token", ""))])
def test_credentials_are_taken_out_of_the_address(user: str, credentials: tuple[str, str]) -> None:
    chosen = settings(_parser().parse_args(parsed("--repository", f"https://{user}@git.example.com/models.git")))
    assert chosen.repository == "https://git.example.com/models.git"
    assert chosen.credentials == Credentials(*credentials)


@pytest.mark.parametrize("url", ["git@git.example.com:models.git", "https://git.example.com/models.git"])
def test_an_address_without_credentials_stays_as_it_is(url: str) -> None:
    chosen = settings(_parser().parse_args(parsed("--repository", url)))
    assert chosen.repository == url
    assert chosen.credentials is None


def test_only_a_repository_on_this_machine_is_asked_often() -> None:
    assert settings(_parser().parse_args(parsed("--repository", "http://127.0.0.1:1/a.git"))).poll == POLL_LOOPBACK
    assert settings(_parser().parse_args(parsed("--repository", "https://example.com/a.git"))).poll == limits.POLL_MAIN
    assert settings(_parser().parse_args(parsed("--repository", "http://[::1]/a", "--poll", "3"))).poll == 3.0


def test_an_unknown_program_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == ExitCode.WRONG_USE
    assert "fresco-agent local" in capsys.readouterr().err
    assert main(["--help"]) == ExitCode.FINE


def test_it_ends_with_its_parent_whatever_it_waits_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent.status", "run-local", "--repository", "http://127.0.0.1:9/models.git"]
    command += ["--data", str(tmp_path / "agent"), "--node", str(tmp_path / "node"), "--parent-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("cannot fetch from http://127.0.0.1:9/models.git" in line for line in process.stderr)
        assert (tmp_path / "agent" / "web").read_text().startswith("http://127.0.0.1:")
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == ExitCode.FINE
