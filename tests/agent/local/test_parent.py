"""`fresco-agent local` as the process it is: its two children and its own end."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.local.parent import agent_command, node_command, parse
from tests.support.triton import wait_until

URL = "http://127.0.0.1:9/none.git"


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A parent whose repository cannot be reached, once its node answers."""
    command = [sys.executable, "-m", "agent.local", "--repository", URL, "--data", str(tmp_path / "data")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("The gateway listens on http://127.0.0.1:")
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()
    wait_until(lambda: children(tmp_path) == [], what="nothing is left")


def children(tmp_path: Path) -> list[int]:
    """All processes that were given something below `tmp_path`, but this one's own children."""
    mark = str(tmp_path / "data").encode()
    return [pid for pid in _processes() if mark in _read(pid, "cmdline") + _read(pid, "environ")]


def node_of(tmp_path: Path) -> int | None:
    """The process of the node."""
    found = [pid for pid in children(tmp_path) if b"agent.local.node" in _read(pid, "cmdline")]
    return found[0] if found else None


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def test_it_ends_with_all_that_it_started(parent: subprocess.Popen[str], tmp_path: Path) -> None:
    assert node_of(tmp_path) is not None
    parent.send_signal(signal.SIGINT)
    assert parent.wait(60) == 0
    assert children(tmp_path) == []


def test_when_it_is_killed_all_that_it_started_ends(parent: subprocess.Popen[str], tmp_path: Path) -> None:
    parent.kill()
    parent.wait()
    wait_until(lambda: children(tmp_path) == [], what="nothing is left")


def test_a_child_that_dies_is_started_again(parent: subprocess.Popen[str], tmp_path: Path) -> None:
    first = node_of(tmp_path)
    assert first is not None
    before = json.loads((tmp_path / "data" / "node" / "node.json").read_text())
    subprocess.run(["kill", "-9", str(first)], check=True)
    wait_until(lambda: node_of(tmp_path) not in (None, first), what="another node")
    wait_until(lambda: json.loads((tmp_path / "data/node/node.json").read_text()) == before, what="the same addresses")


def test_two_never_share_a_directory(parent: subprocess.Popen[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent.local", "--repository", URL, "--data", str(tmp_path / "data")]
    other = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert other.returncode == 2
    assert "another one works in" in other.stderr


def test_the_children_meet_in_the_same_directories(tmp_path: Path) -> None:
    arguments = parse(["--repository", URL, "--data", str(tmp_path), "--port", "8080"])
    node, agent = node_command(arguments), agent_command(arguments)
    assert node[node.index("--repository") + 1] == str(Path(agent[agent.index("--data") + 1]) / "repository.git")
    assert node[node.index("--data") + 1] == agent[agent.index("--node") + 1]
    assert node[node.index("--port") + 1] == "8080"


@pytest.mark.parametrize("port", ["0", "65536", "99999", "-1", "http"])
def test_what_is_no_port_is_said_before_anything_starts(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--repository", "http://127.0.0.1/m.git", f"--port={port}"])
    assert ended.value.code == 2
    assert f"expected a port from 1 to 65535, got '{port}'" in capsys.readouterr().err
