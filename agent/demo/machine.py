"""What the demo runs on this machine: a git server, and `fresco-agent local` with all that starts. I/O: processes."""

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import msgspec

from agent.demo.person import bare_repository
from agent.local import files
from agent.local.git_server import GitServer
from agent.local.pods import memory_name
from agent.status.cluster import ClusterState
from schemas.report import SidecarReport

REPOSITORY = "models.git"
_MARK = "FRESCO_DEMO"
_STARTS_SECONDS, _ENDS_SECONDS = 60.0, 60.0
_ANSWER = aiohttp.ClientTimeout(total=2.0)


class AgentFailed(Exception):
    """`fresco-agent local` did not start, or has ended by itself; the message has the end of its log."""


class Machine:
    """Everything below `directory`. Use as an asynchronous context manager; at its end nothing runs any more."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "fresco-agent.log"
        self._git = GitServer(directory / "repositories")
        self._agent: asyncio.subprocess.Process | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        bare_repository(self.directory / "repositories" / REPOSITORY)
        await self._open.enter_async_context(self._git)
        self._http = await self._open.enter_async_context(aiohttp.ClientSession(timeout=_ANSWER))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        await self._open.aclose()

    @property
    def repository(self) -> str:
        """The repository's URL."""
        return self._git.url(REPOSITORY)

    @property
    def bare(self) -> Path:
        """The repository on disk."""
        return self.directory / "repositories" / REPOSITORY

    @property
    def gateway(self) -> str:
        """`host:port` of the gateway, once the agent has started."""
        return self._addresses()["gateway"]

    async def start(self, *, cluster: str) -> None:
        """Starts `fresco-agent local` for `cluster` of the repository. Raises AgentFailed."""
        argv = [sys.executable, "-m", "agent.status", "local", "--repository", self.repository]
        argv += ["--cluster", cluster, "--data", str(self._data), "--parent-stdin"]
        with self.log.open("ab") as log:
            self._agent = await asyncio.create_subprocess_exec(
                *argv,
                env={**os.environ, _MARK: str(self.directory)},
                stdin=asyncio.subprocess.PIPE,  # it ends with the demo, however that ends
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + _STARTS_SECONDS
        while not self._addresses():
            self.expect_running()
            if time.monotonic() > end:
                raise AgentFailed(f"fresco-agent local did not start in {_STARTS_SECONDS:g} s:\n{self._end_of_log()}")
            await asyncio.sleep(0.05)

    def expect_running(self) -> None:
        """Raises AgentFailed when `fresco-agent local` has ended by itself."""
        if self._agent is not None and self._agent.returncode is not None:
            raise AgentFailed(f"fresco-agent local has ended:\n{self._end_of_log()}")

    async def stop(self) -> None:
        """Ends it as Ctrl-C does, and waits until all it started has ended; `left_behind` tells what has not."""
        if self._agent is not None and self._agent.returncode is None:
            self._agent.terminate()
        end = time.monotonic() + _ENDS_SECONDS
        while time.monotonic() < end:
            if not self.left_behind():
                return
            await asyncio.sleep(0.1)

    async def state(self) -> ClusterState:
        """The cluster as its node tells it."""
        return msgspec.json.decode(await self._get(f"http://{self._addresses()['api']}/state"), type=ClusterState)

    async def served(self, model: str) -> dict[str, str | None]:
        """By pod the digest of `model` that its server proves, as its sidecar reports; None where it has none."""
        pods = [pod for pod in (await self.state()).pods if pod.report]
        reports = await asyncio.gather(*(self._report(str(pod.report)) for pod in pods))
        return {
            pod.name: report.models[model].serving if model in report.models else None
            for pod, report in zip(pods, reports, strict=True)
        }

    def left_behind(self) -> list[str]:
        """Processes and files in shared memory that are still there."""
        pods = (self._node / "pods").glob("*")
        return [*_processes_of(self.directory), *(path for pod in pods for path in _in_shared_memory(pod))]

    async def _report(self, address: str) -> SidecarReport:
        return msgspec.json.decode(await self._get(f"http://{address}/v1/status"), type=SidecarReport)

    async def _get(self, url: str) -> bytes:
        try:
            async with self._http.get(url) as answer:
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AgentFailed(f"{url} does not answer: {error}") from error

    def _end_of_log(self) -> str:
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-10:])

    @property
    def _data(self) -> Path:
        return self.directory / "local"

    @property
    def _node(self) -> Path:
        return self._data / "node"

    def _addresses(self) -> dict[str, str]:
        known: dict[str, str] | None = files.get_json(self._node / "node.json")
        return known or {}


def _in_shared_memory(pod: Path) -> list[str]:
    """What the server of the pod in the directory `pod` has in shared memory."""
    return sorted(map(str, Path("/dev/shm").glob(f"{memory_name(pod)}*")))


def _processes_of(directory: Path) -> list[str]:
    """All processes that were started for the demo in `directory`: they inherit the mark in their environment."""
    mark = f"{_MARK}={directory}".encode()
    found = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [f"process {path.name}: {_command(path)}" for path in found if mark in _read(path / "environ").split(b"\0")]


def _command(process: Path) -> str:
    return _read(process / "cmdline").replace(b"\0", b" ").decode(errors="replace")[:80]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended, or is another user's
        return b""
