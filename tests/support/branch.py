"""A cluster's branch in a git repository, written as the agent writes it, of what the simulator decides."""

from pathlib import Path
from typing import Final

import msgspec

from agent.status.writeback import Account, describe
from render import plan, trailers
from render.repository import Author, Repository
from schemas.status import Tree
from tests.support.git import git
from tests.support.simulator import Simulator

BRANCH: Final = "clusters/prod"


class SimulatedBranch:
    """Every commit of `simulator` becomes one of the branch `name` of the repository at `path`. `written`: the tree of
    the last one."""

    def __init__(self, path: Path, simulator: Simulator, *, name: str = BRANCH) -> None:
        path.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--initial-branch=main", cwd=path)
        self.path = path
        self.reference = f"refs/heads/{name}"
        self.repository = Repository.open(path)
        self.epoch = 1
        self.version = trailers.installed_version()
        self.source: str | None = None
        self._simulator = simulator
        self.written: Tree | None = None
        simulator.after_commit = self.write

    @property
    def tip(self) -> str | None:
        """The newest commit."""
        return self.repository.resolve(self.reference)

    def write(self) -> None:
        """Commits what the simulator has decided last."""
        reasons = self._simulator.commits[-1].reasons
        account = Account(
            reasons=reasons, because="test", source=self.source, version=self.version, at=self._simulator.now
        )
        self.put(self._simulator.tree, describe(account, self.epoch))

    def put(self, tree: Tree, message: str) -> str:
        """A commit after which the branch says `tree`."""
        before, self.written = self.written, msgspec.convert(msgspec.to_builtins(tree), Tree)  # seconds are floats
        return self.commit(plan.changes(before, self.written), message)

    def commit(self, changes: dict[str, bytes | None], message: str) -> str:
        """A commit in the agent's name with exactly these changes."""
        author = Author(*trailers.AUTHOR, time=int(self._simulator.now))
        commit = self.repository.commit_tree(self.tip, changes, message, author)
        self.repository.set_reference(self.reference, commit)
        return commit

    def read(self, path: str) -> bytes:
        """A file of the newest commit."""
        assert self.tip is not None
        return self.repository.read(self.repository.files(self.tip)[path])
