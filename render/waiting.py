"""What has come of a commit, looked at again and again on the branches of the clusters that it is for. I/O: git."""

from collections.abc import Sequence

from render import branches, report, resolve, settings
from render.branches import ClusterBranch, Looks, Seen
from render.characters import one_line
from render.document import Loaded
from render.errors import InvalidRepository, NotFound
from render.follow import Asked
from render.repository import Repository
from render.source import Source
from schemas.resources import Cluster, RepositorySpec
from schemas.verdicts import Verdict


class Waiting:
    """Waits for `revision` on `cluster`, or on all that its own `fresco.yaml` names.

    Raises NotFound where there is no such revision or cluster, and InvalidRepository when that `fresco.yaml` is missing
    or broken.
    """

    def __init__(self, repository: Repository, revision: str, cluster: str | None) -> None:
        commit = repository.commit_named(revision)
        self.repository = repository
        self.commit = commit
        self._source = Source()
        parents = [one for one in repository.parents(commit)[:1] if repository.resolve(one) is not None]
        before = self._source.read(repository, parents[0]) if parents else None
        after = self._source.read(repository, commit)
        self._clusters = _clusters(after, cluster)
        self._asked = {one.name: Asked(before, after, one.name) for one in self._clusters}
        self._looks = Looks(repository)
        self._newer: tuple[str, Loaded] | None = None
        self._last: dict[str, tuple[str, list[Verdict]]] = {}

    def look(self) -> list[Verdict]:
        """What has come of each of its resources, on each cluster."""
        return [verdict for one in self._clusters if self._asked[one.name].resources for verdict in self._look(one)]

    def line(self, verdict: Verdict) -> str:
        """A verdict for people."""
        where = f"{verdict.cluster}: " if len(self._clusters) > 1 else ""
        return one_line(f"{where}{verdict.resource}: {verdict.outcome}: {verdict.message}")

    def _look(self, one: Cluster) -> list[Verdict]:
        """A branch that is not there yet will come with the agent's first look."""
        branch = resolve.branch(one)
        reference = branches.reference(self.repository, branch)
        if reference is None:
            return self._asked[one.name].verdicts(None, None)
        seen = self._looks.at(ClusterBranch(one.name, branch, reference))
        known = self._last.get(one.name)
        if known is None or known[0] != seen.commit:
            known = seen.commit, self._asked[one.name].verdicts(seen.status, self._after(seen))
            self._last[one.name] = known
        return known[1]

    def _after(self, seen: Seen) -> Loaded | None:
        """The files that the agent has seen, if it has seen a commit that was made on top of this one."""
        source = self.repository.resolve(seen.source) if seen.source is not None else None
        if source is None or source == self.commit:
            return None
        if not self.repository.is_ancestor(ancestor=self.commit, commit=source):
            return None
        if self._newer is None or self._newer[0] != source:
            self._newer = source, self._source.read(self.repository, source)
        return self._newer[1]


def _clusters(loaded: Loaded, name: str | None) -> Sequence[Cluster]:
    spec = settings.read(loaded)
    if not isinstance(spec, RepositorySpec):
        raise InvalidRepository("; ".join(report.line(one) for one in spec))
    found = [one for one in spec.clusters if name in (None, one.name)]
    if not found:
        there = ", ".join(one.name for one in spec.clusters)
        raise NotFound(f"fresco.yaml has no cluster {name!r}, there is {there}")
    return found
