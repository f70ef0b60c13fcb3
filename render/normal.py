"""From what humans wrote to what is accepted: specs in normal form, with every default resolved. Pure.

A resource that cannot be accepted, or whose absence cannot be trusted, keeps what was accepted last.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final, NamedTuple, TypeVar

import msgspec

from render import absences, claims, compat, lockfile, resolve, second, settings, validate
from render.capacity import Size, config_bytes
from render.document import REPOSITORY_FILE, Document, Loaded, Path, concerns, prefix
from render.errors import InvalidRepository
from render.memo import Memo
from render.places import place
from render.resource import DEPLOYMENT, REPOSITORY, SERVER, Resource, place_in
from render.rules import Rule
from render.rules.second import SECOND
from render.second import Context
from render.settings import Settings
from render.validate import Host, Scope
from schemas import limits
from schemas.lockfile import FILE_NAME as LOCK_FILE
from schemas.resources import (
    BackendType,
    Deployment,
    InferenceServer,
    ModelType,
    Resources,
    RolloutDefaults,
    Strategy,
)
from schemas.status import (
    DeploymentStatus,
    Finding,
    ModelRevision,
    OtherPlace,
    Replicas,
    RepositoryStatus,
    RolloutPolicy,
    ServerStage,
    ServerStatus,
    ServerTemplate,
    SliceName,
    TrafficPolicy,
    Tree,
)

SLICE_ENDINGS: Final = ("-main", "-canary")  # of what the Services of a server's slices are called

S = TypeVar("S", ServerStatus, DeploymentStatus)
A = TypeVar("A", "WantedServer | Kept", "WantedDeployment | Kept")
Stakes = tuple[tuple[claims.Claim, ...], tuple[claims.Claim, ...]]


@dataclass(frozen=True, slots=True)
class WantedDeployment:
    """An accepted Deployment. `findings`: warnings. `source`: `file:line` on the humans' branch."""

    model: ModelRevision
    rollout: RolloutPolicy
    traffic: TrafficPolicy
    findings: tuple[Finding, ...]
    source: str


@dataclass(frozen=True, slots=True)
class WantedServer:
    """An accepted InferenceServer. `replicas`: by slice. `quorum`: percent of live pods. `deadline`: seconds for a new
    pod."""

    template: ServerTemplate
    replicas: dict[SliceName, Replicas]
    quorum: int
    deadline: float
    findings: tuple[Finding, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The last accepted state goes on; `findings` say why."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the humans' branch asks of one cluster. Keys are `namespace/name`; a key that is absent is deleted."""

    repository: RepositoryStatus
    servers: dict[str, WantedServer | Kept]
    deployments: dict[str, WantedDeployment | Kept]


def accept(loaded: Loaded, cluster: str, previous: Tree | None, memo: Memo | None = None) -> Wanted:
    """What `loaded` asks of `cluster`, whose status is `previous` (None when it has none yet).

    With the `memo` of the call before it costs what differs, and a look at each resource; the result is the same.
    Raises InvalidRepository when `fresco.yaml` is missing or broken and there is no previous state to keep.
    """
    found = settings.find(loaded, cluster)
    if isinstance(found, Settings):
        memo = memo if memo is not None else Memo()
        wanted = _Acceptance(loaded, found, previous, memo).result()
        memo.forget()
        return wanted
    if previous is None:
        raise InvalidRepository("; ".join(f"{one.file}:{one.line}:{one.column}: {one.message}" for one in found))
    return _frozen(previous, found)


def is_ground_the_same(before: Tree | None, after: Tree | None) -> bool:
    """Whether `accept` says the same of the same files on both statuses: whether what it looks at of them is equal.

    After a commit of one's own, ask this before accepting anew: most commits are progress and change nothing. Costs
    what differs between the two trees, whose equal parts are the same objects, and a look at each.
    """
    if before is None or after is None:
        return before is after
    return _alike(before.servers, after.servers, _server_ground) and _alike(
        before.deployments, after.deployments, _deployment_ground
    )


def _alike(before: Mapping[str, S], after: Mapping[str, S], ground: Callable[[S], object]) -> bool:
    if before.keys() != after.keys():
        return False
    return all(one is after[key] or ground(one) == ground(after[key]) for key, one in before.items())


def _server_ground(status: ServerStatus) -> object:
    replicas = {name: one.replicas for name, one in status.slices.items()}
    return status.stage is ServerStage.DELETE, status.current, status.candidate, replicas


def _deployment_ground(status: DeploymentStatus) -> object:
    places = {
        (one.server, one.name, one.type, one.path, one.memory, config_bytes(one))
        for one in (status.current, status.candidate)
        if one is not None
    }
    return absences.is_leaving(status), status.current is not None, places, _memory_ground(status), status.traffic


def _memory_ground(status: DeploymentStatus) -> object:
    """What tells whether a second copy needs room; nothing where memory is not told."""
    if all(one is None or one.memory is None for one in (status.current, status.candidate)):
        return None
    return status.progress is not None, _strategy(None, status), status.failed


def _frozen(previous: Tree, findings: tuple[Finding, ...]) -> Wanted:
    return Wanted(
        repository=msgspec.structs.replace(previous.repository, frozen=True, findings=findings),
        servers={key: Kept(status.findings) for key, status in previous.servers.items()},
        deployments={key: Kept(status.findings) for key, status in previous.deployments.items()},
    )


class _Acceptance:
    """One pass over everything that concerns one cluster. What is made of few inputs comes from `memo`."""

    def __init__(self, loaded: Loaded, found: Settings, previous: Tree | None, memo: Memo) -> None:
        self._settings = found
        self._previous = previous
        self._memo = memo
        self._made = memo.of
        self._locked = self._made(lockfile.read, LOCK_FILE, loaded.files.get(LOCK_FILE))
        self._unread: list[Finding] = []
        self._loose: list[Finding] = [*found.findings, *self._locked.findings]
        self._servers: dict[str, WantedServer | Kept] = {}
        self._deployments: dict[str, WantedDeployment | Kept] = {}
        self._resources: dict[str, dict[str, list[Resource]]] = {SERVER: {}, DEPLOYMENT: {}}
        self._scopes: dict[str, Scope] = {}
        self._hosts: dict[str, Host | None] = {}
        self._neighbours: Mapping[str, tuple[str, ...]] = {}
        self._namesakes: Mapping[str, tuple[str, ...]] = {}
        self._on_vllm: dict[str, Deployment] = {}
        self._sort_out(loaded)

    def result(self) -> Wanted:
        """Servers first, then what is served on them, then what each needs of the others and for itself, then what is
        missing."""
        for key, resources in self._resources[SERVER].items():
            self._servers[key] = self._server(key, resources)
        self._hosts = {key: self._host(key) for key in self._servers}
        self._neighbours = _grouped(self._servers, 0)
        self._namesakes = _grouped(self._servers, 1)
        for key, resources in self._resources[DEPLOYMENT].items():
            self._deployments[key] = self._deployment(key, resources)
        self._ask_for_bases()
        self._share()
        self._give_room()
        self._withhold()
        held = self._absent()
        self._tell_both_places()
        return Wanted(
            repository=resolve.repository_status(
                self._settings.cluster,
                max_servers_at_once=self._settings.spec.guards.max_servers_at_once,
                held_deletions=held,
                findings=_in_order([*self._unread, *self._loose]),
            ),
            servers={key: self._servers[key] for key in sorted(self._servers)},
            deployments={key: self._deployments[key] for key in sorted(self._deployments)},
        )

    # ---- what there is

    def _sort_out(self, loaded: Loaded) -> None:
        folder = prefix(self._settings.cluster.path)
        for path, file in loaded.files.items():
            if concerns(path, folder) and path != LOCK_FILE:
                self._unread.extend(file.findings)
                for document in file.documents:
                    self._sort_in(document)

    def _sort_in(self, document: Document) -> None:
        michelangelo = self._settings.spec.michelangelo
        resource = compat.identified(document, michelangelo, self._locked.by_address, self._memo)
        if isinstance(resource, Finding):
            self._unread.append(resource)
        elif resource.is_deleted:
            return
        elif resource.kind != REPOSITORY:
            self._resources[resource.kind].setdefault(resource.key, []).append(resource)
        elif document.file != REPOSITORY_FILE:
            message = "a Repository is read from fresco.yaml at the top alone"
            read = place_in(self._settings.document, ())
            self._loose.append(resource.finding(Rule.EXTRA_REPOSITORY, ("kind",), message, other=read))

    def _scope(self, key: str) -> Scope:
        namespace = key.split("/")[0]
        if namespace not in self._scopes:
            self._scopes[namespace] = self._settings.scope(namespace)
        return self._scopes[namespace]

    # ---- servers

    def _server(self, key: str, resources: list[Resource]) -> WantedServer | Kept:
        resource, *others = resources
        if others:
            return self._made(_duplicates, key, *resources)
        return self._made(_server, key, resource, self._scope(key), self._settings.spec.rollout, self._clash(key))

    def _clash(self, key: str) -> Resource | None:
        """The server one of whose slices has a Service of this very name."""
        for ending in SLICE_ENDINGS:
            other = key.removesuffix(ending)
            if other != key and other in self._resources[SERVER]:
                return self._first(SERVER, other)
        return None

    def _first(self, kind: str, key: str) -> Resource | None:
        """The resource of that name, of several the first."""
        return next(iter(self._resources[kind].get(key, ())), None)

    def _host(self, key: str) -> Host | None:
        """The server as it is accepted now, else as it was last. A backend that is not rendered replaces none."""
        server = self._servers[key]
        if isinstance(server, WantedServer) and server.template.backend is not BackendType.VLLM:
            return self._made(Host, key, server.template, server.replicas)
        before = self._previous.servers.get(key) if self._previous is not None else None
        there = _host_before(before) if before is not None else None
        if there is None and isinstance(server, WantedServer):
            return self._made(Host, key, server.template, server.replicas)
        return there

    # ---- Deployments

    def _deployment(self, key: str, resources: list[Resource]) -> WantedDeployment | Kept:
        resource, *others = resources
        if others:
            return self._made(_duplicates, key, *resources)
        if not isinstance(resource.spec, Deployment):
            return Kept(_in_order(resource.findings))
        host = self._hosts.get(_place(resource.spec))
        if host is None:
            around = self._around(key, _place(resource.spec))
            return self._made(_homeless, key, resource, self._scope(key), around)
        if host.template.backend is BackendType.VLLM:
            self._on_vllm[key] = resource.spec
        return self._made(_deployment, key, resource, self._scope(key), self._settings.spec.rollout, host)

    def _around(self, key: str, server: str) -> "_Around":
        """What there is where the Deployment `key` looks for its server."""
        namespace, _, name = server.partition("/")
        close = self._made(_closest, key, server, self._neighbours.get(namespace, ()))
        namesake = next(iter(self._namesakes.get(name, ())), "")
        is_gone = self._previous is not None and server not in self._servers and server in self._previous.servers
        return _Around(self._first(SERVER, close), self._first(SERVER, namesake), is_gone)

    # ---- what one needs of another

    def _ask_for_bases(self) -> None:
        """An adapter is a change of its server's base model, which somebody has or asks for."""
        adapters = {key: _place(spec) for key, spec in self._on_vllm.items() if _is_adapter(spec)}
        based = {*self._bases()} if adapters else set()
        at: Path = ("spec", "model", "type")
        for key, server in adapters.items():
            if server not in based:
                message = f"an adapter is a change of a base model, and no Deployment on {server} has the type base"
                self._keep(key, Rule.NO_BASE_MODEL, at, message, self._first(SERVER, server), ("metadata", "name"))

    def _bases(self) -> Iterator[str]:
        """The servers that have a base model, and those that one is asked for on, whatever is wrong with it."""
        for resources in self._resources[DEPLOYMENT].values():
            yield from (server for one in resources if (server := server_of_base(one)) is not None)
        for key, status in self._before.items():
            there = (one for one in (status.current, status.candidate) if one is not None)
            yield from (f"{_namespace(key)}/{one.server}" for one in there if one.type is ModelType.BASE)

    # ---- what only one can have

    def _share(self) -> None:
        owners = claims.Owners()
        keys = sorted(self._before.keys() | self._deployments.keys())
        stakes = {key: self._made(_stakes, key, key, self._deployments.get(key), self._before.get(key)) for key in keys}
        undisputed = {key for key, (held, _) in stakes.items() if owners.take(key, held)}
        for key in sorted(stakes, key=self._on_vllm.__contains__):  # what is not rendered takes nothing from what is
            held, needs = stakes[key]
            if needs is held and key in undisputed:
                continue
            conflict = owners.conflict(key, needs)
            if conflict is None:
                owners.take(key, needs)
            else:
                rule, path, message = _belongs(*conflict)
                self._refuse(key, rule, path, message, self._first(DEPLOYMENT, conflict[1]), path)

    def _give_room(self) -> None:
        """Memory and model configs are finite. What is there comes first, wanted now or not; then who asks, by name,
        the base model before its adapters."""
        by_server: dict[str, dict[str, Size]] = {}
        keys = sorted(self._before.keys() | self._deployments.keys())
        for key in sorted(keys, key=lambda one: (not self._is_served(one), not self._is_base(one))):
            sizes = self._made(_sizes, key, key, self._deployments.get(key), self._before.get(key))
            for server, size in sizes.items():
                by_server.setdefault(server, {})[key] = size
        for server, models in by_server.items():
            host = self._hosts.get(server)
            resources = host.template.resources if host is not None else None
            for key, rule, path, message in self._made(_crowded, server, server, tuple(models.items()), resources):
                self._refuse(key, rule, path, message, self._first(SERVER, server), SECOND[rule].path)

    @property
    def _before(self) -> Mapping[str, DeploymentStatus]:
        return self._previous.deployments if self._previous is not None else {}

    def _is_served(self, key: str) -> bool:
        before = self._before.get(key)
        return before is not None and before.current is not None

    def _is_base(self, key: str) -> bool:
        wanted = self._deployments.get(key)
        return isinstance(wanted, WantedDeployment) and wanted.model.type is ModelType.BASE

    def _refuse(self, key: str, rule: Rule, path: Path, message: str, other: Resource | None, there: Path) -> None:
        """What is refused is as it was before. What nobody asks for cannot be refused. `other`: who has it, `there`."""
        if isinstance(self._deployments.get(key), WantedDeployment):
            self._keep(key, rule, path, message, other, there)

    def _keep(self, key: str, rule: Rule, path: Path, message: str, other: Resource | None, there: Path) -> None:
        """The Deployment `key` is as it was before, for a further reason."""
        found, resource = self._deployments[key].findings, self._resources[DEPLOYMENT][key][0]
        name = (key, rule)
        self._deployments[key] = self._made(_kept, name, found, resource, rule, path, message, other, there)

    # ---- what is not rendered yet

    def _withhold(self) -> None:
        """vLLM's servers, and what is to be served on them, stay as they were. Every other rule was asked by now."""
        for key, (resource, *others) in self._resources[SERVER].items():
            if not others and isinstance(resource.spec, InferenceServer) and _is_vllm(resource.spec):
                self._servers[key] = self._made(_unrendered, key, self._servers[key].findings, resource)
        for key, spec in self._on_vllm.items():
            server = _place(spec)
            message = f"the InferenceServer {server} has findings of its own and is not accepted"
            other = self._first(SERVER, server)
            self._keep(key, Rule.UNKNOWN_SERVER, ("spec", "server"), message, other, ("metadata", "name"))

    # ---- what is missing

    def _absent(self) -> tuple[str, ...]:
        present = [f"{SERVER} {key}" for key in self._servers] + [f"{DEPLOYMENT} {key}" for key in self._deployments]
        judged = absences.judge(self._previous, present, self._unread, self._settings.spec.guards)
        for name, finding in judged.kept.items():
            kind, key = name.split(" ")
            if kind == SERVER:
                self._servers[key] = Kept((finding,))
            else:
                self._deployments[key] = Kept((finding,))
        return judged.held

    # ---- where it is

    def _tell_both_places(self) -> None:
        """Of what has findings, because it costs reading the other file again: the rest has been decided by values."""
        for key, server in self._servers.items():
            if server.findings:
                self._servers[key] = self._with_places(f"{SERVER} {key}", server, self._context_of_server(key))
        for key, deployment in self._deployments.items():
            if deployment.findings:
                context = self._context_of_deployment(key)
                self._deployments[key] = self._with_places(f"{DEPLOYMENT} {key}", deployment, context)

    def _with_places(self, name: str, one: A, context: Context) -> A:
        targets = [second.target(finding, context) for finding in one.findings]
        others = tuple(self._made(second.found, to, to) if to is not None else None for to in targets)
        return self._made(_pointing, name, one, others) if any(others) else one

    def _context_of_server(self, key: str) -> Context:
        resource = self._first(SERVER, key)
        spec = resource.spec if resource is not None else None
        backend = spec.spec.backend.type if isinstance(spec, InferenceServer) else ""
        return Context(self._settings.document, self._settings.index, key.split("/")[0], backend=backend)

    def _context_of_deployment(self, key: str) -> Context:
        """What was accepted before this and stands in no file any more has no place."""
        resource = self._first(DEPLOYMENT, key)
        home = _place(resource.spec) if resource is not None and isinstance(resource.spec, Deployment) else ""
        is_accepted = isinstance(self._servers.get(home), WantedServer) or key in self._on_vllm
        server = self._first(SERVER, home) if is_accepted else None
        return Context(self._settings.document, self._settings.index, key.split("/")[0], server)


# ---- one resource


def _server(
    resource: Resource, scope: Scope, defaults: RolloutDefaults, clashing: Resource | None
) -> WantedServer | Kept:
    spec = resource.spec
    if not isinstance(spec, InferenceServer):
        return Kept(_in_order(resource.findings))
    findings = [*resource.findings, *validate.server(resource, spec, scope)]
    if clashing is not None:
        at: Path = ("metadata", "name")
        message = f"{resource.key!r} is what the Service of a slice of {clashing.key!r} is called"
        findings.append(resource.finding(Rule.DUPLICATE_RESOURCE, at, message, other=clashing.place(at)))
    if _has_errors(findings):
        return Kept(_in_order(findings))
    return WantedServer(
        template=resolve.server_template(spec, scope.images),
        replicas=resolve.replicas(spec),
        quorum=spec.spec.quorum,
        deadline=resolve.server_deadline(defaults),
        findings=_in_order(findings),
        source=resource.source,
    )


def _deployment(resource: Resource, scope: Scope, defaults: RolloutDefaults, host: Host) -> WantedDeployment | Kept:
    spec = resource.spec
    assert isinstance(spec, Deployment)
    rollout = resolve.rollout_policy(spec.spec.rollout, defaults)
    findings = [
        *resource.findings,
        *validate.deployment(resource, spec, scope),
        *validate.on_host(resource, spec, host, rollout),
    ]
    digest = spec.spec.model.digest
    if digest is None or _has_errors(findings):
        return Kept(_in_order(findings))
    return WantedDeployment(
        model=resolve.model_revision(spec, host.template.backend, digest),
        rollout=rollout,
        traffic=resolve.traffic_policy(spec),
        findings=_in_order(findings),
        source=resource.source,
    )


class _Around(NamedTuple):
    """What there is where a server is looked for. `close`: it, or the one of its namespace that is called most like it;
    `namesake`: one of its name in any namespace. `is_gone`: it was there before."""

    close: Resource | None
    namesake: Resource | None
    is_gone: bool


def _grouped(servers: Iterable[str], part: int) -> Mapping[str, tuple[str, ...]]:
    """Keys of servers, in their order, by namespace (`part` 0) or by name (1)."""
    groups: dict[str, list[str]] = {}
    for key in servers:
        groups.setdefault(key.split("/")[part], []).append(key)
    return {name: tuple(keys) for name, keys in groups.items()}


def _closest(wanted: str, neighbours: tuple[str, ...]) -> str:
    """Which of `neighbours` is called most like the wanted one; nothing where none is."""
    return next(iter(get_close_matches(wanted, neighbours, 1)), "")


def _homeless(resource: Resource, scope: Scope, around: _Around) -> Kept:
    """A Deployment whose server is not there, or was never accepted."""
    spec = resource.spec
    assert isinstance(spec, Deployment)
    rule, message, hint, other = _without_server(_place(spec), around)
    there = other.place(("metadata", "name")) if other is not None else None
    finding = resource.finding(rule, ("spec", "server"), message, hint=hint, other=there)
    return Kept(_in_order([*resource.findings, *validate.deployment(resource, spec, scope), finding]))


def _without_server(wanted: str, around: _Around) -> tuple[Rule, str, str | None, Resource | None]:
    """The rule, the message, the hint and the other resource that it is about, for a Deployment that has no host."""
    close = around.close
    if close is not None and close.key == wanted:
        message = f"the InferenceServer {wanted} has findings of its own and was never accepted"
        return Rule.UNKNOWN_SERVER, message, None, close
    if around.is_gone:
        message = f"the InferenceServer {wanted} is deleted, but this is served on it and changes no more"
        return Rule.SERVER_IN_USE, message, "move it to another server, or delete it too", None
    message = f"there is no InferenceServer {wanted}"
    if around.namesake is not None:
        message = f"{message}, and {around.namesake.key} is in another namespace"
        return Rule.OTHER_NAMESPACE, message, None, around.namesake
    hint = f"did you mean {close.key.split('/')[1]}?" if close is not None else None
    return Rule.UNKNOWN_SERVER, message, hint, close


def _namespace(key: str) -> str:
    return key.split("/")[0]


def _place(spec: Deployment) -> str:
    return f"{spec.metadata.namespace}/{spec.spec.server}"


def _duplicates(*resources: Resource) -> Kept:
    findings = []
    at: Path = ("metadata", "name")
    for resource in resources:
        others = [one for one in resources if one is not resource]
        message = f"{resource.kind} {resource.key} is defined in {' and '.join(one.source for one in others)} too"
        findings.append(resource.finding(Rule.DUPLICATE_RESOURCE, at, message, other=others[0].place(at)))
    return Kept(_in_order(findings))


def _kept(
    findings: tuple[Finding, ...],
    resource: Resource,
    rule: Rule,
    path: Path,
    message: str,
    other: Resource | None,
    there: Path,
) -> Kept:
    second = other.place(there) if other is not None else None
    return Kept(_in_order([*findings, resource.finding(rule, path, message, other=second)]))


def _host_before(status: ServerStatus) -> Host | None:
    template = status.current or status.candidate
    if template is None or "main" not in status.slices:
        return None
    return Host(template, {name: one.replicas for name, one in status.slices.items()})


def _pointing(one: A, others: tuple[OtherPlace | None, ...]) -> A:
    """`one`, whose findings have `others` as their second places; None leaves a finding as it is."""
    return replace(one, findings=tuple(map(second.pointing, one.findings, others)))


# ---- what one needs of another


def _is_adapter(spec: Deployment) -> bool:
    """Of a Deployment on vLLM."""
    return resolve.model_type(spec, BackendType.VLLM) is ModelType.ADAPTER


def server_of_base(resource: Resource) -> str | None:
    """The key of the server that a Deployment is to be the base model of, told from its document: adapters need not
    wait for what is wrong elsewhere in it."""
    match resource.document.value:
        case {"spec": {"server": str(name), "model": {"type": ModelType.BASE.value}}} if resource.kind == DEPLOYMENT:
            return f"{_namespace(resource.key)}/{name}"
        case _:
            return None


# ---- what only one can have


def _stakes(key: str, wanted: WantedDeployment | Kept | None, before: DeploymentStatus | None) -> Stakes:
    """What a Deployment has and what it asks for; mostly the same, and then kept once."""
    held = tuple(claims.held(before)) if before is not None else ()
    if not isinstance(wanted, WantedDeployment):
        return held, ()
    needs = tuple(claims.claims(_namespace(key), wanted.model, wanted.traffic))
    return held, held if needs == held else needs


def _belongs(claim: claims.Claim, owner: str) -> tuple[Rule, Path, str]:
    message = f"{claim} belongs to the Deployment {owner} already"
    if isinstance(claim, claims.ServedName):
        return Rule.DUPLICATE_MODEL, ("spec", "model", "name"), message
    if isinstance(claim, claims.BaseModel):
        return Rule.SECOND_BASE_MODEL, ("spec", "model", "type"), message
    return Rule.DUPLICATE_ROUTE, ("spec", "traffic", "path"), message


def _sizes(key: str, wanted: WantedDeployment | Kept | None, before: DeploymentStatus | None) -> dict[str, Size]:
    """What a Deployment may need of each server, the larger of what it asks for and what it has."""
    by_server: dict[str, list[ModelRevision]] = {}
    for revision in _revisions(wanted, before):
        by_server.setdefault(f"{_namespace(key)}/{revision.server}", []).append(revision)
    there = [one for one in (before.current, before.candidate) if one is not None] if before is not None else []
    second = _second_copy(wanted, before)
    is_urgent, is_begun = _strategy(wanted, before) is Strategy.EMERGENCY, before is not None and bool(before.progress)
    sizes: dict[str, Size] = {}
    for server, revisions in by_server.items():
        again = second.memory or 0 if second is not None and second in revisions else 0
        sizes[server] = Size(
            memory=_copies(revisions),
            config=max(map(config_bytes, revisions)),
            there=_copies(one for one in there if one.server == revisions[0].server) or 0,
            apart=again if is_urgent else 0,
            in_turn=again if is_begun and not is_urgent else 0,
            is_alone=all(one.type is ModelType.BASE for one in revisions),
        )
    return sizes


def _copies(revisions: Iterable[ModelRevision]) -> int | None:
    """Bytes of `revisions` on one server: of the same name the largest, which takes the others' place. So does a base
    model of any name: a pod starts on one."""
    largest: dict[str | None, int] = {}
    for one in revisions:
        if one.memory is not None:
            name = one.name if one.type is not ModelType.BASE else None
            largest[name] = max(one.memory, largest.get(name, 0))
    return sum(largest.values()) if largest else None


def _second_copy(wanted: WantedDeployment | Kept | None, before: DeploymentStatus | None) -> ModelRevision | None:
    """The revision that is to be loaded beside the current one, under its name. A base model never is: its pods are
    replaced."""
    current = before.current if before is not None else None
    if before is None or current is None:
        return None
    asked = [wanted.model] if isinstance(wanted, WantedDeployment) and not _has_failed(wanted.model, before) else []
    asked += [before.candidate] if before.candidate is not None else []
    beside = [one for one in asked if one.type is not ModelType.BASE and place(one) == place(current)]
    return next((one for one in beside if one.model_hash != current.model_hash), None)


def _has_failed(model: ModelRevision, before: DeploymentStatus) -> bool:
    failed = before.failed
    return failed is not None and failed.model_hash == model.model_hash and model.attempt <= failed.attempt


def _strategy(wanted: WantedDeployment | Kept | None, before: DeploymentStatus | None) -> Strategy | None:
    policy = wanted.rollout if isinstance(wanted, WantedDeployment) else before.rollout if before is not None else None
    return policy.strategy if policy is not None else None


def _revisions(wanted: WantedDeployment | Kept | None, before: DeploymentStatus | None) -> list[ModelRevision]:
    """What a Deployment asks for and what it has. Of the same model the newer figures count."""
    asked = [wanted.model] if isinstance(wanted, WantedDeployment) else []
    there = [before.current, before.candidate] if before is not None else []
    hashes = {one.model_hash for one in asked}
    return [*asked, *(one for one in there if one is not None and one.model_hash not in hashes)]


def _crowded(
    server: str, models: tuple[tuple[str, Size], ...], resources: Resources | None
) -> list[tuple[str, Rule, Path, str]]:
    """Of the Deployments of a server, in the order of their right to it, those that it has no room for, and why."""
    sizes = dict(models)
    lacking = claims.without_room(sizes, resources) if resources else {}
    has_base = any(one.is_alone for one in sizes.values())
    crowded: list[tuple[str, Rule, Path, str]] = []
    for key, (need, room) in lacking.items():
        twice = "each emergency" if sizes[key].apart else "the largest adapter" if has_base else "the largest"
        twice = f", {twice} twice," if need.again else ""
        message = f"with it the models of {server}{twice} need {_gib(need.memory)}, a pod has {_gib(room)}"
        crowded.append((key, Rule.MEMORY_TOO_SMALL, ("spec", "model", "memory"), message))
    total = 0
    for key, one in models:
        if total + one.config > limits.MODEL_CONFIG_BYTES:
            message = f"with it the model config of {server} may have {total + one.config} bytes"
            message = f"{message}, {limits.MODEL_CONFIG_BYTES} are allowed: use a further server"
            crowded.append((key, Rule.CONFIG_TOO_LARGE, ("spec", "model"), message))
        else:
            total += one.config
    return crowded


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"


# ---- what is not rendered yet


def _is_vllm(spec: InferenceServer) -> bool:
    return spec.spec.backend.type is BackendType.VLLM


def _unrendered(findings: tuple[Finding, ...], resource: Resource) -> Kept:
    message = f"expected triton, this version of Fresco renders nothing else, got {BackendType.VLLM.value!r}"
    finding = resource.finding(Rule.UNSUPPORTED_TYPE, ("spec", "backend", "type"), message)
    return Kept(_in_order([*findings, finding]))


# ---- findings


def _has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda one: (one.file, one.line, one.column, one.rule, one.message)))
