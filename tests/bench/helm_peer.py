"""The peer of `size`: helm, built from its published sources, and a chart that gives the objects that Fresco renders.

The chart is of the usual kind: text templates that range over values. It has it easier
than Fresco: the hashes over content and the checksums of model configs are given to it as values.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from render import objects, plan
from render.objects import model_config
from render.objects.base import CONTENT, Fleet, Object
from schemas.model_config import FILE_NAME
from schemas.status import ServerTemplate, Tree
from tests.bench.go_program import program

MODULE = Path(__file__).parent / "helm"
CHART = MODULE / "chart"

_PACKAGE: Final = "helm.sh/helm/v3/cmd/helm"


def helm() -> Path:
    """The program. Raises Missing."""
    return program(MODULE, _PACKAGE)


def template(program: Path, chart: Path, values: Path) -> tuple[float, bytes]:
    """Seconds that `helm template` takes, and what it writes."""
    command = [str(program), "template", "fleet", str(chart), "--values", str(values)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start, done.stdout


def reading_chart(folder: Path) -> Path:
    """A chart that takes the same values and makes next to nothing of them: what helm needs besides rendering."""
    (folder / "templates").mkdir(parents=True)
    shutil.copy(CHART / "Chart.yaml", folder)
    (folder / "templates" / "one.yaml").write_text("count: {{ len .Values.servers }}\n", "utf-8")
    return folder


def objects_of(documents: Iterable[bytes]) -> dict[tuple[str, str, str], Object]:
    """Objects by kind, namespace and name, as Kubernetes reads them; model configs as values."""
    found: dict[tuple[str, str, str], Object] = {}
    for document in documents:
        for one in yaml.load_all(document, Loader=yaml.CSafeLoader):
            if one["kind"] == "ConfigMap":
                one["data"][FILE_NAME] = json.loads(one["data"][FILE_NAME])
            found[one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]] = one
    return found


# ---- values


def values(tree: Tree) -> bytes:
    """The values from which the chart makes what Fresco renders from `tree`, whose rollouts are all complete."""
    indexed = plan.index(tree)
    fleets = [fleet for key in sorted(tree.servers) if (fleet := indexed.fleet(key)) is not None]
    gateway = {"name": tree.repository.gateway.name, "namespace": tree.repository.gateway.namespace}
    return msgspec.json.encode({"gateway": gateway, "servers": [_server(fleet) for fleet in fleets]})


def _server(fleet: Fleet) -> dict[str, Any]:
    template, made = fleet.server.current, objects.server_objects(fleet)
    assert template is not None
    contents = {name: _content(one) for name, one in made.items()}
    config = model_config.config(fleet.deployments, namespace=fleet.namespace, server=fleet.name, slice_name="main")
    return {
        "name": fleet.name,
        "namespace": fleet.namespace,
        **_pods(template),
        "contents": contents,
        "models": config.models,
        "slices": [_slice(fleet, name, contents, made) for name in sorted(fleet.server.slices)],
        "routes": _routes(fleet),
    }


def _pods(template: ServerTemplate) -> dict[str, Any]:
    resources = {"cpu": template.resources.cpu, "memory": template.resources.memory}
    if template.resources.gpu is not None:
        resources[template.resources.gpu.resource] = str(template.resources.gpu.count)
    return {
        "image": template.image,
        "modelSyncImage": template.model_sync_image,
        "args": template.args,
        "env": template.env,
        "resources": resources,
        "scheduling": msgspec.to_builtins(template.scheduling),
        "cacheSize": template.cache.size_limit,
        "resync": f"{template.sync.resync:g}",
        "loadDeadline": f"{template.sync.load_deadline:g}",
        "connections": str(template.sync.connections),
        "onModelFailure": template.on_model_failure,
        "update": template.update,
        "credentials": template.credentials,
        "annotations": template.service_account_annotations,
    }


def _slice(fleet: Fleet, name: str, contents: dict[str, str], made: dict[str, Object]) -> dict[str, Any]:
    replicas = next(one.replicas for key, one in fleet.server.slices.items() if key == name)
    config = msgspec.json.decode(made[f"{name}-models"]["data"][FILE_NAME])
    own = {key.removeprefix(f"{name}-"): one for key, one in contents.items() if key.startswith(f"{name}-")}
    return {
        "name": name,
        "min": replicas.min,
        "max": replicas.max,
        "targetCpu": replicas.target_cpu,
        "checksum": config["checksum"],
        "contents": {**own, "template": _content(made[f"{name}-deployment"]["spec"]["template"])},
    }


def _routes(fleet: Fleet) -> list[dict[str, Any]]:
    return [
        {
            "name": one.metadata.name,
            "model": one.current.name,
            "path": one.current.path,
            "hostnames": one.traffic.hostnames,
            "headers": one.traffic.headers,
            "content": objects.route_content(fleet.repository, fleet.server, one),
        }
        for one in fleet.deployments
        if one.current is not None and one.traffic is not None
    ]


def _content(made: Object) -> str:
    return str(made["metadata"]["annotations"][CONTENT])
