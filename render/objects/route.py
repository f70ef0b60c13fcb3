"""The HTTPRoute of a Deployment: exact paths to its model, and nothing else of the server. Pure.

No mainstream gateway rewrites paths per backend, so a model has the same name in every slice, each rule rewrites for
all its backends, and weights split requests between the slices' Services.
"""

from collections.abc import Sequence

from render.objects.base import GRPC_PORT, HTTP_PORT, Fleet, Object, metadata
from render.objects.suffixes import GRPC_METHODS, INFERENCE, SUFFIXES
from schemas.resources import Gateway, HeaderMatch
from schemas.status import DeploymentStatus, ModelRevision, RouteState, SliceName, TrafficPolicy

MODEL_HEADER = "x-fresco-model"
_GRPC_SERVICE = "/inference.GRPCInferenceService"
_SLICES: tuple[SliceName, ...] = ("main", "canary")

MAIN_ALONE = RouteState(split={"main": 100, "canary": 0})
"""The canary slice gets no requests."""


def route(fleet: Fleet, status: DeploymentStatus) -> Object | None:
    """None while the Deployment has no route. `status` is as the place sees it that the route leads to."""
    revision = status.current or status.candidate
    if status.route is None or status.traffic is None or revision is None:
        return None
    hostnames = list(status.traffic.hostnames)
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(fleet, status.metadata.name),
        "spec": {
            "parentRefs": [_parent(fleet.repository.gateway)],
            **({"hostnames": hostnames} if hostnames else {}),
            "rules": _rules(_Target(fleet.name, revision, status.traffic, _allowed(fleet, status.route))),
        },
    }


def _allowed(fleet: Fleet, state: RouteState) -> RouteState:
    """`state`, but no requests to a canary slice whose pods are being replaced."""
    canary = fleet.server.slices.get("canary")
    return state if canary is None or canary.routed else MAIN_ALONE


class _Target:
    """Where a route leads: a model on a server, and how its requests are split."""

    def __init__(self, server: str, revision: ModelRevision, traffic: TrafficPolicy, state: RouteState) -> None:
        self.server, self.revision, self.traffic, self.state = server, revision, traffic, state

    def backends(self, port: int) -> list[Object]:
        """One Service, or one for each slice with its weight."""
        if self.state.split is None:
            return [_backend(self.server, port, 1)]
        split = self.state.split
        return [_backend(f"{self.server}-{name}", port, split[name]) for name in _SLICES if name in split]

    @property
    def reaches_canary(self) -> bool:
        """Whether the canary slice may get requests: at weight 0 it drains, or its candidate is not proven yet, and a
        mirrored or header-matched request would reach it all the same."""
        return self.state.split is not None and self.state.split.get("canary", 0) > 0

    def mirror(self) -> list[Object]:
        """The filter that copies a share of requests to the canary slice, if any."""
        percent = self.traffic.mirror_percent
        if not self.reaches_canary or percent == 0:
            return []
        canary = _backend(f"{self.server}-canary", HTTP_PORT, 1)
        del canary["weight"]
        return [{"type": "RequestMirror", "requestMirror": {"backendRef": canary, "percent": percent}}]

    def only_canary(self) -> "_Target":
        """The same model on the canary slice alone."""
        traffic = TrafficPolicy(
            hostnames=self.traffic.hostnames,
            headers=(*self.traffic.headers, *self.traffic.canary_headers),
            canary_headers=(),
        )
        return _Target(self.server, self.revision, traffic, RouteState(split={"canary": 1}))


def _rules(target: _Target) -> list[Object]:
    steady = _plain_rules(target)
    if not target.reaches_canary or not target.traffic.canary_headers:
        return steady
    return [*_plain_rules(target.only_canary()), *steady]


def _plain_rules(target: _Target) -> list[Object]:
    return [*(_http_rule(target, suffix) for suffix in SUFFIXES), _grpc_rule(target)]


def _http_rule(target: _Target, suffix: str) -> Object:
    rewritten = f"/v2/models/{target.revision.name}{SUFFIXES[suffix]}"
    rewrite = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": rewritten}}}
    return {
        "matches": [_match(target.revision.path + suffix, target.traffic.headers)],
        "filters": [rewrite, *(target.mirror() if suffix in INFERENCE else [])],
        "backendRefs": target.backends(HTTP_PORT),
    }


def _grpc_rule(target: _Target) -> Object:
    headers = (HeaderMatch(name=MODEL_HEADER, value=target.revision.path), *target.traffic.headers)
    return {
        "matches": [_match(f"{_GRPC_SERVICE}/{method}", headers) for method in GRPC_METHODS],
        "backendRefs": target.backends(GRPC_PORT),
    }


def _match(path: str, headers: Sequence[HeaderMatch]) -> Object:
    exact = [{"type": "Exact", "name": one.name, "value": one.value} for one in headers]
    return {"path": {"type": "Exact", "value": path}, **({"headers": exact} if exact else {})}


def _backend(service: str, port: int, weight: int) -> Object:
    return {"group": "", "kind": "Service", "name": service, "port": port, "weight": weight}


def _parent(gateway: Gateway) -> Object:
    parent = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": gateway.name,
        "namespace": gateway.namespace,
    }
    return parent if gateway.section_name is None else {**parent, "sectionName": gateway.section_name}
