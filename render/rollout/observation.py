"""What the rules look at: one consistent picture of a cluster at one time. Pure values.

Time is part of it: rules read no clock. What is not known is absent or None, never assumed to have failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from schemas.report import SidecarReport


def key(namespace: str, name: str) -> str:
    """The key of a resource in a status tree and in an observation: `namespace/name`."""
    return f"{namespace}/{name}"


def object_key(kind: str, namespace: str, name: str) -> str:
    """The key of a live Kubernetes object: `Kind/namespace/name`."""
    return f"{kind}/{namespace}/{name}"


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of a slice. `live`: its server answers; None when that is unknown. `report`: None when out of reach.
    `template`: the content hash of the pod template that it was made from."""

    name: str
    slice: str
    live: bool | None
    ready: bool
    report: SidecarReport | None
    template: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One live HTTPRoute. `content`: hash of what was applied; `live_since`: POSIX seconds since when all parents
    report its current generation accepted and resolved, None while they do not."""

    content: str
    live_since: float | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """A cluster at the time `now` (POSIX seconds).

    `pods`: by server key (`namespace/name`). `objects`: content hash by object key, for all that is applied.
    `routes`: by `namespace/name`. `complete`: everything was seen at least once since the agent started or resumed;
    before that nothing may be judged.
    """

    now: float
    pods: Mapping[str, tuple[Pod, ...]] = field(default_factory=lambda: MappingProxyType({}))
    objects: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    routes: Mapping[str, Route] = field(default_factory=lambda: MappingProxyType({}))
    complete: bool = True
