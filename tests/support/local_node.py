"""The node of local mode as the process it is, with a repository to commit manifests to."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from agent.local import files
from agent.local.process import MARK
from agent.status.cluster import ClusterState, PodState
from render.repository import Author, Repository
from tests.e2e import artifacts
from tests.e2e.artifacts import Artifact
from tests.support import manifests
from tests.support.eventually import eventually


class LocalNode:
    """A node in `root`/data. Not started by itself."""

    def __init__(self, root: Path, http: aiohttp.ClientSession) -> None:
        self.data = root / "data"
        self.repository = _bare(root / "clone.git")
        self._clone = root / "clone.git"
        self._http = http
        self._process: subprocess.Popen[bytes] | None = None

    def commit(self, manifests: Iterable[dict[str, Any]]) -> str:
        """Commits these manifests, and no others, and returns the commit's id."""
        files = {f"manifests/{m['kind']}/{m['metadata']['name']}.yaml": json.dumps(m).encode() for m in manifests}
        tree = self.repository.write_tree(files, None)
        return self.repository.commit(tree=tree, parents=[], message="test", author=Author("t", "t@example.com", 0))

    def command(self) -> list[str]:
        """Its command line."""
        return [sys.executable, "-m", "agent.local.node", "--data", str(self.data), "--repository", str(self._clone)]

    def start(self, *options: str) -> None:
        """Starts the process."""
        self.data.parent.mkdir(exist_ok=True)
        with (self.data.parent / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command(), "--parent-stdin", *options], stdin=subprocess.PIPE, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL, to the node alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def hang_up(self) -> None:
        """Lets it see that its parent has gone."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()

    def terminate(self) -> None:
        """SIGTERM."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Its exit code, when it has ended."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, 60)

    async def stop(self) -> None:
        """Ends it, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.terminate()
            await self.ended()

    @property
    def addresses(self) -> dict[str, str]:
        """What it wrote down: `api` and `gateway`."""
        known: dict[str, str] = json.loads((self.data / "node.json").read_text())
        return known

    @property
    def url(self) -> str:
        """Where model `m` answers, behind the gateway."""
        return f"http://{self.addresses['gateway']}/fraud/gpu-a/m/infer"

    async def state(self, after: int = -1) -> ClusterState:
        """Its state, by its long poll."""
        async with self._http.get(f"http://{self.addresses['api']}/state?after={after}") as answer:
            return msgspec.json.decode(await answer.read(), type=ClusterState)

    async def apply(self, commit: str) -> int:
        """The status with which it takes a commit."""
        async with self._http.post(f"http://{self.addresses['api']}/apply", json={"commit": commit}) as answer:
            return answer.status

    async def answers(self) -> bool:
        """Whether it answers."""
        try:
            await self.state()
        except (OSError, aiohttp.ClientError):
            return False
        return True

    async def until(self, condition: Callable[[ClusterState], bool], *, what: str) -> ClusterState:
        """The first state for which `condition` holds."""
        state = await self.state()

        async def holds() -> bool:
            nonlocal state
            if not condition(state):
                state = await self.state(after=state.seq)
            return condition(state)

        await eventually(holds, what=what)
        return state

    async def ready(self, count: int, *, template: str | None = None) -> tuple[PodState, ...]:
        """The pods, when there are `count` and all are ready."""

        def good(state: ClusterState) -> bool:
            return len(state.pods) == count and all(p.ready and template in (None, p.template) for p in state.pods)

        return (await self.until(good, what=f"{count} ready pods")).pods

    def pid(self, pod: str, container: str) -> int:
        """The process of a container, 0 while it does not run."""
        for record in self.data.glob(f"pods/{pod}.*/{container}.json"):
            return int((files.get_json(record) or {"pid": 0})["pid"])
        return 0

    def processes(self) -> list[int]:
        """All that it started and that still runs."""
        prefix = f"{MARK}={self.data}/".encode()
        running = Path("/proc").glob("[0-9]*")
        return [int(path.name) for path in running if any(v.startswith(prefix) for v in _environment(path))]


@asynccontextmanager
async def local_node(root: Path) -> AsyncIterator[LocalNode]:
    """A node that runs and answers, without anything applied. Afterwards nothing of it may be left."""
    async with aiohttp.ClientSession() as http:
        node = LocalNode(root, http)
        node.start()
        try:
            await eventually((node.data / "node.json").exists, what="the node's addresses")
            yield node
        finally:
            await node.stop()
            assert [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in node.processes()] == []


def model(node: LocalNode, revision: str, initialize: str = artifacts.FINE) -> Artifact:
    """A model that answers with its revision."""
    return artifacts.directory(node.data.parent / "storage", revision, artifacts.model(revision, initialize))


def whole(
    node: LocalNode, *, replicas: int, marker: str = "", load_deadline: float = 120.0
) -> list[manifests.Manifest]:
    """All manifests of a server that serves revision `one`."""
    made = manifests.slice_of(model(node, "one"), replicas=replicas, marker=marker, load_deadline=load_deadline)
    return [*made, manifests.common(), manifests.route(gpu_a=1)]


async def serve(node: LocalNode, *, replicas: int = 2) -> None:
    """Applies a server whose model answers behind the gateway."""
    assert await node.apply(node.commit(whole(node, replicas=replicas))) == 204
    await node.ready(replicas)
    await node.until(lambda state: state.routes.get("fraud/m") is not None, what="the route")


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except (OSError, ProcessLookupError):
        return []


def _bare(path: Path) -> Repository:
    subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True, env=dict(os.environ))
    return Repository.open(path)
