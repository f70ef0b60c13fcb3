"""From HTTPRoutes, Services and ready pods to Envoy's own resources (LDS, CDS, RDS, EDS). Pure and deterministic.

What the Gateway API says about hostnames, matches, their precedence, rewrites, weights and mirrors is translated here;
what it allows and this gateway cannot do makes a route not live, with a message, and never half of it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agent.local.desired import Route, Service
from schemas.base import seconds

Json = dict[str, Any]

# Enough for any load that one machine carries: a limit reached here would fail requests for no reason.
_NO_LIMIT = 1_000_000
_RETRY_BUFFER_BYTES = 64 * 2**20
_IDLE_STREAM = "3600s"
_TYPES = {
    "lds": "envoy.config.listener.v3.Listener",
    "cds": "envoy.config.cluster.v3.Cluster",
    "rds": "envoy.config.route.v3.RouteConfiguration",
    "eds": "envoy.config.endpoint.v3.ClusterLoadAssignment",
}
_FILE = "resources.json"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
ROUTES = "routes"


class Unsupported(Exception):
    """Something in an HTTPRoute that this gateway cannot do. The message says what."""


class Translation(NamedTuple):
    """RDS' resource, and by `namespace/name` of a route why it is not fully in force."""

    resource: Json
    problems: dict[str, str]


class _Placed(NamedTuple):
    """One match of one rule with all that decides its place, and its Envoy route."""

    order: tuple[Any, ...]
    route: Json


# ---- files


def file_of(root: Path, kind: str, name: str = "") -> Path:
    """The file that Envoy watches for resources of `kind`. Each lies in a directory of its own, because Envoy reads
    everything in a watched directory anew at each change in it; endpoints of each cluster have one to themselves."""
    return root / kind / name / _FILE


def discovery(kind: str, resources: Iterable[Json]) -> tuple[str, bytes]:
    """The content of such a file, with its version: a hash of the resources, so that equal content is equal."""
    typed = [{"@type": f"type.googleapis.com/{_TYPES[kind]}", **resource} for resource in resources]
    version = hashlib.sha256(json.dumps(typed, sort_keys=True).encode()).hexdigest()[:16]
    return version, json.dumps({"version_info": version, "resources": typed}, indent=1).encode()


def bootstrap(root: Path, *, admin_port: int) -> Json:
    """What Envoy starts with: where its resources are, and the admin port."""
    return {
        "node": {"id": "local", "cluster": "local"},
        "admin": {"address": _address(admin_port)},
        "dynamic_resources": {"lds_config": _watched(root, "lds"), "cds_config": _watched(root, "cds")},
    }


def listener(root: Path, *, port: int) -> Json:
    """The one listener, on 127.0.0.1:`port`, for HTTP/1 and HTTP/2 in clear text."""
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "AUTO",
        "rds": {"route_config_name": ROUTES, "config_source": _watched(root, "rds")},
        # A path is compared after it was brought to its normal form, so that no spelling slips past an exact match.
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "stream_idle_timeout": _IDLE_STREAM,
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": _router()}],
    }
    return {
        "name": "in",
        "address": _address(port),
        # A second Envoy on the same port is a mistake to be told, not a partner to share connections with.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": _RETRY_BUFFER_BYTES,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _router() -> Json:
    return {
        "@type": f"{_EXTENSIONS}.filters.http.router.v3.Router",
        "suppress_envoy_headers": True,
    }


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _watched(root: Path, kind: str, name: str = "") -> Json:
    path = file_of(root, kind, name)
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "0s",
        "path_config_source": {"path": str(path), "watched_directory": {"path": str(path.parent)}},
    }


# ---- clusters and endpoints


def cluster_name(service: Service, port: int) -> str:
    """The Envoy cluster of one port of a Service: `namespace/name/port`."""
    return f"{service.namespace}/{service.name}/{port}"


def clusters(root: Path, services: Iterable[Service]) -> dict[str, Json]:
    """One cluster for each port of each Service, by name. Routed to or not: so a route finds it there already."""
    return {
        cluster_name(service, port.number): _cluster(root, cluster_name(service, port.number), http2=port.http2)
        for service in sorted(services, key=lambda service: (service.namespace, service.name))
        for port in service.ports
    }


def assignment(name: str, ports: Iterable[int], spare: Iterable[int] = ()) -> Json:
    """The endpoints of the cluster `name`: these ports of 127.0.0.1, and `spare` ones for when it has none."""
    groups = [[{"endpoint": {"address": _address(port)}} for port in sorted(group)] for group in (ports, spare)]
    while groups and not groups[-1]:
        groups.pop()  # a priority may be empty only before one that is not
    endpoints = [{"priority": place, "lb_endpoints": group} for place, group in enumerate(groups)]
    return {"cluster_name": name, "endpoints": endpoints}


def stand_ins(routes: Iterable[Route]) -> dict[str, frozenset[str]]:
    """By cluster those that take its share while it has no endpoint, as Envoy Gateway has it: the other backends of its
    rules that have a weight. A cluster whose rules do not agree on them has none."""
    found: dict[str, set[frozenset[str]]] = {}
    for route in routes:
        for rule in route.spec.get("rules") or ():
            weights = {_named(route, ref): int(ref.get("weight", 1)) for ref in rule.get("backendRefs") or ()}
            for name in weights:
                others = frozenset(other for other, weight in weights.items() if weight and other != name)
                found.setdefault(name, set()).add(others)
    return {name: next(iter(others)) for name, others in found.items() if len(others) == 1}


def _named(route: Route, ref: Json) -> str:
    return f"{ref.get('namespace') or route.namespace}/{ref['name']}/{ref.get('port')}"


def _cluster(root: Path, name: str, *, http2: bool) -> Json:
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {
        "name": name,
        "type": "EDS",
        "connect_timeout": "1s",
        "eds_cluster_config": {"eds_config": _watched(root, "eds", name)},
        # Without it Envoy would send requests to pods that are not ready when many are not.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        # The default allows 3 retries at a time: the requests in flight of a server that is killed are more.
        "circuit_breakers": {"thresholds": [dict.fromkeys(limits, _NO_LIMIT)]},
        **({"typed_extension_protocol_options": _http2()} if http2 else {}),
    }


def _http2() -> Json:
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {"@type": f"type.googleapis.com/{kind}", "explicit_http_config": {"http2_protocol_options": {}}}
    return {kind: options}


# ---- routes


def translate(routes: Iterable[Route], services: Mapping[str, Service]) -> Translation:
    """All routes as one resource. `services` by `namespace/name`."""
    problems: dict[str, str] = {}
    placed: list[tuple[str, _Placed]] = []
    for route in sorted(routes, key=lambda route: (route.namespace, route.name)):
        hosts = route.spec.get("hostnames") or ["*"]
        matches = _matches(route, services, problems)
        placed.extend((host, match) for host in hosts for match in matches)
    domains = sorted({host for host, _ in placed} | {"*"})
    return Translation(
        {
            "name": ROUTES,
            "ignore_port_in_host_matching": True,
            "virtual_hosts": [_virtual_host(domain, placed) for domain in domains],
        },
        problems,
    )


def _virtual_host(domain: str, placed: Sequence[tuple[str, _Placed]]) -> Json:
    """Envoy looks into one virtual host only, so each holds the rules of every route that covers its domain."""
    covering = [(_host_order(host), match) for host, match in placed if _covers(host, domain)]
    covering.sort(key=lambda item: (item[0], item[1].order))
    return {
        "name": domain,
        "domains": [domain],
        "per_request_buffer_limit_bytes": _RETRY_BUFFER_BYTES,
        "routes": [match.route for _, match in covering],
    }


def _covers(host: str, domain: str) -> bool:
    return host in ("*", domain) or (host.startswith("*.") and domain.endswith(host[1:]) and domain != host)


def _host_order(host: str) -> tuple[int, int]:
    """More specific first: exact names, then longer ones."""
    return (int(host.startswith("*")), -len(host))


def _matches(route: Route, services: Mapping[str, Service], problems: dict[str, str]) -> list[_Placed]:
    found: list[_Placed] = []
    for number, rule in enumerate(route.spec.get("rules") or ()):
        try:
            _check(rule)
            action = _action(route, rule, services, problems)
        except Unsupported as error:
            problems.setdefault(_key(route), f"rule {number + 1}: {error}")
            action = {"direct_response": {"status": 500}}
        for place, match in enumerate(rule.get("matches") or [{}]):
            try:
                found.append(_placed(route, match, action, rule, (number, place)))
            except Unsupported as error:
                problems.setdefault(_key(route), f"rule {number + 1}: {error}")
    return found


def _key(route: Route) -> str:
    return f"{route.namespace}/{route.name}"


def _placed(route: Route, match: Json, action: Json, rule: Json, place: tuple[int, int]) -> _Placed:
    """Gateway API's precedence: exact paths, longer prefixes, a method, more headers, more query parameters; then by
    name, and within one route by position."""
    path = match.get("path") or {"type": "PathPrefix", "value": "/"}
    order = (
        path["type"] != "Exact",
        -len(path["value"].rstrip("/")),
        "method" not in match,
        -len(match.get("headers") or ()),
        -len(match.get("queryParams") or ()),
        _key(route),
        place,
    )
    if "route" in action:
        action = {**action, "route": {**action["route"], **_rewrite(rule, path)}}
    return _Placed(order, {"match": _match(match, path), **action})


def _match(match: Json, path: Json) -> Json:
    headers = [*(match.get("headers") or ())]
    if "method" in match:
        headers.insert(0, {"name": ":method", "value": match["method"]})
    parameters = match.get("queryParams") or ()
    return {
        **_path_match(path),
        **({"headers": [_exact(header) for header in headers]} if headers else {}),
        **({"query_parameters": [_exact(parameter) for parameter in parameters]} if parameters else {}),
    }


def _path_match(path: Json) -> Json:
    if path["type"] == "Exact":
        return {"path": path["value"]}
    if path["type"] != "PathPrefix":
        raise Unsupported(f"path match {path['type']!r} is not supported, expected Exact or PathPrefix")
    # By segments: /a covers /a and /a/b, not /ab.
    value = path["value"].rstrip("/")
    return {"path_separated_prefix": value} if value else {"prefix": "/"}


def _exact(item: Json) -> Json:
    if item.get("type", "Exact") != "Exact":
        raise Unsupported(f"match of {item['name']!r} by {item['type']!r} is not supported, expected Exact")
    return {"name": item["name"], "string_match": {"exact": item["value"]}}


def _check(rule: Json) -> None:
    for item in rule.get("filters") or ():
        if item["type"] not in ("URLRewrite", "RequestMirror"):
            raise Unsupported(f"filter {item['type']!r} is not supported, expected URLRewrite or RequestMirror")
    if any(backend.get("filters") for backend in rule.get("backendRefs") or ()):
        raise Unsupported("filters of a single backendRef are not supported")


def _action(route: Route, rule: Json, services: Mapping[str, Service], problems: dict[str, str]) -> Json:
    backends = [(_backend(route, ref, services), int(ref.get("weight", 1))) for ref in rule.get("backendRefs") or ()]
    for name, _ in backends:
        if not _exists(name, services):
            problems.setdefault(_key(route), f"backend does not exist: Service port {name}")
    if not any(weight for _, weight in backends):
        return {"direct_response": {"status": 500}}
    mirrors = [_mirror(route, item["requestMirror"], services, problems) for item in _filters(rule, "RequestMirror")]
    return {
        "route": {
            "weighted_clusters": {"clusters": [{"name": name, "weight": weight} for name, weight in backends]},
            "timeout": _timeout(rule),
            "retry_policy": _retries(),
            **({"request_mirror_policies": mirrors} if mirrors else {}),
        }
    }


def _retries() -> Json:
    """A request whose connection broke runs again, on another server if there is one: the end of one server fails none.
    A request can run twice by this, which is harmless to inference."""
    return {
        "retry_on": "reset,connect-failure,refused-stream",
        "num_retries": 4,
        # Over more time than it takes to notice a server's end. Few, because a request that ends every
        # server it comes to is run again as well.
        "retry_back_off": {"base_interval": "0.02s", "max_interval": "0.1s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{_EXTENSIONS}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        "host_selection_retry_max_attempts": 8,
    }


def _timeout(rule: Json) -> str:
    """Without a limit of its own a request may take as long as its model does."""
    given = (rule.get("timeouts") or {}).get("request", "0s")
    return f"{seconds(given):g}s"


def _filters(rule: Json, kind: str) -> list[Json]:
    return [item for item in rule.get("filters") or () if item["type"] == kind]


def _backend(route: Route, ref: Json, services: Mapping[str, Service]) -> str:
    if ref.get("kind", "Service") != "Service" or ref.get("group"):
        raise Unsupported(f"backend {ref['name']!r} is not a Service")
    namespace = ref.get("namespace") or route.namespace
    if namespace != route.namespace:
        raise Unsupported(f"backend {namespace}/{ref['name']} is in another namespace")
    return f"{namespace}/{ref['name']}/{ref['port']}"


def _exists(name: str, services: Mapping[str, Service]) -> bool:
    service, _, port = name.rpartition("/")
    return service in services and int(port) in {port.number for port in services[service].ports}


def _mirror(route: Route, mirror: Json, services: Mapping[str, Service], problems: dict[str, str]) -> Json:
    name = _backend(route, mirror["backendRef"], services)
    if not _exists(name, services):
        problems.setdefault(_key(route), f"mirror does not exist: Service port {name}")
    numerator, denominator = _fraction(mirror)
    return {
        "cluster": name,
        "disable_shadow_host_suffix_append": True,
        # Envoy knows fractions of fixed denominators only.
        "runtime_fraction": {
            "default_value": {"numerator": numerator * 1_000_000 // denominator, "denominator": "MILLION"}
        },
    }


def _fraction(mirror: Json) -> tuple[int, int]:
    if "fraction" in mirror:
        return int(mirror["fraction"]["numerator"]), int(mirror["fraction"].get("denominator", 100))
    return int(mirror.get("percent", 100)), 100


def _rewrite(rule: Json, path: Json) -> Json:
    result: Json = {}
    for item in _filters(rule, "URLRewrite"):
        rewrite = item["urlRewrite"]
        if "hostname" in rewrite:
            result["host_rewrite_literal"] = rewrite["hostname"]
        if "path" in rewrite:
            result.update(_path_rewrite(rewrite["path"], path))
    return result


def _path_rewrite(rewrite: Json, path: Json) -> Json:
    if rewrite["type"] == "ReplaceFullPath":
        return _full_path(rewrite["replaceFullPath"], path)
    if path["type"] != "PathPrefix":
        raise Unsupported("ReplacePrefixMatch needs a match by PathPrefix")
    prefix, new = path["value"].rstrip("/"), rewrite["replacePrefixMatch"].rstrip("/")
    if prefix and new:
        return {"prefix_rewrite": new}
    # The slash after the prefix is neither to come twice nor to go.
    return _by_pattern(f"^{re.escape(prefix)}/*", f"{new}/")


def _full_path(new: str, path: Json) -> Json:
    # The prefix of an exact match is the whole path; the query stays.
    return {"prefix_rewrite": new} if path["type"] == "Exact" else _by_pattern("^.*$", new)


def _by_pattern(pattern: str, new: str) -> Json:
    return {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": new.replace("\\", "\\\\")}}
