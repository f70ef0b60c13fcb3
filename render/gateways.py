"""What the implementations of the Gateway API can do of what Fresco's routes ask for. Pure.

`render.objects.route` uses weights, exact paths and exact headers, which are core: every implementation that conforms
has them. It also uses two extended features, which an implementation may lack. Which ones do is taken from the
conformance reports that the implementations hand in to the Gateway API project (`conformance/reports/<version>/` of
kubernetes-sigs/gateway-api), feature by feature: `HTTPRoutePathRewrite` and `HTTPRouteRequestPercentageMirror`.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class Feature(StrEnum):
    """An extended feature, in words for messages."""

    PATH_REWRITE = "rewrite paths"
    MIRROR = "mirror a share of the requests"


class Implementation(NamedTuple):
    """What `gateway.implementation` names. `report`: where it is known from; `lacks`: what it failed or left out."""

    report: str
    lacks: frozenset[Feature] = frozenset()


_BOTH: Final = frozenset(Feature)

IMPLEMENTATIONS: Final[Mapping[str, Implementation]] = MappingProxyType(
    {
        # The local cluster's, whose translation is ours: agent.local.envoy.
        "envoy": Implementation("Fresco's own tests"),
        "envoy-gateway": Implementation("the report of Envoy Gateway 1.6.0 on Gateway API 1.4.0"),
        "istio": Implementation("the report of Istio 1.28 on Gateway API 1.4.0"),
        "cilium": Implementation("the report of Cilium 1.19.0-pre.2 on Gateway API 1.4.0"),
        "nginx": Implementation("the report of NGINX Gateway Fabric 2.3.0 on Gateway API 1.4.0"),
        # Seen besides: it accepts the route and then answers its requests with 500.
        "traefik": Implementation("the report of Traefik 3.6 on Gateway API 1.4.0", frozenset({Feature.MIRROR})),
        # It mirrors all requests or none.
        "kgateway": Implementation("the report of kgateway 2.1.0 on Gateway API 1.4.0", frozenset({Feature.MIRROR})),
        "gke": Implementation(
            "the report of GKE Gateway 1.34.4 on Gateway API 1.4.0", frozenset({Feature.PATH_REWRITE})
        ),
        "aws": Implementation("the report of AWS Load Balancer Controller 3.0.0 on Gateway API 1.3.0", _BOTH),
    }
)


def lacks(implementation: str, feature: Feature) -> str | None:
    """Words for a message where `implementation` lacks `feature`, else None."""
    known = IMPLEMENTATIONS[implementation]
    return f"{implementation} does not {feature}, by {known.report}" if feature in known.lacks else None
