"""Whether a cluster has come to what a commit asks for: resource by resource, by what its status keeps of them. Pure.

A resource belongs to a commit if the commit's files ask for something else of it than its parent's do, or allow its
deletion at last. So a commit that changes a comment, or another cluster, has none.

A Deployment is complete when what is wanted of it is what is current, with nothing in hand, and its policies are in
force; an InferenceServer when it serves with the template and the replicas that are wanted; what is deleted when its
status is gone. What the agent has marked as failed is rolled back, and is not tried again. What cannot be accepted is
invalid: at once if the commit's own files say so; if what is there is in its way (a name that is still taken, a
deletion that is held), once the agent has said so too and nothing that is asked for could clear it. A resource of which
a newer commit, which the agent has seen, asks for something else is superseded.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec.structs import replace

from render import places, report, settings
from render.document import Loaded, prefix
from render.errors import InvalidRepository
from render.memo import Memo
from render.normal import Kept, Wanted, WantedDeployment, WantedServer, accept
from render.report import has_errors
from render.resource import DEPLOYMENT, REPOSITORY, SERVER, Resource, identify
from render.settings import Settings
from render.settled import settled
from schemas.status import DeploymentStatus, Finding, RepositoryStatus, ServerStage, ServerStatus, Stage, Tree
from schemas.verdicts import Outcome, Verdict

_UNSEEN = "the agent has not seen it yet"
_REPLACED = "a newer commit asks for something else"


OPEN = (Outcome.IN_PROGRESS, Outcome.HELD_BACK)
_Accepted = WantedServer | WantedDeployment | Kept | None


class Asked:
    """What a commit asks of a cluster. `after`: its files; `before`: its parent's, None where it has none.

    Raises InvalidRepository when the commit's own `fresco.yaml` is missing or broken.
    """

    def __init__(self, before: Loaded | None, after: Loaded, cluster: str) -> None:
        self._loaded, self._cluster, self._memo = after, cluster, Memo()
        old = _of_its_parent(before, cluster) if before is not None else {}
        self._alone = accept(after, cluster, None)
        new = _asked(after, self._alone, cluster)
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        allowed = _allowed(after, cluster) - (_allowed(before, cluster) if before is not None else set())
        self.resources = tuple(sorted(changed | (allowed - new.keys())))

    def verdicts(self, tree: Tree | None, newer: Loaded | None) -> list[Verdict]:
        """What has come of each of its resources by the status `tree`. `newer`: the files of the commit that the agent
        has seen, where that came after this one."""
        wanted = accept(self._loaded, self._cluster, tree, self._memo)
        instead = _accepted(newer, self._cluster, tree) if newer is not None else None
        users = self._users(tree) if tree is not None else {}
        found = [self._verdict(name, wanted, tree, users, instead) for name in self.resources]
        if tree is None or all(one.outcome is not Outcome.HELD_BACK for one in found):
            return found
        lasting = accept(self._loaded, self._cluster, _once_through(wanted, tree), self._memo)
        return [_refused(one) if _is_refused_for_good(one, tree, lasting) else one for one in found]

    def _verdict(
        self, name: str, wanted: Wanted, tree: Tree | None, users: Mapping[str, str], newer: Wanted | None
    ) -> Verdict:
        if name == REPOSITORY:
            return Verdict(self._cluster, name, *_repository(wanted.repository, tree, newer))
        mine, alone = _of(wanted, name), _of(self._alone, name)
        if isinstance(mine, Kept):
            verdict = Verdict(self._cluster, name, Outcome.HELD_BACK, _first(mine.findings), mine.findings)
            verdict = _refused(verdict) if isinstance(alone, Kept) else verdict
        elif mine is None and name in users:
            message = f"{users[name]}, which cannot be accepted, is still on it"
            verdict = Verdict(self._cluster, name, Outcome.INVALID, message)
        else:
            verdict = Verdict(self._cluster, name, *_compare(mine, _status(tree, name)))
        if verdict.outcome in OPEN and newer is not None and _essence(_of(newer, name)) != _essence(mine):
            return Verdict(self._cluster, name, Outcome.SUPERSEDED, _REPLACED)
        return verdict

    def _users(self, tree: Tree) -> dict[str, str]:
        """By server one Deployment, if there is any, that keeps it from being deleted: it is there, and the commit's
        own files leave it no other place."""
        stuck = (key for key, one in self._alone.deployments.items() if isinstance(one, Kept))
        there = ((key, tree.deployments[key]) for key in stuck if key in tree.deployments)
        return {f"{SERVER} {home}": f"{DEPLOYMENT} {key}" for key, one in there for home in places.homes(one)}


# ---- what a commit asks for


def _of_its_parent(loaded: Loaded, cluster: str) -> dict[str, object]:
    wanted = _accepted(loaded, cluster, None)
    return _asked(loaded, wanted, cluster) if wanted is not None else {}


def _accepted(loaded: Loaded, cluster: str, tree: Tree | None) -> Wanted | None:
    try:
        return accept(loaded, cluster, tree)
    except InvalidRepository:
        return None


def _asked(loaded: Loaded, wanted: Wanted, cluster: str) -> dict[str, object]:
    """What is asked for, by resource, in a form that compares. Of what cannot be accepted, what was written."""
    written = _written(loaded, cluster)
    servers = {f"{SERVER} {key}": one for key, one in wanted.servers.items()}
    deployments = {f"{DEPLOYMENT} {key}": one for key, one in wanted.deployments.items()}
    asked: dict[str, object] = {REPOSITORY: (_settings(wanted.repository), wanted.repository.findings)}
    for name, one in {**servers, **deployments}.items():
        asked[name] = (_essence(one), written.get(name)) if isinstance(one, Kept) else _essence(one)
    return asked


def _allowed(loaded: Loaded, cluster: str) -> set[str]:
    """The resources whose deletion `fresco.yaml` allows, by name."""
    found = settings.find(loaded, cluster)
    names = found.spec.guards.allow_deletion if isinstance(found, Settings) else ()
    return {name for name in names if name.startswith((f"{SERVER} ", f"{DEPLOYMENT} "))}


def _written(loaded: Loaded, cluster: str) -> dict[str, list[object]]:
    found = settings.find(loaded, cluster)
    folder = prefix(found.cluster.path) if isinstance(found, Settings) else ""
    written: dict[str, list[object]] = {}
    for document in loaded.documents:
        resource = identify(document) if document.file.startswith(folder) else None
        if isinstance(resource, Resource):
            written.setdefault(f"{resource.kind} {resource.key}", []).append(document.value)
    return written


def _essence(wanted: _Accepted) -> object:
    """What is accepted, without where it stands in its file."""
    match wanted:
        case WantedDeployment():
            return wanted.model, wanted.rollout, wanted.traffic
        case WantedServer():
            return wanted.template, wanted.replicas, wanted.quorum, wanted.deadline
        case Kept():
            return [(one.rule, one.message) for one in wanted.findings]
        case None:
            return None


def _settings(repository: RepositoryStatus) -> object:
    return repository.gateway, repository.settle, repository.max_servers_at_once


def _of(wanted: Wanted, name: str) -> _Accepted:
    kind, _, key = name.partition(" ")
    by_key: Mapping[str, _Accepted] = wanted.servers if kind == SERVER else wanted.deployments
    return by_key.get(key)


# ---- what came of it


def _once_through(wanted: Wanted, tree: Tree) -> Tree:
    """The status when all that is accepted is there, and what is to go has gone. What is kept stays as it is."""
    then = settled(wanted)
    servers = {key: tree.servers[key] for key in _kept(wanted.servers) & tree.servers.keys()}
    deployments = {key: tree.deployments[key] for key in _kept(wanted.deployments) & tree.deployments.keys()}
    return replace(then, servers={**then.servers, **servers}, deployments={**then.deployments, **deployments})


def _kept(wanted: Mapping[str, _Accepted]) -> set[str]:
    return {key for key, one in wanted.items() if isinstance(one, Kept)}


def _is_refused_for_good(verdict: Verdict, tree: Tree, lasting: Wanted) -> bool:
    """Whether what is held back is still refused in `lasting`, and the agent has refused it for the same reasons."""
    status = _status(tree, verdict.resource)
    said = {one.rule for one in status.findings} if status is not None else set()
    return (
        verdict.outcome is Outcome.HELD_BACK
        and {one.rule for one in verdict.findings} <= said
        and isinstance(_of(lasting, verdict.resource), Kept)
    )


def _refused(verdict: Verdict) -> Verdict:
    return replace(verdict, outcome=Outcome.INVALID, message="it cannot be accepted")


def _first(findings: Sequence[Finding]) -> str:
    return f"it cannot be accepted yet: {report.line(findings[0])}" if findings else "it cannot be accepted yet"


def _status(tree: Tree | None, name: str) -> ServerStatus | DeploymentStatus | None:
    if tree is None:
        return None
    kind, _, key = name.partition(" ")
    return tree.servers.get(key) if kind == SERVER else tree.deployments.get(key)


def _repository(
    wanted: RepositoryStatus, tree: Tree | None, newer: Wanted | None
) -> tuple[Outcome, str, tuple[Finding, ...]]:
    if not _can_be_read(wanted):
        return Outcome.INVALID, "not all of it can be read", wanted.findings
    if tree is not None and _can_be_read(tree.repository) and _settings(tree.repository) == _settings(wanted):
        return Outcome.COMPLETE, "the settings are in force", ()
    if newer is not None and not (_can_be_read(newer.repository) and _settings(newer.repository) == _settings(wanted)):
        return Outcome.SUPERSEDED, _REPLACED, ()
    return Outcome.IN_PROGRESS, _UNSEEN, ()


def _can_be_read(repository: RepositoryStatus) -> bool:
    return not repository.frozen and not has_errors(repository.findings)


def _compare(wanted: _Accepted, status: ServerStatus | DeploymentStatus | None) -> tuple[Outcome, str]:
    match wanted, status:
        case None, None:
            return Outcome.COMPLETE, "deleted"
        case None, _:
            return Outcome.IN_PROGRESS, _stands(status)
        case _, None:
            return Outcome.IN_PROGRESS, _UNSEEN
        case WantedDeployment(), DeploymentStatus():
            return _deployment(wanted, status)
        case WantedServer(), ServerStatus():
            return _server(wanted, status)
    raise ValueError(f"a status of another kind: {status!r}")


def _deployment(wanted: WantedDeployment, status: DeploymentStatus) -> tuple[Outcome, str]:
    model, failed, candidate = wanted.model, status.failed, status.candidate
    if failed is not None and failed.model_hash == model.model_hash and model.attempt <= failed.attempt:
        return Outcome.ROLLED_BACK, f"revision {failed.revision}: {failed.reason}: {failed.message}"
    is_mine = candidate is not None and candidate.model_hash == model.model_hash
    if is_mine and status.stage is Stage.ROLLBACK_FAILED:
        return Outcome.ROLLED_BACK, _stands(status)
    has_ended = status.progress is None and candidate is None
    if has_ended and (status.current, status.rollout, status.traffic) == (model, wanted.rollout, wanted.traffic):
        return Outcome.COMPLETE, _stands(status)
    return Outcome.IN_PROGRESS, f"not begun yet: {_stands(status)}" if has_ended else _stands(status)


def _server(wanted: WantedServer, status: ServerStatus) -> tuple[Outcome, str]:
    if status.failed is not None and status.failed.template == wanted.template:
        return Outcome.ROLLED_BACK, f"{status.failed.reason}: {status.failed.message}"
    there = {name: one.replicas for name, one in status.slices.items()}
    has_ended = status.progress is None and status.candidate is None and status.stage is ServerStage.SERVE
    is_wanted = (status.current, there, status.quorum, status.deadline) == _essence(wanted)
    return (Outcome.COMPLETE if has_ended and is_wanted else Outcome.IN_PROGRESS), _stands(status)


def _stands(status: ServerStatus | DeploymentStatus | None) -> str:
    return f"{status.stage}, {status.message}" if status is not None else ""


def is_over(verdicts: Collection[Verdict]) -> bool:
    """Whether nothing of it can still change by itself."""
    return all(one.outcome not in OPEN for one in verdicts)


def is_complete(verdicts: Collection[Verdict]) -> bool:
    """Whether all of it is as it was asked for."""
    return all(one.outcome is Outcome.COMPLETE for one in verdicts)


def findings(verdicts: Collection[Verdict]) -> Iterator[Finding]:
    """Those of what is invalid."""
    return (finding for one in verdicts if one.outcome is Outcome.INVALID for finding in one.findings)
