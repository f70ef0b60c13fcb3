"""What every pod and route must be, whatever the case: Pod Security `restricted`, no way to the control API."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CASES = Path(__file__).parents[1] / "cases"
FILES = sorted([*CASES.glob("good/*/expected/manifests/**/*.yaml"), *CASES.glob("status/*/manifests/**/*.yaml")])
OBJECTS = [yaml.safe_load(path.read_text()) for path in FILES]


def of(kind: str) -> list[dict[str, Any]]:
    found = [one for one in OBJECTS if one["kind"] == kind]
    assert found
    return found


def containers(deployment: dict[str, Any]) -> Iterator[dict[str, Any]]:
    spec = deployment["spec"]["template"]["spec"]
    yield from (*spec["initContainers"], *spec["containers"])


@pytest.mark.parametrize("deployment", of("Deployment"), ids=lambda one: str(one["metadata"]["name"]))
def test_pods_are_restricted(deployment: dict[str, Any]) -> None:
    spec = deployment["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in containers(deployment):
        context = one["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
    sync, server = containers(deployment)
    assert sync["restartPolicy"] == "Always"
    assert sync["securityContext"]["runAsUser"] != server["securityContext"]["runAsUser"]
    mounts = {one["name"]: one for one in server["volumeMounts"]}
    assert mounts["models"]["readOnly"] is True
    assert "config" not in mounts
    assert "envFrom" not in server
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert {next(iter(one.keys() - {"name"})) for one in spec["volumes"]} <= {
        "emptyDir",
        "configMap",
        "persistentVolumeClaim",
    }


def test_a_config_is_never_mounted_with_a_sub_path() -> None:
    for deployment in of("Deployment"):
        for one in containers(deployment):
            assert all("subPath" not in mount for mount in one["volumeMounts"])


def test_routes_reach_the_model_and_no_control() -> None:
    allowed = ("/infer", "/generate", "/generate_stream", "/ready", "")
    for route in of("HTTPRoute"):
        rules = route["spec"]["rules"]
        assert len(rules) <= 16
        for rule in rules:
            assert all(match["path"]["type"] == "Exact" for match in rule["matches"])
            for one in rule.get("filters", []):
                if one["type"] == "URLRewrite":
                    target = one["urlRewrite"]["path"]["replaceFullPath"].removeprefix("/v2/models/")
                    assert target.partition("/")[1] + target.partition("/")[2] in allowed
            for backend in rule["backendRefs"]:
                assert backend.keys() == {"group", "kind", "name", "port", "weight"}


def test_grpc_requests_need_the_header_of_their_model() -> None:
    for route in of("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            if rule["backendRefs"][0]["port"] == 8001:
                for match in rule["matches"]:
                    assert match["headers"][0]["name"] == "x-fresco-model"
                    assert match["path"]["value"].startswith("/inference.GRPCInferenceService/Model")


def test_a_split_route_weighs_the_slices_and_a_steady_one_takes_the_common_service() -> None:
    steady = yaml.safe_load((CASES / "status/rolled-back/manifests/fraud/routes/scorer.yaml").read_text())
    assert {one["name"] for rule in steady["spec"]["rules"] for one in rule["backendRefs"]} == {"gpu-a"}
    split = yaml.safe_load((CASES / "status/traffic-routing/manifests/fraud/routes/scorer.yaml").read_text())
    weights = [{one["name"]: one["weight"] for one in rule["backendRefs"]} for rule in split["spec"]["rules"]]
    assert weights == [{"gpu-a-canary": 1}] * 6 + [{"gpu-a-main": 90, "gpu-a-canary": 10}] * 6
    held = yaml.safe_load((CASES / "status/first-pod/manifests/fraud/routes/scorer.yaml").read_text())
    weights = [{one["name"]: one["weight"] for one in rule["backendRefs"]} for rule in held["spec"]["rules"]]
    assert weights == [{"gpu-a-main": 100, "gpu-a-canary": 0}] * 6
    assert "RequestMirror" not in json.dumps(held)
    assert "RequestMirror" in json.dumps(split)


def test_selectors_select_and_the_common_service_covers_all() -> None:
    for service in of("Service"):
        labels = service["spec"]["selector"]
        is_common = service["metadata"]["name"] == service["metadata"]["labels"]["serving.fresco.dev/server"]
        assert ("serving.fresco.dev/slice" in labels) is not is_common
    for deployment in of("Deployment"):
        template = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= template.items()


def test_an_autoscaler_leaves_the_replicas_rendered() -> None:
    scaled = of("HorizontalPodAutoscaler")[0]
    assert (scaled["spec"]["minReplicas"], scaled["spec"]["maxReplicas"]) == (2, 8)
    assert all("replicas" in one["spec"] for one in of("Deployment"))
