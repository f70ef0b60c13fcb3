"""The files of a cluster's branch: what is there, what has to change for it to say a status tree. I/O: the clone."""

from collections.abc import Mapping

from render import plan, tree, write
from render.errors import StatusUnreadable
from render.repository import Repository
from schemas.status import Tree


class BranchFiles:
    """Knows whether the branch holds exactly what its status tree renders: then a change costs what changed."""

    def __init__(self) -> None:
        self._found: Mapping[str, str] = {}
        self.is_exact = False

    def read(self, repository: Repository, commit: str | None) -> Tree | None:
        """The status tree of `commit`, None where there is none. Raises StatusUnreadable."""
        self.is_exact = False
        self._found = repository.files(commit) if commit is not None else {}
        return tree.read({path: repository.read(blob) for path, blob in self._found.items() if tree.is_status(path)})

    def changes(self, before: Tree | None, after: Tree) -> dict[str, bytes | None]:
        """What has to change, None for files that go. `before` is what `read` gave, or what was written since.

        Raises FrescoError for a tree that cannot be rendered.
        """
        return plan.changes(before, after) if self.is_exact else write.against(self._found, plan.one_by_one(after))

    def written(self) -> None:
        """What `changes` gave last is on the branch."""
        self.is_exact = True
        self._found = {}


class BranchReader:
    """Reads one commit of a branch after the other. Costs what differs: a status whose blob is as it was is the same
    object."""

    def __init__(self, repository: Repository) -> None:
        self.blobs: dict[str, str] = {}
        self.commit: str | None = None
        self._repository = repository
        self._statuses: dict[str, tree.Status] = {}
        self._unreadable: dict[str, str] = {}

    def turn_to(self, commit: str) -> dict[str, str | None]:
        """From now on it is about `commit`. Gives what differs from the one before, as `Repository.differences`."""
        differences = self._repository.differences(self.commit, commit)
        self.commit = commit
        for path, blob in differences.items():
            self.blobs.pop(path, None)
            self._statuses.pop(path, None)
            self._unreadable.pop(path, None)
            if blob is not None:
                self.blobs[path] = blob
                if tree.is_status(path):
                    self._take(path, blob)
        return differences

    def status(self) -> Tree | None:
        """The status tree, None where there is none. Raises StatusUnreadable."""
        for path in sorted(self._unreadable)[:1]:
            raise StatusUnreadable(self._unreadable[path])
        return tree.of(self._statuses)

    def _take(self, path: str, blob: str) -> None:
        try:
            self._statuses[path] = tree.status(path, self._repository.read(blob))
        except StatusUnreadable as problem:
            self._unreadable[path] = str(problem)


def deviations(repository: Repository, commit: str) -> dict[str, bytes | None]:
    """What of `commit` is not what its own status tree renders; nothing for a commit of this version's agent."""
    files = BranchFiles()
    status = files.read(repository, commit)
    return files.changes(status, status) if status is not None else {}
