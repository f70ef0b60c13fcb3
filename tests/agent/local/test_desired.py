"""Manifests to what they ask of this machine."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.local import envoy
from agent.local.desired import Container, ManifestInvalid, Update, Variable, desired, expand
from tests.e2e.artifacts import Artifact
from tests.support import manifests

ARTIFACT = Artifact("one", "file:///models/one", "sha256:" + "0" * 64)


def test_a_server_is_read_whole() -> None:
    made = [*manifests.slice_of(ARTIFACT, replicas=3), manifests.common(), manifests.route(gpu_a=1)]
    found = desired(made)
    (main,) = found.slices.values()
    assert (main.namespace, main.name, main.server, main.slice, main.replicas) == (
        "fraud",
        "gpu-a-main",
        "gpu-a",
        "main",
        3,
    )
    assert main.template.config == "gpu-a-main-models"
    assert set(found.services) == {"fraud/gpu-a", "fraud/gpu-a-main"}
    assert [port.http2 for port in found.services["fraud/gpu-a"].ports] == [False, True]
    assert set(found.routes) == {"fraud/m"}
    assert found.objects["HTTPRoute/fraud/m"] == manifests.content(made[-1])


RENDERED = sorted((Path(__file__).parents[2] / "cases" / "good").glob("*/expected/manifests"))


@pytest.mark.parametrize("folder", RENDERED, ids=lambda folder: str(folder.parts[-3]))
def test_what_the_renderer_makes_is_understood_whole(folder: Path) -> None:
    found = desired(yaml.safe_load(path.read_bytes()) for path in sorted(folder.rglob("*.yaml")))
    assert envoy.translate(found.routes.values(), found.services).problems == {}
    for main in found.slices.values():
        assert f"{main.namespace}/{main.template.config}" in found.configs
        assert f"{main.namespace}/{main.server}" in found.services
        argv, _ = expand(main.template.server, fields={}, overrides={"FRESCO_HTTP_PORT": "1"})
        assert "--http-port=1" in argv
        assert not [argument for argument in argv if "$(" in argument]
        _, environment = expand(main.template.sidecar, fields={"metadata.name": "p"}, overrides={})
        assert environment["FRESCO_POD"] == "p"


def test_other_kinds_count_as_applied() -> None:
    budget = {"kind": "PodDisruptionBudget", "metadata": {"name": "gpu-a", "namespace": "fraud"}}
    assert set(desired([budget]).objects) == {"PodDisruptionBudget/fraud/gpu-a"}


@pytest.mark.parametrize("field", ["volumes", "containers", "initContainers"])
def test_what_is_missing_is_named(field: str) -> None:
    deployment = copy.deepcopy(manifests.slice_of(ARTIFACT)[0])
    del deployment["spec"]["template"]["spec"][field]
    with pytest.raises(ManifestInvalid, match=f"Deployment fraud/gpu-a-main: .*{field}"):
        desired([deployment])


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ManifestInvalid, match="not a Kubernetes object"):
        desired([{"spec": {}}])


@pytest.mark.parametrize(
    ("strategy", "update"),
    [
        ({}, Update(surge=1, unavailable=0)),
        ({"type": "Recreate"}, Update(surge=0, unavailable=5)),
        ({"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, Update(surge=2, unavailable=1)),
        ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}, Update(surge=0, unavailable=1)),
    ],
)
def test_shares_are_rounded_as_in_kubernetes(strategy: dict[str, Any], update: Update) -> None:
    deployment = copy.deepcopy(manifests.slice_of(ARTIFACT, replicas=5)[0])
    deployment["spec"]["strategy"] = strategy
    assert desired([deployment]).slices["fraud/gpu-a-main"].update == update


def test_a_template_is_another_one_by_its_content_alone() -> None:
    one, same, other = (
        desired(manifests.slice_of(ARTIFACT, replicas=replicas, marker=marker)).slices["fraud/gpu-a-main"].template.hash
        for replicas, marker in ((1, ""), (2, ""), (1, "x"))
    )
    assert one == same != other


def test_variables_are_expanded_as_in_kubernetes() -> None:
    container = Container(
        command=("run",),
        args=("$(A)", "$(B)x", "$$(A)", "$(ABSENT)", "$A", "$(POD)"),
        variables=(
            Variable("A", value="1"),
            Variable("B", value="$(A)-$(LATER)"),
            Variable("LATER", value="2"),
            Variable("POD", field="metadata.name"),
        ),
    )
    argv, environment = expand(container, fields={"metadata.name": "p"}, overrides={"A": "9"})
    assert argv == ["run", "9", "9-$(LATER)x", "$(A)", "$(ABSENT)", "$A", "p"]
    assert environment == {"A": "9", "B": "9-$(LATER)", "LATER": "2", "POD": "p"}
