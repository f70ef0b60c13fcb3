"""The pod of a slice: the server, and model-sync beside it as a native sidecar. Pure.

A server can run its models' code, so it gets no credentials and no writable models; those are model-sync's, which runs
under another user. Both meet Pod Security `restricted`. What is made of a template is told by its version (`SPECS`), so
that a newer Fresco changes no running pod: a change here is a further version, and `TEMPLATE_VERSION` of
`render.resolve` is what servers roll to.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from render.errors import StatusUnreadable
from render.objects.base import (
    GRPC_PORT,
    HTTP_PORT,
    METRICS_PORT,
    REPORT_PORT,
    Object,
    Part,
    annotated,
    labels,
    selector,
)
from render.objects.models import config_map_name
from schemas.resources import Toleration
from schemas.status import CachePolicy, ServerTemplate

MODELS_DIR = "/models"
CONFIG_DIR = "/etc/fresco"

_SERVER_USER = 1000  # triton-server in Triton's image
_SYNC_USER = 65532
_GROUP = 2000  # owns the model volume: model-sync writes, the server reads
_LOAD_THREADS = 4
_GRACE_SECONDS = 60
_DRAIN_SECONDS = 5  # for gateways to take note before the server stops
_START_SECONDS = 600


def pod_template(part: Part) -> Object:
    """The pod template of a slice, with the hash of its content as annotation.

    Raises StatusUnreadable for a template of a version that this Fresco does not know.
    """
    version = part.template.template_version
    spec = SPECS.get(version)
    if spec is None:
        where = f"slice {part.slice} of {part.fleet.namespace}/{part.fleet.name}"
        raise StatusUnreadable(f"{where} has a pod template of version {version}; known: {', '.join(map(str, SPECS))}")
    return annotated({"metadata": {"labels": labels(part.fleet.name, part.slice)}, "spec": spec(part)})


def _spec(part: Part) -> Object:
    template = part.template
    return {
        "serviceAccountName": part.fleet.name,
        "serviceAccount": part.fleet.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": _GROUP,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **_scheduling(template),
        "topologySpreadConstraints": [_spread(part)],
        "initContainers": [_model_sync(part, template)],
        "containers": [_server(template)],
        "volumes": _volumes(part, template),
    }


def _scheduling(template: ServerTemplate) -> Object:
    scheduling = template.scheduling
    fields = {
        "nodeSelector": dict(scheduling.node_selector),
        "tolerations": [_toleration(one) for one in scheduling.tolerations],
        "priorityClassName": scheduling.priority_class_name,
        "runtimeClassName": scheduling.runtime_class_name,
    }
    return {name: value for name, value in fields.items() if value}


def _toleration(toleration: Toleration) -> Object:
    spelled: Object = msgspec.to_builtins(toleration)
    return {"operator": toleration.operator, **spelled}


def _spread(part: Part) -> Object:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(part.fleet.name, part.slice)},
    }


# ---- the server


def _server(template: ServerTemplate) -> Object:
    return {
        "name": "server",
        "image": template.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["tritonserver"],
        "args": [
            "--model-repository=$(FRESCO_MODELS_DIR)/repository",
            "--model-control-mode=explicit",
            "--strict-readiness=false",
            "--http-port=$(FRESCO_HTTP_PORT)",
            "--grpc-port=$(FRESCO_GRPC_PORT)",
            "--metrics-port=$(FRESCO_METRICS_PORT)",
            *template.args,
        ],
        "env": _environment(
            {
                "FRESCO_MODELS_DIR": MODELS_DIR,
                "FRESCO_HTTP_PORT": str(HTTP_PORT),
                "FRESCO_GRPC_PORT": str(GRPC_PORT),
                "FRESCO_METRICS_PORT": str(METRICS_PORT),
                **template.env,
            }
        ),
        "ports": [_port("http", HTTP_PORT), _port("grpc", GRPC_PORT), _port("metrics", METRICS_PORT)],
        "resources": _resources(template),
        # model-sync knows whether the server has to be started again, after a load that does not end for example.
        "startupProbe": _probe(_get("/livez", REPORT_PORT), period=2, failures=_START_SECONDS // 2),
        "livenessProbe": _probe(_get("/livez", REPORT_PORT), period=5, failures=3),
        "readinessProbe": _probe(_get("/v2/health/ready", "http"), period=2, failures=2),
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_SECONDS}}},
        "volumeMounts": [
            {"name": "models", "mountPath": MODELS_DIR, "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
        **_container(_SERVER_USER),
    }


def _resources(template: ServerTemplate) -> Object:
    wanted = template.resources
    amounts: dict[str, str] = {"cpu": wanted.cpu, "memory": wanted.memory}
    if wanted.gpu is not None:
        amounts[wanted.gpu.resource] = str(wanted.gpu.count)
    return {"requests": dict(amounts), "limits": dict(amounts)}


# ---- model-sync


def _model_sync(part: Part, template: ServerTemplate) -> Object:
    own = {"envFrom": [{"secretRef": {"name": template.credentials}}]} if template.credentials is not None else {}
    return {
        "name": "model-sync",
        "image": template.model_sync_image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",  # a native sidecar: starts before the server, stops after it
        **own,
        "env": [
            {"name": "FRESCO_POD", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            *_environment(_sync_environment(part, template)),
        ],
        "ports": [_port("report", REPORT_PORT)],
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"memory": "1Gi"},
        },
        # Not /livez: that is about the server, which starts only after this one has.
        "startupProbe": _probe({"tcpSocket": {"port": "report"}}, period=1, failures=_START_SECONDS),
        "readinessProbe": _probe(_get("/readyz", "report"), period=2, failures=2),
        "volumeMounts": [
            {"name": "models", "mountPath": MODELS_DIR},
            {"name": "config", "mountPath": CONFIG_DIR, "readOnly": True},
            {"name": "sync-tmp", "mountPath": "/tmp"},
        ],
        **_container(_SYNC_USER),
    }


def _sync_environment(part: Part, template: ServerTemplate) -> dict[str, str]:
    return {
        "FRESCO_NAMESPACE": part.fleet.namespace,
        "FRESCO_SERVER": part.fleet.name,
        "FRESCO_SLICE": part.slice,
        "FRESCO_CONFIG_DIR": CONFIG_DIR,
        "FRESCO_MODELS_DIR": MODELS_DIR,
        "FRESCO_BACKEND": template.backend.value,
        "FRESCO_GRPC": f"127.0.0.1:{GRPC_PORT}",
        "FRESCO_HTTP": f"127.0.0.1:{HTTP_PORT}",
        "FRESCO_REPORT_HOST": "0.0.0.0",
        "FRESCO_REPORT_PORT": str(REPORT_PORT),
        "FRESCO_RESYNC_SECONDS": f"{template.sync.resync:.10g}",
        "FRESCO_LOAD_DEADLINE_SECONDS": f"{template.sync.load_deadline:.10g}",
        "FRESCO_LOAD_THREADS": str(_LOAD_THREADS),
        "FRESCO_CONNECTIONS": str(template.sync.connections),
        "FRESCO_ON_MODEL_FAILURE": template.on_model_failure,
    }


# ---- both


def _container(user: int) -> Object:
    return {
        "securityContext": {
            "runAsUser": user,
            "runAsGroup": _GROUP,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }


def _environment(values: Mapping[str, str]) -> list[Object]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _port(name: str, port: int) -> Object:
    return {"name": name, "containerPort": port, "protocol": "TCP"}


def _get(path: str, port: int | str) -> Object:
    return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}}


def _probe(how: Mapping[str, Any], *, period: int, failures: int) -> Object:
    return {
        **how,
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "successThreshold": 1,
        "failureThreshold": failures,
    }


def _volumes(part: Part, template: ServerTemplate) -> list[Object]:
    return [
        {"name": "models", **_models_volume(template.cache)},
        {"name": "config", "configMap": {"name": config_map_name(part), "defaultMode": 0o644}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}},
        {"name": "sync-tmp", "emptyDir": {"sizeLimit": "1Gi"}},
    ]


def _models_volume(cache: CachePolicy) -> Object:
    if cache.claim is not None:
        return {"persistentVolumeClaim": {"claimName": cache.claim}}
    return {"emptyDir": {"sizeLimit": cache.size_limit}}


SPECS: Mapping[int, Callable[[Part], Object]] = {1: _spec}
"""The pod's spec by version of the template."""
