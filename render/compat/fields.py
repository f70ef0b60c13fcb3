"""The tables of Michelangelo's fields: where Fresco's own are written, and which Fresco cannot honour. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from render.compat.words import LINK
from render.document import Path
from render.resource import DEPLOYMENT, SERVER

_SERVER_FIELDS: Final[dict[Path, Path]] = {
    ("spec",): ("spec",),
    ("spec", "backend"): ("spec", "initSpec", "servingSpec"),
    ("spec", "backend", "type"): ("spec", "backendType"),
    ("spec", "backend", "version"): ("spec", "initSpec", "servingSpec", "version"),
    ("spec", "replicas"): ("spec", "initSpec", "numInstances"),
    ("spec", "resources"): ("spec", "initSpec", "resourceSpec"),
    ("spec", "resources", "cpu"): ("spec", "initSpec", "resourceSpec", "cpu"),
    ("spec", "resources", "memory"): ("spec", "initSpec", "resourceSpec", "memory"),
    ("spec", "resources", "gpu"): ("spec", "initSpec", "resourceSpec", "gpu"),
    ("spec", "cache"): ("spec", "initSpec", "resourceSpec", "diskSize"),
}
_DEPLOYMENT_FIELDS: Final[dict[Path, Path]] = {
    ("spec",): ("spec",),
    ("spec", "server"): ("spec", "inferenceServer", "name"),
    ("spec", "model"): ("spec", "desiredRevision"),
    ("spec", "model", "revision"): ("spec", "desiredRevision", "name"),
    ("spec", "model", "uri"): ("spec", "desiredRevision", "name"),
    ("spec", "rollout"): ("spec", "strategy"),
    ("spec", "rollout", "reason"): ("spec", "strategy", "blast", "issueLink"),
    ("spec", "rollout", "steps"): ("spec", "strategy", "rolling", "incrementPercentage"),
    ("spec", "rollout", "bake"): ("spec", "strategy", "zonal", "rolloutPeriodInSeconds"),
    ("spec", "traffic", "mirror"): ("spec", "shadowSpec"),
    ("spec", "traffic", "mirror", "percent"): ("spec", "shadowSpec", "trafficPercentage"),
}
_METADATA: Final[dict[Path, Path]] = {
    path: path
    for path in (
        ("apiVersion",),
        ("kind",),
        ("metadata",),
        ("metadata", "name"),
        ("metadata", "namespace"),
        ("metadata", "labels"),
        ("metadata", "annotations"),
    )
}
WRITTEN: Final[Mapping[str, Mapping[Path, Path]]] = {
    SERVER: {**_METADATA, **_SERVER_FIELDS},
    DEPLOYMENT: {**_METADATA, **_DEPLOYMENT_FIELDS},
}
"""By kind: where in Michelangelo's form a path of Fresco's is written."""

_ANNOTATED: Final[Mapping[str, Path]] = {
    "owner": ("spec", "owner", "name"),
    "proxy-user": ("spec", "owner", "proxyUser"),
    "owner-info": ("spec", "ownerSpec", "ownerInfo"),
    "tier": ("spec", "ownerSpec", "tier"),
    "model-family": ("spec", "modelFamily", "name"),
}


class Unhonoured(NamedTuple):
    """A field that Fresco cannot honour, where `counts` holds of its value.

    `is_error`: what is served would not be what was asked for. `instead`: what to write.
    """

    path: Path
    is_error: bool
    message: str
    instead: str
    counts: Callable[[Any], bool] = bool


def _is_there(value: object) -> bool:
    return value is not None


def _is_other_target(value: object) -> bool:
    return value != "TARGET_TYPE_INFERENCE_SERVER"


def _is_other_backend(value: object) -> bool:
    return value != "BACKEND_TYPE_TRITON"


def _is_shared(value: object) -> bool:
    return value == "TENANCY_TYPE_MULTI_TENANT"


def _is_other_serving(value: object) -> bool:
    return value not in ("", "realtime-serving")


def _is_fraction(value: float) -> bool:
    return value != int(value)


_RESOURCES: Final = ("spec", "initSpec", "resourceSpec")
_STRATEGY: Final = ("spec", "strategy")
_SHADOW: Final = ("spec", "shadowSpec")
_CLUSTERS: Final = "fresco.yaml says which clusters serve what: give each a path"

UNHONOURED: Final[Mapping[str, tuple[Unhonoured, ...]]] = {
    SERVER: (
        Unhonoured(
            ("spec", "tenancyType"),
            False,
            "a server serves the Deployments of its own namespace alone",
            "write a server in each namespace",
            _is_shared,
        ),
        Unhonoured(
            ("spec", "backendType"),
            True,
            "in this form only Triton is served",
            "write BACKEND_TYPE_TRITON, or Fresco's own form with backend.type: vllm",
            _is_other_backend,
        ),
        Unhonoured(
            (*_RESOURCES, "gpuSku"),
            True,
            "the kind of a GPU is a label of nodes, and which one differs",
            "write Fresco's own form with scheduling.nodeSelector",
        ),
        Unhonoured(
            (*_RESOURCES, "fileDescriptors"),
            False,
            "a pod has the limit of open files that its node gives",
            "set it on the nodes, and leave it out here",
        ),
        Unhonoured(
            ("spec", "initSpec", "servingSpec", "containerBuildTemplate"),
            False,
            "images are not built here",
            "write images.triton in fresco.yaml, or Fresco's own form with backend.image",
        ),
        Unhonoured(("spec", "clusterTargets"), False, "clusters are not chosen here", _CLUSTERS),
        Unhonoured(("spec", "deploymentStrategy"), False, "clusters are not chosen here", _CLUSTERS),
    ),
    DEPLOYMENT: (
        Unhonoured(
            ("spec", "definition", "type"),
            True,
            "only models on an InferenceServer are served",
            "keep it outside the cluster's path",
            _is_other_target,
        ),
        Unhonoured(
            ("spec", "definition", "subType"),
            False,
            "models are served for requests alone",
            "write realtime-serving, or leave it out",
            _is_other_serving,
        ),
        Unhonoured(
            ("spec", "mobileSpec"),
            True,
            "only models on an InferenceServer are served",
            "write inferenceServer",
            _is_there,
        ),
        Unhonoured(
            ("spec", "selector"),
            False,
            "a model is served by every instance of its server",
            "write a server for each environment",
        ),
        Unhonoured(
            (*_STRATEGY, "zonal"),
            False,
            "there are no zones: it spreads from pod to pod, and the wait comes at the end",
            "write rolling, or Fresco's own form with rollout.steps",
            _is_there,
        ),
        Unhonoured(
            (*_STRATEGY, "redBlack"),
            False,
            "there is no second fleet: it spreads from pod to pod",
            "write rolling, and give the server a canary slice",
            _is_there,
        ),
        Unhonoured(
            (*_STRATEGY, "disaggregated"),
            True,
            "environments are not told apart",
            "write a Deployment and a server for each environment",
            _is_there,
        ),
        Unhonoured(
            (*_STRATEGY, "blast", "withRollbackTrigger"),
            False,
            "an emergency is rolled back by a failed load alone",
            "write rolling, and rollout.analysis in fresco.yaml",
        ),
        Unhonoured(
            ("spec", "healthCheckConfig"),
            False,
            "no metrics are queried: the servers themselves tell of failures and latency",
            "write rollout.analysis in fresco.yaml",
        ),
        Unhonoured(
            (*_SHADOW, "trafficPercentage"),
            False,
            "whole percents are copied, and this is rounded up",
            "write a whole number",
            _is_fraction,
        ),
        Unhonoured(
            (*_SHADOW, "duration"),
            False,
            "requests are copied while the route is split",
            "write Fresco's own form with rollout.steps and their soak",
        ),
        Unhonoured(
            (*_SHADOW, "metrics"),
            False,
            "answers to copied requests are thrown away",
            "write rollout.analysis in fresco.yaml",
        ),
        Unhonoured(
            (*_SHADOW, "dryrun"),
            False,
            "nothing is copied in a dry run",
            "leave it out, or write enabled: false",
        ),
    ),
}
"""By kind: the fields that get a finding. What says nothing of serving (owner, tier, family, links) has none."""


def origin_of_annotation(name: str) -> Path | None:
    """Where in Michelangelo's form the annotation `name` of it, without its prefix, is written."""
    if name.startswith(LINK):
        return ("spec", "resourceLinks", name.removeprefix(LINK))
    return _ANNOTATED.get(name)


def unhonoured(kind: str, value: Mapping[str, Any]) -> Iterator[Unhonoured]:
    """Those of the fields of `value`, a resource of `kind` in Michelangelo's form, that Fresco cannot honour."""
    for field in UNHONOURED[kind]:
        if field.path[:2] != _SHADOW or _at(value, (*_SHADOW, "enabled")):
            found = _at(value, field.path)
            if found is not None and field.counts(found):
                yield field


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
