"""The Protocol behind which a cluster stands: Kubernetes, or the processes of local mode. No I/O here.

A cluster applies what a commit holds and tells what is live. The sidecars' reports are not its business:
`observe` reads them over HTTP, the same way for every kind of cluster.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

import msgspec


class PodState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pod as the cluster knows it. `report`: `host:port` of its sidecar, None while it has none.
    `live`: the server container runs and its liveness probe passes, None when unknown. `template`: content hash of the
    pod template that it was made from."""

    namespace: str
    server: str
    slice: str
    name: str
    report: str | None
    live: bool | None
    ready: bool
    template: str


class RouteLive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An HTTPRoute as the gateway has it. `content`: annotation of the applied object; `live`: every parent that the
    route names reports its current generation accepted and resolved; `message`: why not."""

    content: str
    live: bool
    message: str = ""


class ClusterState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. `seq` grows with each change. `applied`: the commit that was applied last. `objects`: content
    annotation by `Kind/namespace/name`; `routes`: by `namespace/name`."""

    seq: int
    applied: str | None = None
    objects: dict[str, str] = {}
    routes: dict[str, RouteLive] = {}
    pods: tuple[PodState, ...] = ()


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who may write: `last_renewal` (POSIX seconds, None if never) is the end of what was observed before."""

    last_renewal: float | None


class Cluster(Protocol):
    """What the agent needs of a cluster. Methods raise `ClusterUnavailable` when it cannot be reached for now."""

    async def apply(self, commit: str) -> None:
        """Makes the cluster take over the manifests of `commit` soon. Returns before it has."""

    def watch(self) -> AsyncIterator[ClusterState]:
        """The state now, then again after each change. Goes on over failures of the connection."""

    async def nudge(self, pods: Iterable[str]) -> None:
        """Asks for the mounted configs of `pods` (`namespace/name`) to be refreshed at once."""

    async def lease(self) -> Lease:
        """The lease as it stands."""

    async def renew(self, now: float) -> None:
        """Renews the lease at `now`, POSIX seconds."""


class ClusterUnavailable(Exception):
    """The cluster does not answer; try again later."""
