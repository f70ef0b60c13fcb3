"""What is wanted otherwise, and the status that a cluster comes to by that. Pure.

Only what differs between the two sides counts: what a cluster is still busy with, or has not been told yet, is none of
the change's doing, and stays as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec

from render import places, settled
from render.normal import Kept, Wanted, WantedDeployment, WantedServer
from render.rollout import stage
from schemas.status import (
    DeploymentStatus,
    RepositoryStatus,
    Role,
    RouteState,
    ServerStatus,
    SliceState,
    Stage,
    Tree,
    Work,
)

update = msgspec.structs.replace


@dataclass(frozen=True)
class Sides:
    """One cluster before a change and after it: its status, and what is asked of it on either side."""

    now: Tree
    base: Wanted
    head: Wanted

    @cached_property
    def servers(self) -> list[str]:
        """The keys of all InferenceServers that are wanted otherwise. None of them while nothing is accepted."""
        return _differing(self.base.servers, self.head.servers) if not self.head.repository.frozen else []

    @cached_property
    def deployments(self) -> list[str]:
        """The same of all Deployments."""
        return _differing(self.base.deployments, self.head.deployments) if not self.head.repository.frozen else []


def nothing(repository: RepositoryStatus) -> Wanted:
    """What is wanted where nothing is."""
    return Wanted(replaceable(repository), {}, {})


def replaceable(repository: RepositoryStatus) -> RepositoryStatus:
    """Its settings, without what was found."""
    return update(repository, findings=(), held_deletions=(), frozen=False)


def outcome(sides: Sides) -> Tree:
    """The status once everything is through that the change begins. What is refused stays as it is."""
    if sides.head.repository.frozen:
        return sides.now
    is_same = replaceable(sides.base.repository) == replaceable(sides.head.repository)
    servers = _servers(sides)
    deployments = _deployments(sides, servers)
    left = {home for one in deployments.values() for home in places.homes(one)}
    gone = {key for key in sides.servers if key not in sides.head.servers and key not in left}
    return Tree(
        repository=sides.now.repository if is_same else sides.head.repository,
        servers={key: servers[key] for key in sorted(servers) if key not in gone},
        deployments={key: deployments[key] for key in sorted(deployments)},
    )


def ended(status: DeploymentStatus) -> DeploymentStatus | None:
    """A Deployment once its work in hand is over, on its slices; None where it is being deleted."""
    if status.progress is None:
        return status if status.stage is not Stage.CLEAN_UP_COMPLETE else None
    if status.progress.work is Work.CLEAN_UP:
        return None
    if status.progress.work is Work.ROLLBACK:
        status = update(status, failed=stage.fails(status, 0.0))
    elif status.candidate is not None:
        status = update(status, current=status.candidate)
    return _steady(update(status, candidate=None, progress=None, there={}))


def begun(status: DeploymentStatus, model_hash: str) -> DeploymentStatus | None:
    """A Deployment from which a rollout of another model begins: what is in hand for a third one is taken back, if it
    is not baking already, and what is in hand for this one goes on."""
    progress, candidate = status.progress, status.candidate
    if progress is None or candidate is None or progress.work is not Work.ROLLOUT:
        return ended(status)
    if candidate.model_hash == model_hash:
        return status
    if status.stage is Stage.ROLLOUT_COMPLETE:
        return ended(status)
    return _steady(update(status, candidate=None, progress=None, there={}))


def is_failed(status: ServerStatus | None, wanted: WantedServer) -> bool:
    """Whether this very template was rolled back, or is being: it is not tried again."""
    if status is None:
        return False
    progress = status.progress
    if progress is not None and progress.work is Work.ROLLBACK and progress.cause is not None:
        return progress.cause.kind == "failed" and status.candidate == wanted.template
    return status.failed is not None and status.failed.template == wanted.template


def _servers(sides: Sides) -> dict[str, ServerStatus]:
    servers = dict(sides.now.servers)
    for key in sides.servers:
        wanted, now = sides.head.servers.get(key), servers.get(key)
        if isinstance(wanted, WantedServer):
            then = settled.server(key, wanted)
            kept = now.current if now is not None and is_failed(now, wanted) else then.current
            servers[key] = update(then, current=kept)
        elif wanted is not None and now is None:
            servers[key] = settled.server(key, wanted)
    return servers


def _deployments(sides: Sides, servers: Mapping[str, ServerStatus]) -> dict[str, DeploymentStatus]:
    deployments = {key: _covered(one, sides.now.servers, servers) for key, one in sides.now.deployments.items()}
    for key in sides.deployments:
        wanted, now = sides.head.deployments.get(key), sides.now.deployments.get(key)
        if isinstance(wanted, WantedDeployment):
            then = settled.deployment(key, wanted, servers)
            before = ended(now) if now is not None else None
            deployments[key] = _not_again(before, wanted, then) if before is not None else then
        elif wanted is None:
            deployments.pop(key, None)
        elif now is None:
            deployments[key] = settled.deployment(key, wanted, servers)
    return deployments


def _not_again(now: DeploymentStatus, wanted: WantedDeployment, then: DeploymentStatus) -> DeploymentStatus:
    """`then`, but with what is current where the revision has failed before and is not tried again."""
    is_same = now.current is not None and now.current.model_hash == wanted.model.model_hash
    if is_same or stage.is_new(wanted.model, now):
        return then
    return update(now, rollout=wanted.rollout, traffic=wanted.traffic, findings=wanted.findings)


def _covered(
    status: DeploymentStatus, before: Mapping[str, ServerStatus], after: Mapping[str, ServerStatus]
) -> DeploymentStatus:
    """A Deployment that is not changed itself, on the slices that its server has then."""
    home = places.home(status)
    one, other = before.get(home or ""), after.get(home or "")
    if one is None or other is None or one.slices.keys() == other.slices.keys() or status.progress is not None:
        return status
    state = SliceState(serve=Role.CURRENT)
    return update(status, slices={name: status.slices.get(name, state) for name in other.slices})


def _steady(status: DeploymentStatus) -> DeploymentStatus:
    slices = dict.fromkeys(status.slices, SliceState(serve=Role.CURRENT)) if status.current is not None else {}
    return update(status, slices=slices, route=RouteState() if status.current is not None else None)


def _differing(
    before: Mapping[str, WantedServer | Kept] | Mapping[str, WantedDeployment | Kept],
    after: Mapping[str, WantedServer | Kept] | Mapping[str, WantedDeployment | Kept],
) -> list[str]:
    return sorted(key for key in before.keys() | after.keys() if _gist(before.get(key)) != _gist(after.get(key)))


def _gist(wanted: WantedServer | WantedDeployment | Kept | None) -> object:
    """What is wanted, wherever it is written and whatever is said about it."""
    if wanted is None:
        return None
    return replace(wanted, findings=()) if isinstance(wanted, Kept) else replace(wanted, findings=(), source="")
