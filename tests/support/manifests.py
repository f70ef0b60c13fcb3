"""Manifests in the renderer's conventions, as small as they can be: one server, one model `m`, its route."""

import json
from typing import Any

import msgspec

from agent.local.desired import canonical_hash
from schemas.model_config import SCHEMA_VERSION, ConfigCandidate, ConfigEntry, ConfigRevision, ModelConfig, checksum
from tests.e2e.artifacts import Artifact

NAMESPACE = "fraud"
SERVER = "gpu-a"

Manifest = dict[str, Any]


def slice_of(
    artifact: Artifact, name: str = "main", *, replicas: int = 1, marker: str = "", load_deadline: float = 120.0
) -> list[Manifest]:
    """Deployment, Service and ConfigMap of a slice that serves `artifact`.

    `marker` makes its template another one. `load_deadline` in seconds.
    """
    labels = {"serving.fresco.dev/server": SERVER, "serving.fresco.dev/slice": name}
    full = f"{SERVER}-{name}"
    template = {"metadata": {"labels": labels}, "spec": _pod(name, marker, load_deadline)}
    return [
        _object("Deployment", full, spec={"replicas": replicas, "template": template}),
        service(full, labels),
        config(ConfigEntry(serve=revision(artifact), gate=True), name),
    ]


def revision(artifact: Artifact) -> ConfigRevision:
    """A revision of `m`."""
    return ConfigRevision(
        deployment="m", type="repository", revision=artifact.revision, uri=artifact.uri, digest=artifact.digest
    )


def candidate(artifact: Artifact, pod: str) -> ConfigCandidate:
    """A candidate for one pod."""
    return ConfigCandidate(**msgspec.structs.asdict(revision(artifact)), first_pods=(pod,))


def config(entry: ConfigEntry, name: str = "main") -> Manifest:
    """The ConfigMap of a slice with this entry for `m`."""
    models = {"m": entry}
    whole = ModelConfig(
        schema_version=SCHEMA_VERSION,
        namespace=NAMESPACE,
        server=SERVER,
        slice="main" if name == "main" else "canary",
        checksum=checksum(models),
        models=models,
    )
    text = msgspec.json.encode(whole).decode()
    return _object("ConfigMap", f"{SERVER}-{name}-models", data={"model-config.json": text})


def service(name: str, labels: dict[str, str]) -> Manifest:
    """A Service."""
    ports = [
        {"name": "http", "port": 8000, "targetPort": "http"},
        {"name": "grpc", "port": 8001, "targetPort": "grpc", "appProtocol": "kubernetes.io/h2c"},
    ]
    return _object("Service", name, spec={"selector": labels, "ports": ports})


def common() -> Manifest:
    """The Service over all slices."""
    return service(SERVER, {"serving.fresco.dev/server": SERVER})


def route(**weights: int) -> Manifest:
    """The route of model `m`, with these weights by Service."""

    def backends(port: int) -> list[Manifest]:
        return [{"kind": "Service", "name": n.replace("_", "-"), "port": port, "weight": w} for n, w in weights.items()]

    path = f"/{NAMESPACE}/{SERVER}/m"
    rewrite = {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/v2/models/m/infer"}}
    infer = {"type": "Exact", "value": "/inference.GRPCInferenceService/ModelInfer"}
    header = {"type": "Exact", "name": "x-fresco-model", "value": path}
    rules = [
        {
            "matches": [{"path": {"type": "Exact", "value": f"{path}/infer"}}],
            "filters": [{"type": "URLRewrite", "urlRewrite": rewrite}],
            "backendRefs": backends(8000),
        },
        {"matches": [{"path": infer, "headers": [header]}], "backendRefs": backends(8001)},
    ]
    return _object("HTTPRoute", "m", spec={"rules": rules})


def content(manifest: Manifest) -> str:
    """The content annotation of an object."""
    return str(manifest["metadata"]["annotations"]["serving.fresco.dev/content"])


def _object(kind: str, name: str, **fields: Any) -> Manifest:
    annotations = {"serving.fresco.dev/content": canonical_hash(json.loads(json.dumps(fields)))}
    return {"kind": kind, "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations}, **fields}


def _pod(name: str, marker: str, load_deadline: float) -> Manifest:
    return {
        "initContainers": [_sidecar(name, load_deadline)],
        "containers": [_server(marker)],
        "volumes": [{"name": "models"}, {"name": "config", "configMap": {"name": f"{SERVER}-{name}-models"}}],
    }


def _server(marker: str) -> Manifest:
    values = {
        "FRESCO_MODELS_DIR": "/models",
        "FRESCO_HTTP_PORT": "8000",
        "FRESCO_GRPC_PORT": "8001",
        "FRESCO_METRICS_PORT": "8002",
        "MARKER": marker,
    }
    args = [
        "--model-repository=$(FRESCO_MODELS_DIR)/repository",
        "--model-control-mode=explicit",
        "--strict-readiness=false",
        *(f"--{name}-port=$(FRESCO_{name.upper()}_PORT)" for name in ("http", "grpc", "metrics")),
    ]
    return {"name": "server", "command": ["tritonserver"], "args": args, "env": _env(values)}


def _sidecar(name: str, load_deadline: float) -> Manifest:
    values = {
        "FRESCO_NAMESPACE": NAMESPACE,
        "FRESCO_SERVER": SERVER,
        "FRESCO_SLICE": name,
        "FRESCO_CONFIG_DIR": "/etc/fresco",
        "FRESCO_MODELS_DIR": "/models",
        "FRESCO_BACKEND": "triton",
        "FRESCO_GRPC": "127.0.0.1:8001",
        "FRESCO_HTTP": "127.0.0.1:8000",
        "FRESCO_REPORT_HOST": "0.0.0.0",
        "FRESCO_REPORT_PORT": "8090",
        "FRESCO_LOAD_DEADLINE_SECONDS": f"{load_deadline:g}",
    }
    field = {"name": "FRESCO_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return {"name": "model-sync", "restartPolicy": "Always", "env": [field, *_env(values)]}


def _env(values: dict[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in values.items()]
