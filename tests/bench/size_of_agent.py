"""The agent's part of `size`: one change, and its memory, in a turn of its own and as the whole program."""

import gc
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from agent.local.git_server import serving
from agent.status.agenda import concerned
from agent.status.branch import Branch
from agent.status.writeback import Account, Outcome, WriteBack
from render.repository import Repository
from render.rollout import advance
from render.rollout.observation import Observation, key
from tests.bench import many_sidecars
from tests.bench.large_fleet import AUTHOR, BRANCH, MAIN, NOW, Fleet, deployments
from tests.bench.numbers import Figures, comparison, megabytes, ratio, table, timed
from tests.bench.still_fleet import cluster_state, observation, slices
from tests.support.fleet import CLUSTER, revised
from tests.support.git import git
from tests.support.sidecar import ROOT
from tests.support.triton import wait_until

CHANGES = 10
CHANGE_GOAL = 0.5  # seconds
MEMORY_GOAL = 500 << 20
_SPARE_FILES = 500  # that a process opens besides its connections


def lines(fleet: Fleet, folder: Path) -> list[str]:
    """Measures, and gives the lines to print. `folder`: for what is made on the way."""
    paths = deployments(fleet)
    every = len(paths) // CHANGES
    with serving(fleet.remote.parent) as server:
        url = server.url(fleet.remote.name)
        turns = _turns(fleet, folder / "turns", url, paths[::every])
        peer = _by_git(folder / "by-git", url)
        whole = _whole(fleet, folder, url, paths[1::every], peer)
    return [
        "  one changed Deployment, from fetching main to the pushed commit:",
        *table(("Fresco: a turn of the agent", turns), ("peer: git commit and push, one file", peer)),
        *comparison(turns, peer, goal=CHANGE_GOAL),
        *whole,
    ]


# ---- a turn


def _turns(fleet: Fleet, directory: Path, url: str, paths: list[str]) -> Figures:
    branch = Branch(
        WriteBack(directory=directory, url=url, main="main", branch=BRANCH.removeprefix("refs/heads/")), cluster=CLUSTER
    )
    seen = observation(fleet.tree, NOW)
    _turn(branch, seen)  # the first one compares every file
    gc.collect()
    gc.freeze()  # what the bench holds is none of the agent's
    found = []
    for path in paths:
        _revise(fleet, path)
        found.append(timed(lambda: _turn(branch, seen)))
    return Figures(found)


def _turn(branch: Branch, seen: Observation) -> None:
    """What the agent does when main has moved: all that is between waiting and waiting again."""
    before = branch.wanted
    branch.refresh()
    assert branch.tree is not None
    assert branch.wanted is not None
    advanced = advance(branch.tree, branch.wanted, seen, concerned(before, branch.wanted, branch.tree))
    account = Account(reasons=advanced.reasons, because="main moved", source=branch.tips.main, version="0", at=NOW)
    written = branch.write(advanced.tree, account)
    assert written.outcome in (Outcome.WRITTEN, Outcome.UNCHANGED), written


def _revise(fleet: Fleet, path: str) -> str:
    """Somebody pushes another revision of the Deployment in `path` to main: the commit."""
    git_repository = Repository.open(fleet.remote)
    changes = {path: revised(fleet.source[path], "next")}
    commit = git_repository.commit_tree(git_repository.resolve(MAIN), dict(changes), "Revise\n", AUTHOR)
    git_repository.set_reference(MAIN, commit)
    return commit


# ---- the whole agent


def _whole(fleet: Fleet, folder: Path, url: str, paths: list[str], peer: Figures) -> list[str]:
    pods = sum(len(one.pods) for one in slices(fleet.tree))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < pods + _SPARE_FILES:
        needed = f"{pods + _SPARE_FILES} open files, this machine allows {hard} (ulimit -Hn)"
        return [f"  the whole agent: not measured, it needs {needed}"]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with _running_agent(fleet, folder, url) as agent:
        begun = agent.answer()
        ours = Figures([_change(fleet, agent, path) for path in paths])
        after = agent.ask("memory")
    most = after["most"]
    return [
        f"  one changed Deployment, while the agent polls {pods} replicas:",
        *table(("Fresco: from the push to the agent's commit", ours), ("peer: git commit and push, one file", peer)),
        *ratio(ours, peer),
        f"  the agent's start, to its first decision: {begun['seconds']:.1f} s",
        f"  its memory: {megabytes(begun['now'])} then, {megabytes(after['now'])} after the changes",
        f"  at most {megabytes(most)}; goal ≤ {megabytes(MEMORY_GOAL)}: {'met' if most <= MEMORY_GOAL else 'missed'}",
    ]


class LargeAgent:
    """`tests.bench.large_agent`, running."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def answer(self) -> dict[str, float]:
        """Its next line. Raises AssertionError when it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the agent ended: {self._process.wait()}"
        found: dict[str, float] = json.loads(line)
        return found

    def ask(self, word: str) -> dict[str, float]:
        """What it says to `word`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self.answer()


@contextmanager
def _running_agent(fleet: Fleet, folder: Path, url: str) -> Iterator[LargeAgent]:
    numbers = iter(range(1 << 20))
    hosts: dict[str, str] = {}
    served: many_sidecars.Slices = []
    for one in slices(fleet.tree):
        here = {many_sidecars.address(next(numbers)): name for name in one.pods}
        hosts |= {key(one.server.metadata.namespace, name): host for host, name in here.items()}
        served.append((msgspec.json.encode(one.report(many_sidecars.POD)).decode(), here))
    (folder / "sidecars.json").write_bytes(msgspec.json.encode(served))
    with ExitStack() as stack:
        sidecars = stack.enter_context(_process("tests.bench.many_sidecars", str(folder / "sidecars.json")))
        assert sidecars.stdout is not None
        port = sidecars.stdout.readline().strip()
        state = cluster_state(fleet.tree, {name: f"{host}:{port}" for name, host in hosts.items()})
        (folder / "cluster.json").write_bytes(msgspec.json.encode(state))
        yield LargeAgent(stack.enter_context(_process("tests.bench.large_agent", str(folder), url)))


@contextmanager
def _process(*module: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", *module]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _change(fleet: Fleet, agent: LargeAgent, path: str) -> float:
    """Seconds from a push to main that changes `path` until what came of it is at the remote."""
    commit = _revise(fleet, path)
    git_repository = Repository.open(fleet.remote)

    def written() -> bool:
        tip = git_repository.resolve(BRANCH)
        return tip is not None and git_repository.trailers_of(tip).get("Source-Commit") == commit

    def work() -> None:
        agent.ask("refresh")
        wait_until(written, what=f"the agent's commit on {commit}", seconds=600.0)

    return timed(work)


# ---- git


def _by_git(checkout: Path, url: str) -> Figures:
    """Seconds that git needs to commit a changed file of the cluster's branch and to push it."""
    git("clone", "--quiet", "--branch", BRANCH.removeprefix("refs/heads/"), url, str(checkout), cwd=checkout.parent)
    paths = sorted(checkout.glob("status/*/deployments/*.yaml"))
    return Figures([_commit_by_git(checkout, path) for path in paths[:CHANGES]])


def _commit_by_git(checkout: Path, path: Path) -> float:
    path.write_text(path.read_text("utf-8").replace("message: ", "message: again ", 1), "utf-8")

    def work() -> None:
        git("commit", "--quiet", "--all", "--message", "Revise", cwd=checkout)
        git("push", "--quiet", cwd=checkout)

    return timed(work)
