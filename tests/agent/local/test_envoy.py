"""The translation to Envoy's resources, where no Envoy is needed to see that it is right."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from agent.local import envoy
from agent.local.desired import desired
from tests.e2e.artifacts import Artifact
from tests.support import manifests

_ARTIFACT = Artifact("one", "file:///m", "sha256:" + "0" * 64)
_MANIFESTS = [
    *manifests.slice_of(_ARTIFACT),
    *manifests.slice_of(_ARTIFACT, "canary"),
    manifests.common(),
    manifests.route(gpu_a_main=90, gpu_a_canary=10),
]


def everything(made: list[manifests.Manifest]) -> list[tuple[str, bytes]]:
    """All that Envoy is fed with."""
    found = desired(made)
    root = Path("/data")
    return [
        envoy.discovery("cds", envoy.clusters(root, found.services.values()).values()),
        envoy.discovery("rds", [envoy.translate(found.routes.values(), found.services).resource]),
        envoy.discovery("eds", [envoy.assignment("fraud/gpu-a/8000", [3, 1, 2])]),
    ]


@given(some.permutations(_MANIFESTS))
def test_the_order_of_manifests_changes_no_byte(made: list[manifests.Manifest]) -> None:
    assert everything(made) == everything(_MANIFESTS)


def test_equal_content_has_an_equal_version_and_other_content_another() -> None:
    one, same, other = (envoy.discovery("eds", [envoy.assignment("c", ports)]) for ports in ([1, 2], [2, 1], [1]))
    assert one == same
    assert one[0] != other[0]
