"""Michelangelo's InferenceServer in Fresco's form. Pure."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from render.compat.words import annotated, something, user
from render.document import Path
from render.resource import Resource
from render.rules import Rule
from schemas.michelangelo import ResourceSpec, TheirServer
from schemas.resources import Michelangelo
from schemas.status import Finding

_LATEST: Final = "latest"
_VERSION: Final[Path] = ("spec", "initSpec", "servingSpec", "version")


def spec(theirs: TheirServer, settings: Michelangelo | None) -> dict[str, Any]:
    """The spec in Fresco's form. Every backend becomes Triton: the others have a finding."""
    init = theirs.spec.init_spec
    return something(
        {
            "backend": something({"type": "triton", "version": _version(theirs, settings)}),
            "replicas": init.num_instances or None,
            "resources": _resources(init.resource_spec),
            "cache": something({"sizeLimit": _quantity(init.resource_spec.disk_size)}),
        }
    )


def findings(bare: Resource, theirs: TheirServer, settings: Michelangelo | None) -> Iterator[Finding]:
    """What Fresco has against it besides single fields that it cannot honour."""
    if _version(theirs, settings) == _LATEST:
        hint = "write a version, here or in spec.michelangelo.version of fresco.yaml"
        yield bare.finding(Rule.NO_VERSION, _VERSION, "'latest' is another version at another time", hint=hint)


def annotations(theirs: TheirServer) -> dict[str, str]:
    """What says nothing of serving."""
    owner = theirs.spec.owner_spec
    told = msgspec.json.encode(owner.owner_info, order="sorted").decode() if owner.owner_info else ""
    return annotated({**user(theirs.spec.owner), "owner-info": told, "tier": str(owner.tier or "")})


def _version(theirs: TheirServer, settings: Michelangelo | None) -> str:
    version = theirs.spec.init_spec.serving_spec.version
    default = settings.version if settings is not None else None
    return default or version if version in ("", _LATEST) else version


def _resources(asked: ResourceSpec) -> dict[str, Any]:
    return something(
        {
            "cpu": str(asked.cpu or ""),
            "memory": _quantity(asked.memory),
            "gpu": {"count": asked.gpu} if asked.gpu else None,
        }
    )


def _quantity(size: str) -> str:
    """Kubernetes writes a thousand in lower case."""
    return size.replace("K", "k") if size.endswith("K") else size
