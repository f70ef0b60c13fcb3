"""Which branch belongs to which cluster, and where it is. I/O: a git repository."""

from dataclasses import dataclass

from render import resolve, settings, trailers
from render.branch_files import BranchReader
from render.document import REPOSITORY_FILE
from render.errors import NotFound
from render.explain import listed
from render.load import load_file
from render.repository import Repository
from schemas.resources import Cluster as ClusterSpec
from schemas.resources import RepositorySpec
from schemas.status import Tree

_REMOTE = "refs/remotes/origin/"
_LOCAL = "refs/heads/"


@dataclass(frozen=True, slots=True)
class ClusterBranch:
    """A cluster, its branch, and the reference that has the newest of it."""

    cluster: str
    branch: str
    reference: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A cluster's branch as it was at one look. `written_at`: POSIX seconds. `source`: the commit on the humans' branch
    that it was made of, as it says."""

    cluster: str
    branch: str
    commit: str
    written_at: int
    source: str | None
    status: Tree


class Looks:
    """Clusters' branches, looked at again and again: a branch that has not moved is not read again, and of one that
    has only what differs."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._readers: dict[str, BranchReader] = {}

    def at(self, one: ClusterBranch) -> Seen:
        """The branch as it is now. Raises NotFound and StatusUnreadable."""
        commit = self.repository.resolve(one.reference)
        if commit is None:
            raise NotFound(f"the branch {one.branch} is gone")
        reader = self._readers.setdefault(one.reference, BranchReader(self.repository))
        if reader.commit != commit:
            reader.turn_to(commit)
        status = reader.status()
        if status is None:
            raise NotFound(f"{one.branch} has no status: is it the cluster's branch?")
        source = self.repository.trailers_of(commit).get(trailers.SOURCE)
        return Seen(one.cluster, one.branch, commit, self.repository.time_of(commit), source, status)


def select(repository: Repository, cluster: str | None) -> list[ClusterBranch]:
    """The branch of `cluster`, or those of all clusters that have one. Raises NotFound when there is none."""
    known = _clusters(repository)
    names = [cluster] if cluster is not None else sorted(known)
    branches = [(name, known.get(name, resolve.default_branch(name))) for name in names]
    found = [
        ClusterBranch(name, branch, at)
        for name, branch in branches
        if (at := reference(repository, branch)) is not None
    ]
    if found:
        return found
    if cluster is not None and known and cluster not in known:
        raise NotFound(f"there is no cluster {cluster!r}, there is {listed(sorted(known))}")
    lacking = listed([branch for _, branch in branches] or [resolve.default_branch("<name>")])
    raise NotFound(f"there is no branch {lacking} in this repository: has the agent begun, and is it fetched?")


def _clusters(repository: Repository) -> dict[str, str]:
    """Branch by cluster: those that `fresco.yaml` names, and those that are called as the agent does without it."""
    names = [name.removeprefix(prefix) for prefix in (_LOCAL, _REMOTE) for name in repository.references(prefix)]
    by_name = {name.removeprefix(resolve.BRANCHES): name for name in names if name.startswith(resolve.BRANCHES)}
    named = {one.name: resolve.branch(one) for one in _spec(repository)}
    taken = set(named.values())
    return {name: branch for name, branch in by_name.items() if branch not in taken} | named


def _spec(repository: Repository) -> tuple[ClusterSpec, ...]:
    """The clusters of `fresco.yaml` as the checked out commit has it; nothing where that has none that is valid."""
    head = repository.resolve("HEAD")
    blob = repository.files(head).get(REPOSITORY_FILE) if head is not None else None
    spec = settings.of_file(load_file(REPOSITORY_FILE, repository.read(blob)) if blob is not None else None)
    return spec.clusters if isinstance(spec, RepositorySpec) else ()


def reference(repository: Repository, branch: str) -> str | None:
    """Where the newest of the branch is: as it was seen at the remote, or here, if that goes on from it."""
    found = {name: at for name in (f"{_REMOTE}{branch}", f"{_LOCAL}{branch}") if (at := repository.resolve(name))}
    if len(found) < 2:
        return next(iter(found), None)
    (remote, seen), (local, here) = found.items()
    return local if repository.is_ancestor(ancestor=seen, commit=here) else remote
