"""`fresco-agent local`: a whole cluster of processes on this machine, and the agent for it. I/O: two child processes.

    fresco-agent local --repository URL [--branch main] [--cluster local] [--data DIR] [--port PORT]

It is parent to two programs, the node and the agent. Either may die and is started again. When this program ends,
however it ends, both end: they notice that their standard input, a pipe from here, is closed.
"""

import argparse
import asyncio
import contextlib
import fcntl
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from agent.local import files
from agent.local.ending import told_to_end
from agent.local.ports import number as port_number
from agent.status.local_cluster import ADDRESSES

WRONG_USE = 2  # the exit code of a child that cannot work and has said why: another start would not help
_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before a child is started again
_HEALTHY = 10.0  # seconds after which a start counts as a good one
_AGENT_ENDS, _NODE_ENDS = 10.0, 45.0  # seconds


@dataclass(frozen=True, slots=True)
class Arguments:
    """The command line. `data`: the directory that all of this lives in. `parent_stdin`: end with standard input."""

    repository: str
    branch: str
    cluster: str
    data: Path
    port: int | None
    parent_stdin: bool = False

    @property
    def node_data(self) -> Path:
        """The node's part of it: servers, models, gateway."""
        return self.data / "node"

    @property
    def agent_data(self) -> Path:
        """The agent's part of it: its clone, a cache."""
        return self.data / "agent"


def node_command(arguments: Arguments) -> list[str]:
    """How the node is started."""
    port = [] if arguments.port is None else ["--port", str(arguments.port)]
    clone = arguments.agent_data / "repository.git"
    command = [sys.executable, "-m", "agent.local.node", "--data", str(arguments.node_data), "--repository", str(clone)]
    return [*command, *port, "--parent-stdin"]


def agent_command(arguments: Arguments) -> list[str]:
    """How the agent is started."""
    command = [sys.executable, "-m", "agent.status", "run-local", "--repository", arguments.repository]
    command += ["--branch", arguments.branch, "--cluster", arguments.cluster]
    return [*command, "--data", str(arguments.agent_data), "--node", str(arguments.node_data), "--parent-stdin"]


class Child:
    """A program that is kept running."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: Process | None = None

    async def run(self) -> int:
        """Starts it again and again, until it says that this is of no use; then returns its exit code."""
        loop, attempt = asyncio.get_running_loop(), 0
        while True:
            begin = loop.time()
            # Its own group: Ctrl-C on a terminal comes to the parent alone, which ends its children in order.
            self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, process_group=0)
            code = await self._process.wait()
            if code == WRONG_USE:
                return code
            attempt = 0 if loop.time() - begin > _HEALTHY else attempt + 1
            pause = _BACKOFF[min(attempt, len(_BACKOFF) - 1)]
            print(f"{self._command[2]} ended with {code}; next start in {pause} s", file=sys.stderr, flush=True)
            await asyncio.sleep(pause)

    async def end(self, *, patience: float) -> int:
        """Ends it, and returns its last exit code. To be called when `run` is over."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), patience)
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()


async def run(arguments: Arguments) -> int:
    """Keeps both running until told to end. Returns the exit code."""
    end = told_to_end(parent_stdin=arguments.parent_stdin)
    node, agent = Child(node_command(arguments)), Child(agent_command(arguments))
    keepers = [asyncio.create_task(child.run()) for child in (node, agent)]
    announcement = asyncio.create_task(_announce(arguments.node_data / ADDRESSES))
    first: set[asyncio.Future[Any]] = {end, *keepers}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    codes = [keeper.result() for keeper in keepers if keeper.done()]
    for task in (announcement, *keepers):
        task.cancel()
    await asyncio.gather(announcement, *keepers, return_exceptions=True)
    # The agent first: it is not to take the end of the servers for a failure and write it down.
    await agent.end(patience=_AGENT_ENDS)
    if await node.end(patience=_NODE_ENDS) not in (0, WRONG_USE):
        await _end_the_rest(arguments)
    return max(codes, default=0)


async def _end_the_rest(arguments: Arguments) -> None:
    """After a node that did not end in good order: another one finds what that left running, and ends it."""
    node = await asyncio.create_subprocess_exec(*node_command(arguments), stdin=PIPE)
    assert node.stdin is not None
    node.stdin.close()
    await node.wait()


async def _announce(addresses: Path) -> None:
    """Says where the gateway listens, once the node answers."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0)) as http:
        while True:
            known = files.get_json(addresses)
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                if known is not None:
                    async with http.get(f"http://{known['api']}/state"):
                        print(f"The gateway listens on http://{known['gateway']}", flush=True)
                        return
            await asyncio.sleep(0.1)


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[bool]:
    """Whether no other parent works in `data`; none does while the block runs."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def parse(arguments: Sequence[str]) -> Arguments:
    """The command line. Ends the program with a usage message where it makes no sense."""
    parser = argparse.ArgumentParser(prog="fresco-agent local", description="A cluster of processes on this machine.")
    parser.add_argument("--repository", required=True, help="URL of the git repository")
    parser.add_argument("--branch", default="main", help="the branch that people write to (default: main)")
    parser.add_argument("--cluster", default="local", help="the cluster's name in fresco.yaml (default: local)")
    parser.add_argument("--data", type=Path, help="directory for all that is kept (default: below ~/.local/state)")
    parser.add_argument(
        "--port", type=port_number, help="where the gateway listens on 127.0.0.1 (default: any free port)"
    )
    parser.add_argument("--parent-stdin", action="store_true", help="end when standard input, a pipe, ends")
    given = parser.parse_args(arguments)
    data = given.data or _state_home() / "fresco" / given.cluster
    return Arguments(given.repository, given.branch, given.cluster, data.absolute(), given.port, given.parent_stdin)


def _state_home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns its exit code: 0, or 2 when it cannot work here."""
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    with _alone(parsed.data) as alone:
        if not alone:
            print(f"fresco-agent local: another one works in {parsed.data}", file=sys.stderr)
            return WRONG_USE
        return asyncio.run(run(parsed))
