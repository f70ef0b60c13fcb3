"""Where a Deployment is: a served name on a server; and while it moves, two of them. Pure.

A Deployment that is asked for on another server or under another name is brought up there, then its route is turned
there, then it is taken away here; so it is in two places, with one revision in each. As each place sees it, it is a
Deployment that does not move: `here` has the current revision alone, `there` the candidate alone, which is a first
rollout. Whoever looks at one server looks at these, and needs to know nothing of moves.
"""

import msgspec

from schemas.status import DeploymentStatus, ModelRevision, Role, RouteState

replace = msgspec.structs.replace


def place(revision: ModelRevision) -> tuple[str, str]:
    """Server and served name."""
    return revision.server, revision.name


def is_moving(status: DeploymentStatus) -> bool:
    """Whether its two revisions are in different places."""
    current, candidate = status.current, status.candidate
    return current is not None and candidate is not None and place(current) != place(candidate)


def here(status: DeploymentStatus) -> DeploymentStatus:
    """A moving Deployment as the place sees it that it leaves; any other as it is."""
    if not is_moving(status):
        return status
    return replace(status, candidate=None, there={}, route=_leads(status, Role.CURRENT))


def there(status: DeploymentStatus) -> DeploymentStatus:
    """A moving Deployment as the place sees it that it moves to; any other as it is."""
    if not is_moving(status):
        return status
    return replace(status, current=None, slices=status.there, there={}, route=_leads(status, Role.CANDIDATE))


def routed(status: DeploymentStatus) -> DeploymentStatus:
    """A Deployment as the place sees it that its route leads to."""
    return there(status) if status.route is not None and status.route.to is Role.CANDIDATE else here(status)


def views(status: DeploymentStatus) -> tuple[DeploymentStatus, ...]:
    """A Deployment as each of its places sees it: itself, or `here` and `there`."""
    return (here(status), there(status)) if is_moving(status) else (status,)


def home(status: DeploymentStatus) -> str | None:
    """The key `namespace/name` of the server of a Deployment that does not move, such as a view is; None while it has
    no revision."""
    revision = status.current or status.candidate
    return f"{status.metadata.namespace}/{revision.server}" if revision is not None else None


def homes(status: DeploymentStatus) -> set[str]:
    """The keys of all servers that it is on."""
    current, candidate = status.current, status.candidate
    if current is None or candidate is None or current.server == candidate.server:
        key = home(status)
        return {key} if key is not None else set()
    return {f"{status.metadata.namespace}/{one.server}" for one in (current, candidate)}


def _leads(status: DeploymentStatus, role: Role) -> RouteState | None:
    return replace(status.route, to=Role.CURRENT) if status.route is not None and status.route.to is role else None
