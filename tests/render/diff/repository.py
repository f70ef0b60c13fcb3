"""Repositories that are compared: resources as plain values, and one change of each kind. Pure."""

from typing import Any, Final

from render.emit import emit

API: Final = "serving.fresco.dev/v1alpha1"
CLUSTER: Final = "prod"
STEPS: Final = [{"weight": 10, "soak": "5m"}, {"weight": 50, "soak": "10m"}]

Files = dict[str, str]


def settings(**spec: Any) -> str:
    """A `fresco.yaml` for one cluster and one namespace."""
    gateway = {"name": "public", "namespace": "gateway", "implementation": "istio"}
    namespaces = {"fraud": {"storage": ["s3://models/"], "hostnames": ["models.example.com"]}}
    defaults = {"clusters": [{"name": CLUSTER, "gateway": gateway}], "namespaces": namespaces}
    return emit({"apiVersion": API, "kind": "Repository", "spec": {**defaults, **spec}}).decode()


def server(name: str, *, version: str = "24.10", canary: int = 0, **spec: Any) -> str:
    """An InferenceServer with 24Gi of GPU memory."""
    resources = {"gpu": {"memory": "24Gi"}}
    more = {"canary": {"replicas": canary}} if canary else {}
    return _resource(
        "InferenceServer",
        name,
        {"backend": {"type": "triton", "version": version}, "replicas": 4, "resources": resources, **more, **spec},
    )


def deployment(name: str, revision: int, *, on: str, memory: str = "2Gi", **spec: Any) -> str:
    """A Deployment of the revision with that number."""
    uri = f"s3://models/{name}/{revision}"
    model = {"revision": str(revision), "uri": uri, "digest": digest(revision), "memory": memory}
    return _resource("Deployment", name, {"server": on, "model": model, **spec})


def digest(revision: int) -> str:
    """The digest of a revision's artifact."""
    return f"sha256:{revision:x}".ljust(len("sha256:") + 64, "0")


def repository(*resources: str, top: str | None = None) -> Files:
    """Files by path: `fresco.yaml`, and each resource in a file of its own."""
    files = {"fresco.yaml": top if top is not None else settings()}
    for text in resources:
        name = text.partition("name: ")[2].partition("\n")[0]
        files[f"{'servers' if 'kind: InferenceServer' in text else 'deployments'}/{name}.yaml"] = text
    return files


def _resource(kind: str, name: str, spec: dict[str, Any]) -> str:
    metadata = {"name": name, "namespace": "fraud"}
    return emit({"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}).decode()


BEFORE: Final = repository(
    server("gpu-a", canary=2),
    server("gpu-b"),
    server("gpu-c", canary=1),
    server("gpu-d", canary=2),
    server("idle"),
    server("leaving"),
    deployment("scorer", 1, on="gpu-a", rollout={"steps": STEPS}),
    deployment("urgent", 1, on="gpu-a", memory="1Gi"),
    deployment("mover", 1, on="gpu-a", memory="1536Mi"),
    deployment("tuned", 1, on="gpu-a"),
    deployment("old", 1, on="gpu-b"),
    deployment("refused", 1, on="gpu-b"),
    deployment("steady", 1, on="gpu-c"),
    deployment("waiting", 1, on="gpu-c", rollout={"steps": STEPS}),
    deployment("spread", 1, on="gpu-d"),
)

AFTER: Final = repository(
    server("gpu-a", canary=2),
    server("gpu-b", replicas={"min": 2, "max": 6}),
    server("gpu-c", canary=1, version="24.11"),
    server("gpu-d"),
    server("idle", version="24.11"),
    server("new", canary=1),
    deployment(
        "scorer",
        2,
        on="gpu-a",
        memory="3Gi",
        rollout={"steps": STEPS},
        traffic={
            "hostnames": ["models.example.com"],
            "canaryHeaders": [{"name": "x-canary", "value": "yes"}],
            "mirror": {"percent": 5},
        },
    ),
    deployment("urgent", 2, on="gpu-a", memory="1Gi", rollout={"strategy": "emergency", "reason": "a `bad|` model"}),
    deployment("mover", 1, on="gpu-b", memory="1536Mi"),
    deployment("tuned", 1, on="gpu-a", rollout={"bake": "30s"}, traffic={"path": "/fraud/tuned"}),
    deployment("newcomer", 1, on="new", rollout={"paused": True}),
    deployment("refused", 2, on="gpu-z"),
    deployment("steady", 1, on="gpu-c"),
    deployment("waiting", 2, on="gpu-c", rollout={"steps": STEPS}),
    deployment("spread", 1, on="gpu-d"),
)
"""A change of each kind: what is not named here stays as it is."""
