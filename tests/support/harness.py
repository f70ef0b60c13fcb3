"""A whole status agent against a real git server and a simulated cluster: what its tests are written with.

Humans commit to a checkout of `main` and push it; the agent's branch is read back from the served repository.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import yaml

from agent.local.git_server import GitServer
from agent.status import reports
from agent.status.loop import Agent
from agent.status.settings import Settings
from agent.status.writeback import WriteBack
from render import trailers
from render.branch_files import deviations
from render.verify.replay import replay
from schemas.status import DeploymentStatus, Stage, Tree
from tests.support.git import bare_repository, commit_files, git
from tests.support.simulated_cluster import SimulatedCluster

API: Final = "serving.fresco.dev/v1alpha1"
CLUSTER: Final = "local"
BRANCH: Final = f"clusters/{CLUSTER}"
SCORER: Final = "fraud/scorer"
VERSION: Final = "0"
PATIENCE: Final = 12.0  # seconds; generous, nothing is timed

Text = Mapping[str, str | None]


def digest(revision: int) -> str:
    """The digest of a revision's artifact."""
    return f"sha256:{revision:064x}"


def repository(**rollout: Any) -> str:
    """A `fresco.yaml` for one local cluster, without bake time unless it is given."""
    gateway = {"name": "public", "namespace": "gateway", "implementation": "envoy", "settle": "20ms"}
    grants = {"storage": ["https://models.example.com/"]}
    spec = {
        "clusters": [{"name": CLUSTER, "local": True, "gateway": gateway}],
        "namespaces": {"fraud": grants},
        "rollout": {"bake": "0s", **rollout},
    }
    return _yaml({"apiVersion": API, "kind": "Repository", "spec": spec})


def server(name: str = "gpu-a", *, replicas: int = 2, canary: int = 0) -> str:
    """An InferenceServer."""
    spec: dict[str, Any] = {"backend": {"type": "triton", "version": "24.10"}, "replicas": replicas}
    if canary:
        spec["canary"] = {"replicas": canary}
    return _yaml(_resource("InferenceServer", name, spec))


def deployment(revision: int, *, name: str = "scorer", on: str = "gpu-a", **rollout: Any) -> str:
    """A Deployment of the revision with that number."""
    model = {
        "revision": str(revision),
        "uri": f"https://models.example.com/{name}/{revision}.tar",
        "digest": digest(revision),
    }
    spec: dict[str, Any] = {"server": on, "model": model}
    if rollout:
        spec["rollout"] = rollout
    return _yaml(_resource("Deployment", name, spec))


STEPS: Final = [{"weight": 10, "soak": "50ms"}, {"weight": 50, "soak": "50ms"}]


@dataclass(slots=True)
class Harness:
    """`served`: the bare repository behind `url`. `cluster`: outlives agents, as a cluster does."""

    url: str
    served: Path
    checkout: Path
    directory: Path
    cluster: SimulatedCluster
    agents: int = 0
    skew: float = 0.0  # seconds that the agent's clock is ahead
    agent: Agent | None = None
    task: asyncio.Task[None] | None = None
    _http: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    # ---- humans

    def commit(self, files: Text, *, message: str = "change") -> str:
        """A human's commit on main: text by path, None deletes. The agent is told at once."""
        for path in [path for path, text in files.items() if text is None]:
            (self.checkout / path).unlink()
        texts = {path: text for path, text in files.items() if text is not None}
        commit = commit_files(self.checkout, texts, message=message)
        git("push", "--quiet", self.url, "HEAD:main", cwd=self.checkout)
        if self.agent is not None:
            self.agent.refresh()
        return commit

    # ---- the agent

    async def start(
        self, *, fresh: bool = False, poll: float = 10.0, url: str | None = None, main: str = "main"
    ) -> Agent:
        """Starts an agent, with a data directory of its own if it is to be `fresh`. `url`: another way to it. `main`:
        the branch where people work."""
        self.agents += fresh
        http = await self._http.enter_async_context(reports.session())
        settings = Settings(
            repository=url or self.url,
            cluster=CLUSTER,
            main=main,
            data=self.directory / str(self.agents),
            poll=poll,
            window=0.02,
            version=VERSION,
        )
        self.agent = Agent(settings=settings, cluster=self.cluster, http=http, clock=self.now)
        self.task = asyncio.create_task(self.agent.run())
        return self.agent

    def now(self) -> float:
        """The time by the agent's clock, POSIX seconds."""
        return time.time() + self.skew

    async def kill(self) -> None:
        """Ends the agent wherever it is."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
            assert self.task.cancelled(), self.task.exception()
        self.agent = self.task = None

    async def stop(self) -> None:
        """Ends the agent and what it used."""
        await self.kill()
        await self._http.aclose()

    # ---- what is seen

    @property
    def tree(self) -> Tree:
        """The status tree as the agent has it."""
        assert self.agent is not None
        assert self.agent.branch.tree is not None
        return self.agent.branch.tree

    def scorer(self) -> DeploymentStatus | None:
        """The status of the Deployment fraud/scorer, None while there is none."""
        tree = self.agent.branch.tree if self.agent is not None else None
        return tree.deployments.get(SCORER) if tree is not None else None

    def is_at(self, stage: Stage, revision: int | None = None) -> bool:
        """Whether fraud/scorer is at `stage`, and `revision` its current one."""
        status = self.scorer()
        if status is None or status.stage is not stage or status.progress is not None:
            return False
        return revision is None or (status.current is not None and status.current.revision == str(revision))

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Waits for a condition; an agent that ended is told at once."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self.task is None or not self.task.done(), f"the agent ended: {self.task}"
            assert time.monotonic() < end, f"not seen: {what}: {self.scorer()}\n" + "\n".join(self.subjects())
            await asyncio.sleep(0.005)

    async def until_at(self, stage: Stage, revision: int | None = None) -> None:
        """Waits for fraud/scorer to be at `stage` with nothing in hand."""
        await self.until(lambda: self.is_at(stage, revision), f"{stage} {revision or ''}")

    def serving(self) -> set[str | None]:
        """What the pods serve as scorer."""
        models = [pod.models.get("scorer") for pod in self.cluster.pods.values()]
        return {model.serving if model else None for model in models}

    # ---- the branch

    def subjects(self) -> list[str]:
        """Subjects of the agent's branch, oldest first."""
        return _lines("log", "--reverse", "--format=%s", BRANCH, cwd=self.served)

    def commits(self) -> list[str]:
        """Ids of the agent's branch, oldest first."""
        return _lines("log", "--reverse", "--format=%H", BRANCH, cwd=self.served)

    def files(self, revision: str = BRANCH) -> list[str]:
        """Paths on the agent's branch."""
        return _lines("ls-tree", "-r", "--name-only", revision, cwd=self.served)

    def show(self, path: str, revision: str = BRANCH) -> str:
        """A file of the agent's branch."""
        return git("show", f"{revision}:{path}", cwd=self.served)

    def check_history(self) -> None:
        """What must be true of every commit of the agent: it changes something, its files are those of its status tree,
        and `fresco verify` finds nothing in it."""
        trees = _lines("log", "--format=%T", BRANCH, cwd=self.served)
        assert all(one != other for one, other in pairwise(trees)), "a commit has its parent's tree"
        writer = WriteBack(directory=self.directory / "check", url=self.url, main="main", branch=BRANCH)
        writer.fetch()
        for commit in _lines("log", "--author=fresco-agent", "--format=%H", BRANCH, cwd=self.served):
            assert deviations(writer.repository, commit) == {}, commit
        commits = git("rev-list", "--reverse", "--first-parent", BRANCH, cwd=self.served).splitlines()
        for one in replay(writer.repository, commits, base=None, version=VERSION):
            author, _ = writer.repository.writers_of(one.commit)
            assert not one.problems or author.name != trailers.AUTHOR[0], one


@contextlib.asynccontextmanager
async def harness(git_server: GitServer, repositories: Path, directory: Path) -> AsyncIterator[Harness]:
    """Everything but an agent, with an empty repository."""
    served = bare_repository(repositories / "models.git")
    checkout = directory / "human"
    checkout.mkdir()
    git("init", "--quiet", "--initial-branch=main", cwd=checkout)
    cluster = SimulatedCluster(served)
    made = Harness(git_server.url("models.git"), served, checkout, directory, cluster)
    try:
        yield made
    finally:
        await made.stop()
        await cluster.stop()


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": "fraud"}, "spec": spec}


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False)


def _lines(*arguments: str, cwd: Path) -> list[str]:
    return git(*arguments, cwd=cwd).splitlines()
