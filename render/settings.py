"""What `fresco.yaml` says for one cluster. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from render import resolve, validate
from render.document import REPOSITORY_FILE, Document, Loaded, LoadedFile
from render.explain import listed
from render.resource import REPOSITORY, Resource, identify
from render.rules import Rule
from render.second import Context, with_both
from render.validate import Scope
from schemas.resources import Cluster, Repository, RepositorySpec
from schemas.status import Finding


@dataclass(frozen=True, slots=True)
class Settings:
    """The valid Repository, and the one of its clusters that is meant. `document`: where it is written; `index`: of the
    cluster among the Repository's. `findings`: warnings about that."""

    document: Document
    spec: RepositorySpec
    cluster: Cluster
    index: int
    findings: tuple[Finding, ...] = ()

    def scope(self, namespace: str) -> Scope:
        """What resources of `namespace` may use."""
        cluster, grant = self.cluster, self.spec.namespaces.get(namespace)
        return Scope(namespace, grant, self.spec.images, cluster.local, cluster.gateway)


def find(loaded: Loaded, cluster: str) -> Settings | tuple[Finding, ...]:
    """The settings for `cluster`, or findings: with them nothing can be accepted."""
    found = _read(loaded)
    if not isinstance(found, _Read):
        return found
    resource, spec = found
    for index, one in enumerate(spec.clusters):
        if one.name == cluster:
            return Settings(resource.document, spec, one, index, tuple(validate.gateway(resource, spec, cluster)))
    names = [one.name for one in spec.clusters]
    close = get_close_matches(cluster, names, 1)
    hint = f"did you mean {close[0]}?" if close else None
    return (_finding(Rule.UNKNOWN_CLUSTER, f"expected a cluster called {cluster!r}, there is {listed(names)}", hint),)


def read(loaded: Loaded) -> RepositorySpec | tuple[Finding, ...]:
    """The Repository of `fresco.yaml`, or findings why there is none."""
    found = _read(loaded)
    return found.spec if isinstance(found, _Read) else found


def of_file(file: LoadedFile | None) -> RepositorySpec | tuple[Finding, ...]:
    """The same of `fresco.yaml` alone; None where there is no such file."""
    return read(Loaded({REPOSITORY_FILE: file} if file is not None else {}))


class _Read(NamedTuple):
    """A valid Repository, and where it stands."""

    resource: Resource
    spec: RepositorySpec


def _read(loaded: Loaded) -> _Read | tuple[Finding, ...]:
    file = loaded.files.get(REPOSITORY_FILE)
    if file is not None and file.findings:
        return file.findings
    found = [identify(document) for document in (file.documents if file is not None else ())]
    mine = [one for one in found if isinstance(one, Resource) and one.kind == REPOSITORY]
    if not mine:
        missing = _finding(
            Rule.NO_REPOSITORY, "expected a Repository in fresco.yaml at the top of the repository", None
        )
        return tuple(one for one in found if isinstance(one, Finding)) or (missing,)
    if len(mine) > 1:
        return (
            mine[1].finding(
                Rule.EXTRA_REPOSITORY,
                (),
                f"there is another Repository in line {mine[0].document.line}",
                other=mine[0].place(()),
            ),
        )
    return _checked(mine[0])


def _checked(resource: Resource) -> _Read | tuple[Finding, ...]:
    if not isinstance(resource.spec, Repository):
        return resource.findings
    spec = resource.spec.spec
    context = Context(resource.document, _slowest(spec.clusters))
    return tuple(with_both(one, context) for one in validate.repository(resource, spec)) or _Read(resource, spec)


def _slowest(clusters: Sequence[Cluster]) -> int:
    """The index of the cluster whose gateway needs longest for a change of weights: what a default is held against."""
    return max(range(len(clusters)), key=lambda index: resolve.settle(clusters[index].gateway))


def _finding(rule: Rule, message: str, hint: str | None) -> Finding:
    return Finding(file=REPOSITORY_FILE, line=1, column=1, rule=rule.value, message=message, hint=hint)
