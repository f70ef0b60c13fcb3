"""What is wrong with a resource that the schema has nothing against, by itself and beside the others. Pure.

Every check is a function that yields findings; the tables at the end say which are asked.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from render import addresses, gateways, resolve
from render.document import Path
from render.gateways import Feature
from render.resource import Resource
from render.rules import Rule
from schemas import limits
from schemas.base import seconds
from schemas.resources import (
    Autoscale,
    BackendType,
    DeadlinesSource,
    Deployment,
    Gateway,
    Grant,
    Images,
    InferenceServer,
    ModelType,
    RepositorySpec,
    RolloutDefaults,
    Strategy,
    Toleration,
)
from schemas.status import Finding, Replicas, RolloutPolicy, ServerTemplate, SliceName, TrafficPolicy

LONGEST_SERVER_NAME = 63 - len("-canary")
MAX_HEADERS = 15  # of a route's 16: its gRPC rule has one of ours
MAX_HOSTNAMES = 16

_OWN_HEADER = "x-fresco-model"
_OWN_ENVIRONMENT = "FRESCO_"
_ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"(.*_)?(TOKEN|PASSWORD|PASSWD|SECRET|KEY|CREDENTIALS?)", re.IGNORECASE)
_NUL = "expected text without NUL, which no program can be handed"
_HUMANS = ("main", "master")
_BRANCH_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OWN_FLAGS = (
    "--model-repository",
    "--model-store",
    "--model-control-mode",
    "--strict-readiness",
    "--http-port",
    "--grpc-port",
    "--metrics-port",
    "--load-model",
    "--http-restricted-api",
    "--grpc-restricted-protocol",
)
_DEADLINES = tuple((field.name, field.encode_name) for field in msgspec.structs.fields(DeadlinesSource))
_RESERVED_SERVERS = ("default", "kubernetes")  # a service account and a Service that Kubernetes itself makes
_TYPES: Mapping[BackendType, tuple[ModelType, ...]] = {
    BackendType.TRITON: (ModelType.REPOSITORY,),
    BackendType.VLLM: (ModelType.BASE, ModelType.ADAPTER),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a resource may use. `local`: the cluster runs on the machine whose files `file://` names. `gateway`: its
    routes are attached to this one."""

    namespace: str
    grant: Grant | None
    images: Images
    local: bool
    gateway: Gateway

    def refused(self, what: str) -> str:
        """Words for something that is not granted."""
        if self.grant is None:
            return f"{what}, but fresco.yaml grants the namespace {self.namespace!r} nothing"
        return f"{what}, which fresco.yaml does not grant the namespace {self.namespace!r}"


@dataclass(frozen=True, slots=True)
class Host:
    """The server that a Deployment is for."""

    template: ServerTemplate
    replicas: Mapping[SliceName, Replicas]


# ---- InferenceServer


def _server_name(resource: Resource, server: InferenceServer, scope: Scope) -> Iterator[Finding]:
    name = server.metadata.name
    at: Path = ("metadata", "name")
    if len(name) > LONGEST_SERVER_NAME:
        message = f"expected at most {LONGEST_SERVER_NAME} characters, because a Service is called {name}-canary"
        yield resource.finding(Rule.NAME_TOO_LONG, at, f"{message}, got {len(name)}")
    if not name[0].isalpha():
        yield resource.finding(Rule.NAME_TOO_LONG, at, f"expected a letter first, as Services have, got {name!r}")
    if name in _RESERVED_SERVERS:
        yield resource.finding(Rule.NAME_TOO_LONG, at, f"{name!r} is a name that Kubernetes uses itself")


def _replicas(resource: Resource, server: InferenceServer, scope: Scope) -> Iterator[Finding]:
    wanted = server.spec.replicas
    at: Path = ("spec", "replicas")
    if isinstance(wanted, Autoscale):
        if wanted.min > wanted.max:
            message = f"expected min to be at most max, got {wanted.min} and {wanted.max}"
            yield resource.finding(Rule.REPLICAS_REVERSED, (*at, "min"), message)
    elif not 1 <= wanted <= limits.MAX_REPLICAS:
        yield resource.finding(
            Rule.WRONG_VALUE, at, f"expected an integer from 1 to {limits.MAX_REPLICAS}, got {wanted}"
        )


def _image(resource: Resource, server: InferenceServer, scope: Scope) -> Iterator[Finding]:
    backend = server.spec.backend
    at: Path = ("spec", "backend", "image" if backend.image is not None else "version")
    if backend.version is not None and not addresses.is_tag(backend.version):
        message = f"expected the tag of an image, got {backend.version!r}"
        yield resource.finding(Rule.WRONG_VALUE, ("spec", "backend", "version"), message)
    if "{version}" in resolve.image(server, scope.images):
        yield resource.finding(Rule.NO_VERSION, at, "the default image needs a version, or give an image")
    if backend.image is not None:
        yield from _pinned(resource, at, backend.image)
    if backend.image is not None and not _may_use_image(backend.image, backend.type, scope):
        yield resource.finding(Rule.IMAGE_NOT_GRANTED, at, scope.refused(f"{backend.image!r} is another image"))


def _pinned(resource: Resource, path: Path, image: str) -> Iterator[Finding]:
    """`image` may be a default one, whose `{version}` is each server's."""
    if not addresses.is_pinned(image.replace("{version}", "0")):
        message = f"expected an image with a tag or a digest, got {image!r}"
        yield resource.finding(Rule.IMAGE_NOT_PINNED, path, message)


def _may_use_image(image: str, backend: BackendType, scope: Scope) -> bool:
    default = resolve.default_image(backend, scope.images).partition("{version}")[0]
    granted = scope.grant.images if scope.grant is not None else ()
    return any(addresses.covers_image(prefix, image) for prefix in (default, *granted) if prefix)


def _credentials(resource: Resource, server: InferenceServer, scope: Scope) -> Iterator[Finding]:
    secret = server.spec.credentials
    if secret is not None and (scope.grant is None or secret not in scope.grant.secrets):
        message = scope.refused(f"{secret!r} is a Secret")
        yield resource.finding(Rule.SECRET_NOT_GRANTED, ("spec", "credentials"), message)


def _own_settings(resource: Resource, server: InferenceServer, scope: Scope) -> Iterator[Finding]:
    for index, arg in enumerate(server.spec.backend.args):
        if arg.split("=")[0] in _OWN_FLAGS:
            message = f"{arg.split('=')[0]} is set by Fresco"
            yield resource.finding(Rule.WRONG_VALUE, ("spec", "backend", "args", index), message)
        if "\0" in arg:
            yield resource.finding(Rule.WRONG_VALUE, ("spec", "backend", "args", index), _NUL)
    for name, value in server.spec.backend.env.items():
        if _ENVIRONMENT.fullmatch(name) is None:
            message = f"expected the name of a variable, got {name!r}"
            yield resource.finding(Rule.WRONG_VALUE, ("spec", "backend", "env", name), message)
        if name.startswith(_OWN_ENVIRONMENT):
            message = f"names that begin with {_OWN_ENVIRONMENT} are set by Fresco"
            yield resource.finding(Rule.WRONG_VALUE, ("spec", "backend", "env", name), message)
        if "\0" in value:
            yield resource.finding(Rule.WRONG_VALUE, ("spec", "backend", "env", name), _NUL)


def _plain_secrets(resource: Resource, server: InferenceServer, scope: Scope) -> Iterator[Finding]:
    """By the name of the variable, because nothing tells a secret's value. A path to a file with one in it is fine."""
    for name, value in server.spec.backend.env.items():
        if _SECRET.fullmatch(name) and value and not value.startswith("/"):
            message = "this looks like a secret, and everybody who reads the repository has its value"
            yield resource.finding(Rule.SECRET_IN_PLAIN, ("spec", "backend", "env", name), message, severity="warning")


def _scheduling(resource: Resource, server: InferenceServer, scope: Scope) -> Iterator[Finding]:
    """What the API server would refuse, and with it everything else of the server."""
    for index, one in enumerate(server.spec.scheduling.tolerations):
        yield from _toleration(resource, ("spec", "scheduling", "tolerations", index), one)
    for label, value in server.spec.scheduling.node_selector.items():
        if not (addresses.is_label_name(label) and addresses.is_label_value(value)):
            message = f"expected a label, got {label!r}: {value!r}"
            yield resource.finding(Rule.WRONG_VALUE, ("spec", "scheduling", "nodeSelector", label), message)
    for name in server.spec.service_account.annotations:
        if not addresses.is_label_name(name):
            message = f"expected the name of an annotation, got {name!r}"
            yield resource.finding(Rule.WRONG_VALUE, ("spec", "serviceAccount", "annotations", name), message)


def _toleration(resource: Resource, at: Path, one: Toleration) -> Iterator[Finding]:
    if one.operator == "Equal" and one.key is None:
        yield resource.finding(Rule.WRONG_VALUE, at, "expected a key, or the operator Exists, which tolerates any")
    if one.operator == "Exists" and one.value is not None:
        yield resource.finding(Rule.WRONG_VALUE, (*at, "value"), "expected no value beside the operator Exists")
    if one.key is not None and not addresses.is_label_name(one.key):
        yield resource.finding(Rule.WRONG_VALUE, (*at, "key"), f"expected the key of a taint, got {one.key!r}")
    if one.value is not None and not addresses.is_label_value(one.value):
        yield resource.finding(Rule.WRONG_VALUE, (*at, "value"), f"expected the value of a taint, got {one.value!r}")
    if one.toleration_seconds is not None and one.effect != "NoExecute":
        message = "expected the effect NoExecute: no other is borne for a time"
        yield resource.finding(Rule.WRONG_VALUE, (*at, "tolerationSeconds"), message)


def _sync(resource: Resource, server: InferenceServer, scope: Scope) -> Iterator[Finding]:
    sync = server.spec.sync
    yield from _above_zero(resource, ("spec", "sync", "resync"), sync.resync)
    yield from _above_zero(resource, ("spec", "sync", "loadDeadline"), sync.load_deadline)


# ---- Deployment, by itself


def _model(resource: Resource, deployment: Deployment, scope: Scope) -> Iterator[Finding]:
    model = deployment.spec.model
    if model.digest is None:
        message = "this model has no digest, so nothing can be proven of it"
        yield resource.finding(Rule.NO_DIGEST, ("spec", "model"), message, hint="run `fresco lock`")
    if model.smoke_test is not None:
        yield from _above_zero(resource, ("spec", "model", "smokeTest", "timeout"), model.smoke_test.timeout)


def _storage(resource: Resource, deployment: Deployment, scope: Scope) -> Iterator[Finding]:
    uri = deployment.spec.model.uri
    public = addresses.public(uri)
    at: Path = ("spec", "model", "uri")
    if uri.startswith("file:") and not scope.local:
        yield resource.finding(Rule.FILE_NOT_LOCAL, at, f"{public!r}: file:// is for local clusters")
    granted = scope.grant.storage if scope.grant is not None else ()
    try:
        if not any(addresses.covers_address(prefix, uri) for prefix in granted):
            yield resource.finding(Rule.STORAGE_NOT_GRANTED, at, scope.refused(f"{public!r} is an address"))
    except ValueError as error:
        yield resource.finding(Rule.WRONG_VALUE, at, f"expected a plain address, got {public!r}: {error}")


def _rollout(resource: Resource, deployment: Deployment, scope: Scope) -> Iterator[Finding]:
    rollout = deployment.spec.rollout
    if rollout.strategy is Strategy.EMERGENCY and not (rollout.reason or "").strip():
        message = "an emergency skips every precaution, so it needs a reason"
        yield resource.finding(Rule.NO_REASON, ("spec", "rollout", "strategy"), message, hint="add rollout.reason")
    yield from _rollout_defaults(resource, ("spec", "rollout"), rollout, resolve.settle(scope.gateway))


def _rollout_defaults(resource: Resource, at: Path, rollout: RolloutDefaults, settle: float) -> Iterator[Finding]:
    """`settle`: seconds that the gateway needs for a change of weights."""
    for index, (before, after) in enumerate(pairwise(rollout.steps or ()), start=1):
        if after.weight <= before.weight:
            message = f"expected more than the step before, {before.weight}, got {after.weight}"
            yield resource.finding(Rule.WEIGHTS_NOT_RISING, (*at, "steps", index, "weight"), message)
    for attribute, name in _DEADLINES:
        yield from _above_zero(resource, (*at, "deadlines", name), getattr(rollout.deadlines, attribute))
    given = rollout.deadlines.traffic_routing
    if given is not None and 0 < seconds(given) <= settle:
        message = f"expected more than the {settle:g} s that the gateway needs for a change of weights, got {given!r}"
        yield resource.finding(Rule.DEADLINE_TOO_SHORT, (*at, "deadlines", "trafficRouting"), message)


def _traffic(resource: Resource, deployment: Deployment, scope: Scope) -> Iterator[Finding]:
    traffic = resolve.traffic_policy(deployment)
    yield from _path(resource, resolve.path(deployment), scope)
    yield from _hostnames(resource, traffic, scope)
    yield from _headers(resource, traffic)
    why = gateways.lacks(scope.gateway.implementation, Feature.MIRROR) if traffic.mirror_percent else None
    if why is not None:
        yield resource.finding(Rule.GATEWAY_LACKS, ("spec", "traffic", "mirror"), f"the gateway {why}")


def _path(resource: Resource, path: str, scope: Scope) -> Iterator[Finding]:
    at: Path = ("spec", "traffic", "path")
    own = (f"/{scope.namespace}", *(scope.grant.paths if scope.grant is not None else ()))
    if not addresses.is_plain_path(path):
        yield resource.finding(Rule.WRONG_VALUE, at, f"expected a path without '.' and '..', got {path!r}")
    elif not any(addresses.covers_path(prefix, path) for prefix in own):
        message = scope.refused(f"{path!r} is outside /{scope.namespace}")
        yield resource.finding(Rule.PATH_NOT_GRANTED, at, message)


def _hostnames(resource: Resource, traffic: TrafficPolicy, scope: Scope) -> Iterator[Finding]:
    granted = scope.grant.hostnames if scope.grant is not None else ()
    if len(traffic.hostnames) > MAX_HOSTNAMES:
        message = f"expected at most {MAX_HOSTNAMES} hostnames, got {len(traffic.hostnames)}"
        yield resource.finding(Rule.WRONG_VALUE, ("spec", "traffic", "hostnames"), message)
    for index, name in enumerate(traffic.hostnames):
        at: Path = ("spec", "traffic", "hostnames", index)
        if not addresses.is_hostname(name):
            message = f"expected a DNS name in lower case, perhaps with '*.' before it, got {name!r}"
            yield resource.finding(Rule.WRONG_VALUE, at, message)
        elif not any(addresses.covers_hostname(one, name) for one in granted):
            yield resource.finding(Rule.HOSTNAME_NOT_GRANTED, at, scope.refused(f"{name!r} is a hostname"))


def _headers(resource: Resource, traffic: TrafficPolicy) -> Iterator[Finding]:
    names = [one.name.lower() for one in (*traffic.headers, *traffic.canary_headers)]
    at: Path = ("spec", "traffic", "headers" if traffic.headers else "canaryHeaders")
    if len(set(names)) < len(names) or _OWN_HEADER in names:
        message = f"expected each header once in headers and canaryHeaders, and not {_OWN_HEADER}"
        yield resource.finding(Rule.WRONG_VALUE, at, message)
    if len(names) > MAX_HEADERS:
        message = f"expected at most {MAX_HEADERS} headers and canaryHeaders, got {len(names)}"
        yield resource.finding(Rule.WRONG_VALUE, at, message)


# ---- Deployment, on its server


def _type(resource: Resource, deployment: Deployment, host: Host) -> Iterator[Finding]:
    backend = host.template.backend
    kind = resolve.model_type(deployment, backend)
    if kind not in _TYPES[backend]:
        message = f"a server with {backend.value} takes {' or '.join(_TYPES[backend])}, got {kind.value!r}"
        yield resource.finding(Rule.UNSUPPORTED_TYPE, ("spec", "model", "type"), message)


def _claim(resource: Resource, deployment: Deployment, host: Host) -> Iterator[Finding]:
    uri = deployment.spec.model.uri
    if uri.startswith("pvc://") and uri.split("/")[2] != host.template.cache.claim:
        message = f"{addresses.public(uri)!r}: the server {deployment.spec.server} does not declare this volume"
        yield resource.finding(Rule.CLAIM_NOT_DECLARED, ("spec", "model", "uri"), message)


def _steps(resource: Resource, deployment: Deployment, host: Host, rollout: RolloutPolicy) -> Iterator[Finding]:
    canary = host.replicas.get("canary")
    at: Path = ("spec", "rollout", "steps")
    if rollout.strategy is not Strategy.PROGRESSIVE or not rollout.steps:
        return
    if canary is None:
        message = (
            f"the server {deployment.spec.server} has no canary slice: weights are ignored, the first soak is kept"
        )
        yield resource.finding(Rule.STEPS_WITHOUT_CANARY, at, message, severity="warning")
        return
    share = 100 * canary.min // max(1, host.replicas["main"].min)
    for index, step in enumerate(rollout.steps):
        if share < step.weight < 100:
            message = f"the canary slice can carry about {share} % of the requests, this step sends it {step.weight} %"
            yield resource.finding(Rule.STEP_TOO_LARGE, (*at, index, "weight"), message, severity="warning")


def _analysis(resource: Resource, deployment: Deployment, host: Host, rollout: RolloutPolicy) -> Iterator[Finding]:
    """Of an analysis that the Deployment asks for itself: one for all in fresco.yaml is no mistake of each."""
    if deployment.spec.rollout.analysis is None or rollout.strategy is not Strategy.PROGRESSIVE:
        return
    at: Path = ("spec", "rollout", "analysis")
    if "canary" not in host.replicas:
        message = f"the server {deployment.spec.server} has no canary slice, whose answers it would look at"
        yield resource.finding(Rule.ANALYSIS_BLIND, at, message, severity="warning")
    elif not any(step.soak for step in rollout.steps if step.weight < 100):
        message = "no step below 100 % has a soak, in which it would look"
        steps = resource.place(("spec", "rollout", "steps"))
        yield resource.finding(Rule.ANALYSIS_BLIND, at, message, severity="warning", other=steps)


# ---- Repository


def gateway(resource: Resource, spec: RepositorySpec, cluster: str) -> Iterator[Finding]:
    """A warning where the gateway of `cluster` is not known to do what every route asks for."""
    for index, one in enumerate(spec.clusters):
        why = gateways.lacks(one.gateway.implementation, Feature.PATH_REWRITE) if one.name == cluster else None
        if why is not None:
            path: Path = ("spec", "clusters", index, "gateway", "implementation")
            message = f"every route rewrites a path, but {why}"
            yield resource.finding(Rule.GATEWAY_LACKS, path, message, severity="warning")


def repository(resource: Resource, spec: RepositorySpec) -> list[Finding]:
    """Everything against a Repository: with one finding nothing is accepted."""
    settle = max(resolve.settle(one.gateway) for one in spec.clusters)
    checks = (
        _unique(resource, "name", [one.name for one in spec.clusters]),
        _unique(resource, "branch", [resolve.branch(one) for one in spec.clusters]),
        _branches(resource, spec),
        _paths(resource, spec),
        _rollout_defaults(resource, ("spec", "rollout"), spec.rollout, settle),
        _pinned(resource, ("spec", "images", "triton"), spec.images.triton),
        _pinned(resource, ("spec", "images", "vllm"), spec.images.vllm),
        _pinned(resource, ("spec", "images", "modelSync"), spec.images.model_sync),
    )
    return [finding for check in checks for finding in check]


def _unique(resource: Resource, field: str, values: Sequence[str]) -> Iterator[Finding]:
    for index, value in enumerate(values):
        if value in values[:index]:
            path: Path = ("spec", "clusters", index, field)
            first = resource.place(("spec", "clusters", values.index(value), field))
            message = f"{value!r} is another cluster's {field} already"
            yield resource.finding(Rule.WRONG_VALUE, path, message, other=first)


def _branches(resource: Resource, spec: RepositorySpec) -> Iterator[Finding]:
    """The agent alone writes to a cluster's branch: it is none that people work on."""
    for index, one in enumerate(spec.clusters):
        path: Path = ("spec", "clusters", index, "branch")
        if one.branch in _HUMANS:
            yield resource.finding(
                Rule.WRONG_VALUE, path, f"{one.branch!r} is where people work, the agent needs its own"
            )
        elif not _is_branch(resolve.branch(one)):
            yield resource.finding(Rule.WRONG_VALUE, path, f"expected the name of a branch, got {one.branch!r}")


def _is_branch(name: str) -> bool:
    parts = name.split("/")
    return all(
        _BRANCH_PART.fullmatch(part) and not part.endswith((".", ".lock")) and ".." not in part for part in parts
    )


def _paths(resource: Resource, spec: RepositorySpec) -> Iterator[Finding]:
    for index, one in enumerate(spec.clusters):
        if one.path.startswith("/") or ".." in one.path.split("/"):
            message = f"expected a folder of this repository, got {one.path!r}"
            yield resource.finding(Rule.WRONG_VALUE, ("spec", "clusters", index, "path"), message)


# ---- the tables


_SERVER_CHECKS: tuple[Callable[[Resource, InferenceServer, Scope], Iterator[Finding]], ...] = (
    _server_name,
    _replicas,
    _image,
    _credentials,
    _own_settings,
    _plain_secrets,
    _scheduling,
    _sync,
)
_DEPLOYMENT_CHECKS: tuple[Callable[[Resource, Deployment, Scope], Iterator[Finding]], ...] = (
    _model,
    _storage,
    _rollout,
    _traffic,
)
_HOST_CHECKS: tuple[Callable[[Resource, Deployment, Host], Iterator[Finding]], ...] = (_type, _claim)
_ROLLOUT_CHECKS: tuple[Callable[[Resource, Deployment, Host, RolloutPolicy], Iterator[Finding]], ...] = (
    _steps,
    _analysis,
)


def server(resource: Resource, spec: InferenceServer, scope: Scope) -> list[Finding]:
    """Everything against an InferenceServer by itself."""
    return [finding for check in _SERVER_CHECKS for finding in check(resource, spec, scope)]


def deployment(resource: Resource, spec: Deployment, scope: Scope) -> list[Finding]:
    """Everything against a Deployment by itself."""
    return [finding for check in _DEPLOYMENT_CHECKS for finding in check(resource, spec, scope)]


def on_host(resource: Resource, spec: Deployment, host: Host, rollout: RolloutPolicy) -> list[Finding]:
    """Everything against a Deployment on its server, warnings among it."""
    found = [finding for check in _HOST_CHECKS for finding in check(resource, spec, host)]
    return [*found, *(finding for check in _ROLLOUT_CHECKS for finding in check(resource, spec, host, rollout))]


def _above_zero(resource: Resource, path: Path, duration: str | None) -> Iterator[Finding]:
    if duration is not None and seconds(duration) <= 0:
        yield resource.finding(Rule.WRONG_VALUE, path, f"expected more than 0, got {duration!r}")
