"""Which branch belongs to which cluster, and where it is. I/O: a git repository."""

from dataclasses import dataclass

from render import settings
from render.document import REPOSITORY_FILE, Loaded
from render.errors import NotFound
from render.explain import listed
from render.load import load_file
from render.repository import Repository
from schemas.resources import Cluster as ClusterSpec
from schemas.resources import RepositorySpec

PREFIX = "clusters/"
_REMOTE = "refs/remotes/origin/"
_LOCAL = "refs/heads/"


@dataclass(frozen=True, slots=True)
class ClusterBranch:
    """A cluster, its branch, and the reference that has the newest of it."""

    cluster: str
    branch: str
    reference: str


def select(repository: Repository, cluster: str | None) -> list[ClusterBranch]:
    """The branch of `cluster`, or those of all clusters that have one. Raises NotFound when there is none."""
    known = _clusters(repository)
    names = [cluster] if cluster is not None else sorted(known)
    branches = [(name, known.get(name, f"{PREFIX}{name}")) for name in names]
    found = [
        ClusterBranch(name, branch, reference)
        for name, branch in branches
        if (reference := _reference(repository, branch)) is not None
    ]
    if found:
        return found
    there = f"there is {listed(sorted(known))}" if known else "there is none"
    what = f"no branch of the cluster {cluster!r}" if cluster is not None else "no cluster's branch"
    raise NotFound(f"{what} in this repository: {there}; is it fetched?")


def _clusters(repository: Repository) -> dict[str, str]:
    """Branch by cluster: those that `fresco.yaml` names, and those that are called as the agent does without it."""
    names = [name.removeprefix(prefix) for prefix in (_LOCAL, _REMOTE) for name in repository.references(prefix)]
    by_name = {name.removeprefix(PREFIX): name for name in names if name.startswith(PREFIX)}
    named = {one.name: one.branch or f"{PREFIX}{one.name}" for one in (_spec(repository) or ())}
    taken = set(named.values())
    return {name: branch for name, branch in by_name.items() if branch not in taken} | named


def _spec(repository: Repository) -> tuple[ClusterSpec, ...] | None:
    """The clusters of `fresco.yaml` as the checked out commit has it; None where that has none that is valid."""
    head = repository.resolve("HEAD")
    blob = repository.files(head).get(REPOSITORY_FILE) if head is not None else None
    if blob is None:
        return None
    file = load_file(REPOSITORY_FILE, repository.read(blob))
    spec = settings.read(Loaded({REPOSITORY_FILE: file}))
    return spec.clusters if isinstance(spec, RepositorySpec) else None


def _reference(repository: Repository, branch: str) -> str | None:
    """Where the branch was seen at the remote, which is newer than a local one; else the local one."""
    names = (f"{prefix}{branch}" for prefix in (_REMOTE, _LOCAL))
    return next((name for name in names if repository.resolve(name) is not None), None)
