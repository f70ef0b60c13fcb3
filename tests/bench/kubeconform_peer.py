"""The peer of `checking`: kubeconform, and the schemas that it checks Fresco's objects by.

It is built once by Go from the module proxy. The schemas are made from what Kubernetes and the Gateway API publish in
their Go modules: its OpenAPI document for the built-in kinds, the CustomResourceDefinition for HTTPRoutes.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests.bench.go_program import cache, go, program

MODULE: Final = Path(__file__).parent / "kubeconform"

_PACKAGE: Final = "github.com/yannh/kubeconform/cmd/kubeconform"
_KUBERNETES: Final = "k8s.io/kubernetes@v1.34.3"
_GATEWAY_API: Final = "sigs.k8s.io/gateway-api@v1.4.0"
_ROUTES: Final = "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"
_NAME: Final = "{{ .ResourceKind }}-{{ .ResourceAPIVersion }}.json"


def kubeconform() -> Path:
    """The program. Raises Missing."""
    return program(MODULE, _PACKAGE)


def schemas() -> Path:
    """The folder with the schema of each kind, made when it is not in the cache. Raises Missing."""
    folder = cache() / f"schemas-{_KUBERNETES.partition('@')[2]}-{_GATEWAY_API.partition('@')[2]}"
    if not folder.exists():
        fresh = folder.with_name(f"{folder.name}.new")
        fresh.mkdir(parents=True, exist_ok=True)
        for name, schema in (_kubernetes(_sources(_KUBERNETES)) | _gateway_api(_sources(_GATEWAY_API))).items():
            (fresh / name).write_text(json.dumps(schema), "utf-8")
        fresh.rename(folder)
    return folder


def check(binary: Path, known: Path, folder: Path) -> Mapping[str, int]:
    """What kubeconform counts of the manifests in `folder`: `valid`, `invalid`, `errors`, `skipped`."""
    options = ("-summary", "-output", "json", "-schema-location", f"{known}/{_NAME}")
    done = subprocess.run([binary, *options, folder], capture_output=True, text=True, check=False)
    counts: Mapping[str, int] = json.loads(done.stdout)["summary"]
    return counts


def _sources(module: str) -> Path:
    return Path(json.loads(go("mod", "download", "-json", module, cwd=MODULE))["Dir"])


def _kubernetes(sources: Path) -> dict[str, Any]:
    """By file name: all definitions, and for each kind a reference to its own."""
    document = json.loads((sources / "api/openapi-spec/swagger.json").read_text("utf-8"))
    document["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["type"] = ["string", "integer"]
    made: dict[str, Any] = {"definitions.json": {"definitions": document["definitions"]}}
    for name, definition in document["definitions"].items():
        for kind in definition.get("x-kubernetes-group-version-kind", ()):
            reference = {"$ref": f"definitions.json#/definitions/{name}"}
            made.setdefault(f"{kind['kind'].lower()}-{kind['version']}.json", reference)
    return made


def _gateway_api(sources: Path) -> dict[str, Any]:
    definition = yaml.load((sources / _ROUTES).read_bytes(), Loader=yaml.CSafeLoader)
    versions = definition["spec"]["versions"]
    return {f"httproute-{one['name']}.json": one["schema"]["openAPIV3Schema"] for one in versions}
