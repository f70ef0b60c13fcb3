"""What all rendered objects share: names, labels, and the annotation with the hash of their content. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from render.errors import StatusUnreadable
from schemas.status import (
    DeploymentStatus,
    RepositoryStatus,
    Role,
    ServerSlice,
    ServerStatus,
    ServerTemplate,
    SliceName,
)

Object = dict[str, Any]

CONTENT = "serving.fresco.dev/content"
SERVER_LABEL = "serving.fresco.dev/server"
SLICE_LABEL = "serving.fresco.dev/slice"

HTTP_PORT, GRPC_PORT, METRICS_PORT, REPORT_PORT = 8000, 8001, 8002, 8090


@dataclass(frozen=True, slots=True)
class Fleet:
    """All that the objects of one InferenceServer are made from. `deployments`: those on it, as it sees them
    (`render.places`), in any order."""

    repository: RepositoryStatus
    server: ServerStatus
    deployments: tuple[DeploymentStatus, ...] = ()

    @property
    def name(self) -> str:
        """The server's name."""
        return self.server.metadata.name

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.server.metadata.namespace


@dataclass(frozen=True, slots=True)
class Part:
    """One slice of a fleet."""

    fleet: Fleet
    slice: SliceName

    @property
    def name(self) -> str:
        """What the slice's Kubernetes Deployment and Service are called."""
        return f"{self.fleet.name}-{self.slice}"

    @property
    def state(self) -> ServerSlice:
        """How it is rendered."""
        return self.fleet.server.slices[self.slice]

    @property
    def template(self) -> ServerTemplate:
        """The template of its pods. Raises StatusUnreadable when the status names one that it does not have."""
        server = self.fleet.server
        template = server.current if self.state.template is Role.CURRENT else server.candidate
        if template is None:
            where = f"{self.fleet.namespace}/{self.fleet.name}"
            raise StatusUnreadable(f"slice {self.slice} of {where} has the template of its {self.state.template}: none")
        return template


def labels(server: str, slice_name: SliceName | None = None) -> dict[str, str]:
    """The labels of every object and pod."""
    common = {
        "app.kubernetes.io/managed-by": "fresco",
        "app.kubernetes.io/name": server,
        SERVER_LABEL: server,
    }
    return common if slice_name is None else {**common, SLICE_LABEL: slice_name}


def selector(server: str, slice_name: SliceName | None = None) -> dict[str, str]:
    """What selects the pods of a server, or of one of its slices."""
    return {SERVER_LABEL: server} if slice_name is None else {SERVER_LABEL: server, SLICE_LABEL: slice_name}


def metadata(fleet: Fleet, name: str, slice_name: SliceName | None = None) -> Object:
    """An object's metadata, before its content is known."""
    return {"name": name, "namespace": fleet.namespace, "labels": labels(fleet.name, slice_name)}


def content(value: Mapping[str, Any]) -> str:
    """The first 16 hex digits of sha256 over canonical JSON: sorted keys, no spaces, UTF-8."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]


def annotated(value: Object) -> Object:
    """`value`, an object or a pod template, with the hash of its content as annotation.

    The hash is over `value` as it comes in, so a mapping of annotations counts only if there are others.
    """
    meta = value["metadata"]
    annotations = {**meta.get("annotations", {}), CONTENT: content(value)}
    return {**value, "metadata": {**meta, "annotations": annotations}}
