"""Kubernetes objects: one pure function per kind, and the tables that say which file each goes to.

To add a kind, add a module and a row. `model_config` stands apart: it is what model-sync reads, no Kubernetes object.
"""

from collections.abc import Callable, Mapping

from render.objects.autoscaler import autoscaler
from render.objects.base import CONTENT, Fleet, Object, Part, annotated
from render.objects.deployment import deployment
from render.objects.disruption_budget import disruption_budget
from render.objects.models import models
from render.objects.pod import pod_template
from render.objects.route import route
from render.objects.service import common_service, slice_service
from render.objects.service_account import service_account
from schemas.status import DeploymentStatus, RepositoryStatus, ServerStatus, SliceName

SERVER_OBJECTS: Mapping[str, Callable[[Fleet], Object | None]] = {
    "poddisruptionbudget": disruption_budget,
    "service": common_service,
    "serviceaccount": service_account,
}
SLICE_OBJECTS: Mapping[str, Callable[[Part], Object | None]] = {
    "autoscaler": autoscaler,
    "deployment": deployment,
    "models": models,
    "service": slice_service,
}


def server_objects(fleet: Fleet) -> dict[str, Object]:
    """All objects of a server by file name, without ending. None at all while it has no slices.

    Raises StatusUnreadable for a status that contradicts itself, TooLarge for a model config beyond the limit.
    """
    parts = [Part(fleet, name) for name in sorted(fleet.server.slices)]
    if not parts:
        return {}
    made = {name: make(fleet) for name, make in SERVER_OBJECTS.items()}
    made |= {f"{part.slice}-{name}": make(part) for part in parts for name, make in SLICE_OBJECTS.items()}
    return {name: annotated(one) for name, one in sorted(made.items()) if one is not None}


def route_object(fleet: Fleet, status: DeploymentStatus) -> Object | None:
    """The HTTPRoute of a Deployment, None while it has none."""
    made = route(fleet, status)
    return annotated(made) if made is not None else None


def route_content(repository: RepositoryStatus, server: ServerStatus, status: DeploymentStatus) -> str | None:
    """The content hash of the HTTPRoute that status renders, None while it renders none."""
    made = route_object(Fleet(repository, server), status)
    return str(made["metadata"]["annotations"][CONTENT]) if made is not None else None


def template_content(repository: RepositoryStatus, server: ServerStatus, slice_name: SliceName) -> str:
    """The content hash of the pod template that status renders for a slice: a pod that has it is made from it."""
    made = pod_template(Part(Fleet(repository, server), slice_name))
    return str(made["metadata"]["annotations"][CONTENT])
