"""The JSON Schema files say what the typed forms say, and one accepts what the other accepts."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import schemas
from render.explain import explain
from schemas import generate
from schemas.examples import EXAMPLES
from schemas.lockfile import LockFile
from schemas.michelangelo import TheirDeployment, TheirServer
from schemas.model_config import ModelConfig, checksum
from schemas.resources import Deployment, InferenceServer, Repository
from tests.support import contracts

API = "serving.fresco.dev/v1alpha1"
RESOURCES: dict[str, type[msgspec.Struct]] = {
    "repository": Repository,
    "inferenceserver": InferenceServer,
    "deployment": Deployment,
    "lock": LockFile,
    "michelangelo-inferenceserver": TheirServer,
    "michelangelo-deployment": TheirDeployment,
}
THEIR_API = "michelangelo.api/v2"
VALID: dict[str, dict[str, Any]] = {
    "lock": {"apiVersion": API, "kind": "Lock", "digests": {"s3://m/1": "sha256:" + "9f" * 32}},
    "michelangelo-inferenceserver": {
        "apiVersion": THEIR_API,
        "kind": "InferenceServer",
        "metadata": {"name": "gpu-a", "namespace": "fraud", "labels": {"a": "b"}},
        "spec": {
            "tenancyType": "TENANCY_TYPE_MULTI_TENANT",
            "backendType": "BACKEND_TYPE_TRITON",
            "ownerSpec": {"ownerInfo": {"owningTeam": "a"}, "tier": 2},
            "initSpec": {
                "resourceSpec": {"cpu": 2, "memory": "4Gi", "diskSize": "", "gpu": 1, "gpuSku": "a"},
                "servingSpec": {"version": "24.10", "containerBuildTemplate": "a"},
                "numInstances": 3,
            },
            "decomSpec": {"decommission": True},
            "owner": {"name": "a", "proxyUser": "b"},
            "clusterTargets": [{"clusterId": "a"}],
        },
        "status": {"state": "a"},
    },
    "michelangelo-deployment": {
        "apiVersion": THEIR_API,
        "kind": "Deployment",
        "metadata": {"name": "scorer", "namespace": "fraud"},
        "spec": {
            "desiredRevision": {"name": "scorer-1", "namespace": "fraud"},
            "inferenceServer": {"name": "gpu-a"},
            "selector": {"matchLabels": {"a": "b"}},
            "deletionSpec": {"deleted": False},
            "strategy": {
                "blast": {"withRollbackTrigger": True, "issueLink": "a"},
                "rolling": {"incrementPercentage": 5},
            },
            "definition": {"type": "TARGET_TYPE_INFERENCE_SERVER", "subType": "realtime-serving"},
            "modelFamily": {"name": "a"},
            "shadowSpec": {"trafficPercentage": 2.5, "duration": "60s", "metrics": [], "enabled": True},
            "resourceLinks": {"a": "b"},
        },
    },
    "repository": {
        "apiVersion": API,
        "kind": "Repository",
        "metadata": {"name": "models"},
        "spec": {
            "clusters": [
                {
                    "name": "prod",
                    "path": "prod",
                    "branch": "live",
                    "local": False,
                    "gateway": {
                        "name": "public",
                        "namespace": "gateway",
                        "sectionName": "https",
                        "implementation": "istio",
                        "settle": "2s",
                    },
                }
            ],
            "images": {"triton": "a:{version}", "vllm": "b:{version}", "modelSync": "c"},
            "namespaces": {"fraud": {"storage": ["s3://m/"], "hostnames": ["a.example.com"], "paths": ["/a"]}},
            "rollout": {"steps": [{"weight": 10, "soak": "5m"}], "bake": "1h", "maxFailedReplicas": 5},
            "guards": {"maxDeletionsPercent": 10, "maxDeletions": 1, "allowDeletion": ["Deployment fraud/scorer"]},
        },
    },
    "inferenceserver": {
        "apiVersion": API,
        "kind": "InferenceServer",
        "metadata": {"name": "gpu-a", "namespace": "fraud", "labels": {"a": "b"}},
        "spec": {
            "backend": {"type": "triton", "version": "24.10", "args": ["--x"], "env": {"A": "b"}},
            "replicas": {"min": 1, "max": 4, "targetCpu": 50},
            "canary": {"replicas": 1},
            "resources": {"cpu": "4", "memory": "16Gi", "gpu": {"count": 1, "memory": "24Gi"}},
            "update": "replace",
            "onModelFailure": "degrade",
            "quorum": 50,
            "credentials": "models-s3",
            "scheduling": {"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 3}]},
            "cache": {"sizeLimit": "10Gi"},
            "sync": {"resync": "15s", "connections": 4, "loadDeadline": "5m"},
        },
    },
    "deployment": {
        "apiVersion": API,
        "kind": "Deployment",
        "metadata": {"name": "scorer", "namespace": "fraud"},
        "spec": {
            "server": "gpu-a",
            "model": {
                "name": "scorer",
                "type": "repository",
                "revision": "1",
                "uri": "s3://m/1",
                "digest": "sha256:" + "9f" * 32,
                "memory": "1Gi",
                "options": {"a": "b"},
                "smokeTest": {"request": "{}", "timeout": "5s"},
            },
            "rollout": {
                "strategy": "emergency",
                "reason": "fire",
                "steps": [{"weight": 10}],
                "analysis": {"maxErrorRate": 0.01, "maxLatencyRatio": 1.3, "minRequests": 5},
                "deadlines": {"rollback": "1m"},
                "paused": True,
                "attempt": 1,
            },
            "traffic": {
                "path": "/a/b",
                "hostnames": ["a.example.com"],
                "headers": [{"name": "x-a", "value": "b"}],
                "mirror": {"percent": 10},
            },
        },
    },
}
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 200),
    st.floats(-2, 2),
    st.sampled_from(
        ["", "a", "A B", "10s", "0", "1Gi", "triton", "sha256:" + "9f" * 32, "s3://m/1", "/a/b", "gpu-a\n", "-a", "é"]
    ),
    st.just([]),
    st.just({}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def changed(value: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    value = copy.deepcopy(value)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    change(parent, path[-1])
    return value


@st.composite
def mutations(draw: st.DrawFn, name: str) -> Any:
    """A valid resource with up to three things changed, removed or added."""
    value = VALID[name]
    for _ in range(draw(st.integers(1, 3))):
        paths = [path for path in places(value) if path]
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        how, leaf = draw(st.sampled_from(["set", "remove", "add"])), draw(LEAVES)
        value = changed(value, path, {"set": _set(leaf), "remove": _remove, "add": _add(leaf)}[how])
    return value


def _set(leaf: Any) -> Callable[[Any, Any], None]:
    return lambda parent, key: parent.__setitem__(key, leaf)


def _remove(parent: Any, key: Any) -> None:
    del parent[key]


def _add(leaf: Any) -> Callable[[Any, Any], None]:
    return lambda parent, key: parent.append(leaf) if isinstance(parent, list) else parent.update({f"{key}x": leaf})


def typed_accepts(name: str, value: Any) -> bool:
    try:
        msgspec.convert(value, RESOURCES[name])
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", schemas.NAMES)
def test_files_are_current(name: str) -> None:
    assert Path(schemas.__file__).with_name(f"{name}.schema.json").read_text("utf-8") == generate.text(name)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_schemas_are_schemas_and_close_every_object(name: str) -> None:
    schema = schemas.load(name)
    Draft202012Validator.check_schema(schema)
    for path in places(schema):
        if path and path[-1] == "properties":
            parent = schema
            for key in path[:-1]:
                parent = parent[key]
            assert parent["additionalProperties"] is False, path
            assert parent.get("description"), path


@pytest.mark.parametrize("name", RESOURCES)
def test_both_accept_the_whole_example(name: str) -> None:
    assert typed_accepts(name, VALID[name])
    assert explain(name, VALID[name]) == []
    assert Draft202012Validator(schemas.load(name)).is_valid(VALID[name])


@pytest.mark.parametrize("name", RESOURCES)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_both_accept_the_same(name: str, data: st.DataObject) -> None:
    value = data.draw(mutations(name))
    has_line_end = "gpu-a\\n" in json.dumps(value)  # there the typed form is laxer, and `resource` asks the schema too
    problems = explain(name, value)
    assert typed_accepts(name, value) == (not problems) or (has_line_end and problems), problems


@pytest.mark.parametrize("name", RESOURCES)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_problem_is_said_in_full(name: str, data: st.DataObject) -> None:
    for problem in explain(name, data.draw(mutations(name))):
        assert problem.message.split(": ", 1)[1], problem
        assert "\n" not in problem.message


@pytest.mark.parametrize("name", schemas.NAMES)
def test_every_property_says_what_it_is(name: str) -> None:
    schema = schemas.load(name)
    for struct in (schema, *schema["$defs"].values()):
        assert struct.get("title")
        for field, form in struct.get("properties", {}).items():
            told = [form, *form.get("anyOf", [])]
            assert any("description" in one or "$ref" in one for one in told), f"{struct['title']}.{field}"


@pytest.mark.parametrize("name", schemas.NAMES)
def test_the_examples_are_right(name: str) -> None:
    example = EXAMPLES[name]
    contracts.check(name, example)
    msgspec.convert(example, generate.TYPES[name])


def test_the_example_of_a_model_config_has_the_right_checksum() -> None:
    config = msgspec.convert(EXAMPLES["model-config"], ModelConfig)
    assert config.checksum == checksum(config.models)
