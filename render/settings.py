"""What `fresco.yaml` says for one cluster. Pure."""

from dataclasses import dataclass
from difflib import get_close_matches

from render import validate
from render.document import REPOSITORY_FILE, Loaded
from render.explain import listed
from render.resource import REPOSITORY, Resource, identify
from render.rules import Rule
from render.validate import Scope
from schemas.resources import Cluster, Repository, RepositorySpec
from schemas.status import Finding


@dataclass(frozen=True, slots=True)
class Settings:
    """The valid Repository, and the one of its clusters that is meant."""

    spec: RepositorySpec
    cluster: Cluster

    def scope(self, namespace: str) -> Scope:
        """What resources of `namespace` may use."""
        return Scope(namespace, self.spec.namespaces.get(namespace), self.spec.images, self.cluster.local)


def find(loaded: Loaded, cluster: str) -> Settings | tuple[Finding, ...]:
    """The settings for `cluster`, or findings: with them nothing can be accepted."""
    spec = read(loaded)
    if isinstance(spec, tuple):
        return spec
    for one in spec.clusters:
        if one.name == cluster:
            return Settings(spec, one)
    names = [one.name for one in spec.clusters]
    close = get_close_matches(cluster, names, 1)
    hint = f"did you mean {close[0]}?" if close else None
    return (_finding(Rule.UNKNOWN_CLUSTER, f"expected a cluster called {cluster!r}, there is {listed(names)}", hint),)


def read(loaded: Loaded) -> RepositorySpec | tuple[Finding, ...]:
    """The Repository of `fresco.yaml`, or findings why there is none."""
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


def _checked(resource: Resource) -> RepositorySpec | tuple[Finding, ...]:
    if not isinstance(resource.spec, Repository):
        return resource.findings
    spec = resource.spec.spec
    return tuple(validate.repository(resource, spec)) or spec


def _finding(rule: Rule, message: str, hint: str | None) -> Finding:
    return Finding(file=REPOSITORY_FILE, line=1, column=1, rule=rule.value, message=message, hint=hint)
