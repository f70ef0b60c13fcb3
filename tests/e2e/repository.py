"""The files of a small real repository, as a person would write them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tests.e2e.artifacts import Artifact

API = "serving.fresco.dev/v1alpha1"
CLUSTER = "local"
BRANCH = f"clusters/{CLUSTER}"
NAMESPACE = "fraud"
SERVER = "cpu-a"
SETTLE = "100ms"
STEPS = ({"weight": 10, "soak": "300ms"}, {"weight": 50, "soak": "300ms"})


def fresco(
    *,
    storage: list[str],
    bake: str = "200ms",
    allow: Sequence[str] = (),
    images: Mapping[str, str] | None = None,
    deadlines: Mapping[str, str] | None = None,
) -> str:
    """`fresco.yaml` for one local cluster. `storage`: prefixes that the namespace may take artifacts from. `allow`: the
    resources, `Kind namespace/name`, that may be deleted with many others."""
    gateway = {"name": "public", "namespace": "gateway", "implementation": "envoy", "settle": SETTLE}
    spec = {
        "clusters": [{"name": CLUSTER, "local": True, "gateway": gateway}],
        "namespaces": {NAMESPACE: {"storage": storage}},
        "images": dict(images or {}),
        "rollout": {"bake": bake, "deadlines": dict(deadlines or {})},
        "guards": {"allowDeletion": list(allow)},
    }
    return _yaml({"apiVersion": API, "kind": "Repository", "spec": spec})


def server(
    *,
    replicas: int = 2,
    canary: int = 1,
    load_deadline: str = "5m",
    name: str = SERVER,
    args: Sequence[str] = (),
    update: str = "surge",
) -> str:
    """An InferenceServer of real Triton servers."""
    spec: dict[str, Any] = {
        "backend": {"type": "triton", "version": "24.10", "args": list(args)},
        "replicas": replicas,
        "update": update,
        "sync": {"loadDeadline": load_deadline},
    }
    if canary:
        spec["canary"] = {"replicas": canary}
    return _yaml(_resource("InferenceServer", name, spec))


def deployment(
    name: str,
    artifact: Artifact,
    *,
    on: str = SERVER,
    served: str | None = None,
    path: str | None = None,
    smoke_test: str | None = None,
    **rollout: Any,
) -> str:
    """A Deployment of `artifact`. `rollout`: fields of `spec.rollout`, progressive steps unless others are given."""
    if rollout.get("strategy") != "emergency":
        rollout.setdefault("steps", list(STEPS))
    model: dict[str, Any] = {"revision": artifact.revision, "uri": artifact.uri, "digest": artifact.digest}
    if smoke_test is not None:
        model["smokeTest"] = {"request": smoke_test}
    if served is not None:
        model["name"] = served
    traffic = {"path": path} if path is not None else {}
    return _yaml(_resource("Deployment", name, {"server": on, "model": model, "rollout": rollout, "traffic": traffic}))


def path_of(kind: str, name: str) -> str:
    """Where a resource's file is; `kind` is `servers` or `deployments`."""
    return f"{kind}/{name}.yaml"


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False)
