"""Which file holds which object: the whole rendered tree, or what of it differs between two statuses. Pure.

The unit of work is a server's directory, a route, a status file or a page: one changed Deployment renders anew what is
made from it, and nothing else.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from render import objects, places, status_page, tree
from render.emit import emit
from render.objects.base import Fleet, Object
from render.objects.model_config import is_gated
from schemas.status import DeploymentStatus, RepositoryStatus, ServerStatus, Tree

MANIFESTS = "manifests"
FOLDERS = (MANIFESTS, tree.FOLDER)  # what belongs to the agent on its branch, besides the page

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Index:
    """A status tree with its Deployments by server."""

    tree: Tree
    by_server: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def fleet(self, key: str) -> Fleet | None:
        """All that the server `key` is rendered from."""
        server = self.tree.servers.get(key)
        if server is None:
            return None
        deployments = (self.tree.deployments[one] for one in self.by_server.get(key, ()))
        there = [view for one in deployments for view in places.views(one) if places.home(view) == key]
        return Fleet(self.tree.repository, server, tuple(there))

    def routed(self, key: str) -> tuple[ServerStatus, DeploymentStatus] | None:
        """The server that the route of the Deployment `key` leads to, and the Deployment as it is there."""
        status = self.tree.deployments.get(key)
        view = places.routed(status) if status is not None else None
        server = self.tree.servers.get(places.home(view) or "") if view is not None else None
        return (server, view) if server is not None and view is not None else None


def index(status: Tree) -> Index:
    """Sorts the Deployments of `status` to their servers."""
    by_server: dict[str, list[str]] = defaultdict(list)
    for key in sorted(status.deployments):
        for server in places.homes(status.deployments[key]):
            by_server[server].append(key)
    return Index(status, {key: tuple(keys) for key, keys in by_server.items()})


def manifests(status: Tree) -> Files:
    """All manifests of `status`, by path. Raises as `objects.server_objects` does."""
    return dict(_manifests(status))


def count(status: Tree) -> int:
    """How many manifests there are of `status`: they are made, but not written as YAML."""
    indexed = index(status)
    fleets = (indexed.fleet(key) for key in status.servers)
    routes = sum(_route(key, indexed) is not None for key in status.deployments)
    return routes + sum(len(objects.server_objects(one)) for one in fleets if one is not None)


def files(status: Tree) -> Files:
    """The whole content of a cluster's branch: status, manifests and pages."""
    return dict(one_by_one(status))


def one_by_one(status: Tree) -> Iterator[tuple[str, bytes]]:
    """As `files`, each with its path when it is asked for: all at once are many."""
    yield from _status_files(status, sorted(status.servers), sorted(status.deployments))
    yield from _manifests(status)
    yield from _pages(status, _namespaces(status)).items()


def changes(before: Tree | None, after: Tree) -> dict[str, bytes | None]:
    """What differs on a cluster's branch between two statuses: content by path, None for a file that goes.

    Costs what differs, and a look at each status: what is the same object is equal.
    """
    if before is None:
        return dict(files(after))
    old, new = index(before), index(after)
    servers = _differing(before.servers, after.servers)
    deployments = _differing(before.deployments, after.deployments)
    changed: dict[str, bytes | None] = {}
    for key in _fleets(old, new, servers, deployments):
        one, other = old.fleet(key), new.fleet(key)
        if _server_input(one) != _server_input(other):
            changed |= _difference(_server_files(key, one), _server_files(key, other))
    for key in _routes(old, new, servers, deployments):
        if _route_input(old, key) != _route_input(new, key):
            changed |= _difference(_route_files(key, old), _route_files(key, new))
    changed |= _difference(*(dict(_status_files(one, servers, deployments)) for one in (before, after)))
    namespaces = {key.split("/")[0] for key in (*servers, *deployments)}
    changed |= _difference(*(_pages(one, namespaces & _namespaces(one)) for one in (before, after)))
    return changed


# ---- manifests


def _manifests(status: Tree) -> Iterator[tuple[str, bytes]]:
    indexed = index(status)
    for key in sorted(status.servers):
        yield from _server_files(key, indexed.fleet(key)).items()
    for key in sorted(status.deployments):
        yield from _route_files(key, indexed).items()


def _server_files(key: str, fleet: Fleet | None) -> Files:
    if fleet is None:
        return {}
    namespace, _, name = key.partition("/")
    made = objects.server_objects(fleet)
    return {f"{MANIFESTS}/{namespace}/servers/{name}/{file}.yaml": emit(one) for file, one in made.items()}


def _route_files(key: str, indexed: Index) -> Files:
    made = _route(key, indexed)
    namespace, _, name = key.partition("/")
    return {f"{MANIFESTS}/{namespace}/routes/{name}.yaml": emit(made)} if made is not None else {}


def _route(key: str, indexed: Index) -> Object | None:
    found = indexed.routed(key)
    if found is None:
        return None
    server, status = found
    return objects.route_object(Fleet(indexed.tree.repository, server), status)


def _server_input(fleet: Fleet | None) -> object:
    if fleet is None:
        return None
    server = (fleet.server.current, fleet.server.candidate, fleet.server.slices)
    return server, [
        (one.metadata.name, one.current, one.candidate, one.slices, is_gated(one)) for one in fleet.deployments
    ]


def _route_input(indexed: Index, key: str) -> object:
    found = indexed.routed(key)
    if found is None:
        return None
    server, status = found
    closed = [name for name, one in server.slices.items() if not one.routed]
    return indexed.tree.repository.gateway, closed, status.route, status.traffic, status.current, status.candidate


# ---- status and pages


def _status_files(status: Tree, servers: Iterable[str], deployments: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The status of the repository, and those of `servers` and `deployments` that there are."""
    statuses: dict[str, RepositoryStatus | ServerStatus | DeploymentStatus] = {
        tree.REPOSITORY_PATH: status.repository,
        **{tree.server_path(key): status.servers[key] for key in servers if key in status.servers},
        **{tree.deployment_path(key): status.deployments[key] for key in deployments if key in status.deployments},
    }
    return ((path, emit(tree.builtins(one))) for path, one in statuses.items())


def _pages(status: Tree, namespaces: Iterable[str]) -> Files:
    pages = {status_page.path(one): status_page.namespace(status, one).encode() for one in sorted(namespaces)}
    return {status_page.INDEX: status_page.index(status).encode(), **pages}


def _namespaces(status: Tree) -> set[str]:
    return {key.split("/")[0] for key in (*status.servers, *status.deployments)}


# ---- what differs


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    keys = before.keys() | after.keys()
    others = sorted(key for key in keys if before.get(key) is not after.get(key))
    return [key for key in others if before.get(key) != after.get(key)]


def _fleets(old: Index, new: Index, servers: Iterable[str], deployments: Iterable[str]) -> list[str]:
    """The servers that differ, and those that a Deployment which differs is on, or was."""
    trees = (old.tree, new.tree)
    homes = [places.homes(one.deployments[key]) for key in deployments for one in trees if key in one.deployments]
    return sorted(set(servers).union(*homes))


def _routes(old: Index, new: Index, servers: Iterable[str], deployments: Iterable[str]) -> list[str]:
    """The Deployments that differ, and those on a server that does; with another gateway all."""
    if old.tree.repository.gateway != new.tree.repository.gateway:
        return sorted(old.tree.deployments.keys() | new.tree.deployments.keys())
    housed = {key for server in servers for one in (old, new) for key in one.by_server.get(server, ())}
    return sorted(housed.union(deployments))


def _difference(before: Files, after: Files) -> dict[str, bytes | None]:
    gone: dict[str, bytes | None] = {path: None for path in before if path not in after}
    return gone | {path: content for path, content in after.items() if before.get(path) != content}
