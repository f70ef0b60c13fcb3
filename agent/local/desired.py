"""What a commit's manifests ask of this machine: slices of pods, configs, services, routes. Pure.

The manifests are the renderer's, in its conventions: one server and one native sidecar per pod template, `$(VAR)` in
arguments and environment, a volume `config` from one ConfigMap. Kinds that mean nothing here (PodDisruptionBudget,
ServiceAccount, autoscalers) are only counted as applied.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Manifest = Mapping[str, Any]

CONTENT = "serving.fresco.dev/content"
SERVER_LABEL = "serving.fresco.dev/server"
SLICE_LABEL = "serving.fresco.dev/slice"
_EXPANSION = re.compile(r"\$(\$|\(([-._a-zA-Z][-._a-zA-Z0-9]*)\))")


class ManifestInvalid(Exception):
    """A manifest that this machine cannot carry out. The message names the object and the field."""


class Variable(msgspec.Struct, frozen=True):
    """One environment variable of a container: a `value` with `$(VAR)` in it, or a `field` of the pod."""

    name: str
    value: str = ""
    field: str = ""


class Container(msgspec.Struct, frozen=True):
    """One container of a pod template, as far as a plain process can follow it."""

    command: tuple[str, ...]
    args: tuple[str, ...]
    variables: tuple[Variable, ...]


class Template(msgspec.Struct, frozen=True):
    """A pod template. `hash` is its identity: pods of another hash are replaced. `config`: name of the ConfigMap."""

    hash: str
    labels: dict[str, str]
    config: str
    server: Container
    sidecar: Container


class Update(msgspec.Struct, frozen=True):
    """How a slice takes a new template: how many pods beyond, and how many below, its replicas there may be."""

    surge: int = 1
    unavailable: int = 0


class Slice(msgspec.Struct, frozen=True):
    """One Kubernetes Deployment: the pods of one slice of a server."""

    namespace: str
    name: str
    server: str
    slice: str
    replicas: int
    update: Update
    template: Template


class ConfigMap(msgspec.Struct, frozen=True):
    """The files of a ConfigMap: content by name."""

    data: dict[str, str]


class Port(msgspec.Struct, frozen=True):
    """One port of a Service. `target`: the name of the container's port; `http2`: it speaks HTTP/2 in clear text."""

    number: int
    target: str
    http2: bool


class Service(msgspec.Struct, frozen=True):
    """A Service: the ready pods with these labels."""

    namespace: str
    name: str
    selector: dict[str, str]
    ports: tuple[Port, ...]

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a pod of `namespace` with `labels` stands behind this Service."""
        return namespace == self.namespace and self.selector.items() <= labels.items()


class Route(msgspec.Struct, frozen=True):
    """An HTTPRoute as it was written; `agent.local.envoy` understands its `spec`. `content`: its annotation."""

    namespace: str
    name: str
    content: str
    spec: dict[str, Any]


class Desired(msgspec.Struct, frozen=True):
    """All of a commit. Keys are `namespace/name`; of `objects`, content annotations, `Kind/namespace/name`."""

    slices: dict[str, Slice] = {}
    configs: dict[str, ConfigMap] = {}
    services: dict[str, Service] = {}
    routes: dict[str, Route] = {}
    objects: dict[str, str] = {}


def desired(manifests: Iterable[Manifest]) -> Desired:
    """What `manifests`, one object each and in any order, ask for. Raises ManifestInvalid."""
    result = Desired()
    for manifest in manifests:
        kind, namespace, name = _identity(manifest)
        key = f"{namespace}/{name}"
        try:
            _add(result, kind, key, manifest)
        except (KeyError, TypeError, ValueError, IndexError, StopIteration) as error:
            raise ManifestInvalid(f"{kind} {key}: not as Fresco renders it: {type(error).__name__}: {error}") from error
        result.objects[f"{kind}/{key}"] = _content(manifest)
    return result


def expand(
    container: Container, *, fields: Mapping[str, str], overrides: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """The argument list and the environment of `container`, with `$(VAR)` replaced as Kubernetes does it.

    `overrides` win over the values in the manifest, where they are used in further expansions too. `$$` is a dollar
    sign; a variable that is not defined (yet) stays as it is written.
    """
    environment: dict[str, str] = {}
    for variable in container.variables:
        value = fields.get(variable.field, "") if variable.field else _expanded(variable.value, environment)
        environment[variable.name] = overrides.get(variable.name, value)
    environment.update(overrides)
    return [_expanded(argument, environment) for argument in (*container.command, *container.args)], environment


def canonical_hash(value: object) -> str:
    """The first 16 hex digits of the sha256 over the canonical JSON of `value`: the form of content annotations."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def _identity(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(manifest.get("kind"), str) or not metadata.get("name"):
        raise ManifestInvalid(f"not a Kubernetes object: expected kind and metadata.name, got {str(manifest)[:80]!r}")
    return manifest["kind"], metadata.get("namespace") or "default", metadata["name"]


def _content(manifest: Manifest) -> str:
    annotations = manifest["metadata"].get("annotations") or {}
    return str(annotations.get(CONTENT) or canonical_hash(manifest))


def _add(result: Desired, kind: str, key: str, manifest: Manifest) -> None:
    if kind == "Deployment":
        result.slices[key] = _slice(manifest)
    elif kind == "ConfigMap":
        result.configs[key] = ConfigMap(data=dict(manifest.get("data") or {}))
    elif kind == "Service":
        result.services[key] = _service(manifest)
    elif kind == "HTTPRoute":
        namespace, name = key.split("/")
        result.routes[key] = Route(namespace, name, _content(manifest), dict(manifest["spec"]))


def _slice(manifest: Manifest) -> Slice:
    metadata, spec = manifest["metadata"], manifest["spec"]
    template = _template(spec["template"])
    return Slice(
        namespace=metadata.get("namespace") or "default",
        name=metadata["name"],
        server=template.labels[SERVER_LABEL],
        slice=template.labels[SLICE_LABEL],
        replicas=int(spec.get("replicas", 1)),
        update=_update(spec.get("strategy") or {}, int(spec.get("replicas", 1))),
        template=template,
    )


def _template(template: Manifest) -> Template:
    spec = template["spec"]
    return Template(
        hash=_content(template),
        labels=dict(template["metadata"]["labels"]),
        config=_named(spec["volumes"], "config")["configMap"]["name"],
        server=_container(_named(spec["containers"], "server")),
        sidecar=_container(_named(spec["initContainers"], "model-sync")),
    )


def _named(items: Iterable[Manifest], name: str) -> Manifest:
    for item in items:
        if item["name"] == name:
            return item
    raise ValueError(f"nothing is called {name!r}")


def _container(container: Manifest) -> Container:
    return Container(
        command=tuple(container.get("command") or ()),
        args=tuple(container.get("args") or ()),
        variables=tuple(_variable(item) for item in container.get("env") or ()),
    )


def _variable(item: Manifest) -> Variable:
    if "valueFrom" not in item:
        return Variable(item["name"], value=str(item.get("value", "")))
    return Variable(item["name"], field=item["valueFrom"]["fieldRef"]["fieldPath"])


def _update(strategy: Manifest, replicas: int) -> Update:
    if strategy.get("type") == "Recreate":
        return Update(surge=0, unavailable=replicas)
    rolling = strategy.get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", 1), replicas, up=True)
    unavailable = _share(rolling.get("maxUnavailable", 0), replicas, up=False)
    return Update(surge, unavailable if surge or unavailable else 1)


def _share(value: int | str, replicas: int, *, up: bool) -> int:
    """A number of pods, or `25%` of the replicas rounded up or down."""
    if not str(value).endswith("%"):
        return int(value)
    exact = int(str(value)[:-1]) * replicas
    return -(-exact // 100) if up else exact // 100


def _service(manifest: Manifest) -> Service:
    metadata, spec = manifest["metadata"], manifest["spec"]
    return Service(
        namespace=metadata.get("namespace") or "default",
        name=metadata["name"],
        selector=dict(spec["selector"]),
        ports=tuple(_port(item) for item in spec["ports"]),
    )


def _port(item: Manifest) -> Port:
    return Port(
        int(item["port"]), str(item.get("targetPort", item["port"])), item.get("appProtocol") == "kubernetes.io/h2c"
    )


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else environment.get(match[2], match[0])

    return _EXPANSION.sub(replace, text)
