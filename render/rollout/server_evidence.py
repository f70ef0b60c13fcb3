"""What is kept of what was seen when a row of a server's plan is left, so that anybody can look it up later. Pure.

`fresco verify` makes the same of the status that was committed: what it finds otherwise, the rules have not written.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from render.objects import route_content, template_content
from render.objects.base import content
from render.rollout import judge, queue
from render.rollout.server_plan import Row, Until
from schemas.status import DeploymentStatus, Evidence, RepositoryStatus, ServerStatus, ServerTemplate, SliceName


def of(
    row: Row,
    status: ServerStatus,
    repository: RepositoryStatus,
    users: Sequence[DeploymentStatus],
    pods: tuple[str, ...] = (),
) -> Evidence:
    """The evidence on which `row` is left. `status` is what the row tells the slices; `users`: the Deployments on the
    server, as it sees them; `pods`: names of those that prove the row.

    Raises StatusUnreadable for a status that contradicts itself.
    """
    routed = Until.DRAINED in row.until or Until.ROUTED in row.until
    return Evidence(
        pods=pods,
        route=_routes(repository, status, users) if routed else None,
        templates={name: template_content(repository, status, name) for name in row.at},
        models={name: content(_told(name, users)) for name in row.at},
        passed_over=tuple(queue.at_work(users)) if Until.FREE in row.until else (),
    )


def digest(template: ServerTemplate) -> str:
    """What tells one template from another, in each of its fields: those too that no pod is made of."""
    read_back = msgspec.convert(msgspec.to_builtins(template), ServerTemplate)  # a whole number of seconds is a float
    return f"sha256:{hashlib.sha256(msgspec.json.encode(read_back, order='sorted')).hexdigest()}"


def _routes(repository: RepositoryStatus, status: ServerStatus, users: Iterable[DeploymentStatus]) -> str | None:
    """One hash for all routes that lead to the server, None where there are none."""
    routed = [user for user in users if user.route is not None]
    return content({user.metadata.name: route_content(repository, status, user) for user in routed}) if routed else None


def _told(name: SliceName, users: Iterable[DeploymentStatus]) -> Mapping[str, str]:
    """By served name the hash of the entry that a slice is told, and that its pods' reports carry."""
    told = (judge.told(user, name) for user in users)
    return {about.model: about.hash for about in told if about is not None}
