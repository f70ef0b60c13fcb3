"""Fields are explained from the schemas: what is written there is what a person reads."""

import pytest

from render import fields
from render.errors import NotFound

STEPS = """\
deployment.spec.rollout.steps: a list, each item a mapping, optional

  Weights and soaks, first to last.

  default  []
  example  [{"weight": 10, "soak": "5m"}, {"weight": 50, "soak": "10m"}]

  fields
    weight  an integer ≥ 0 and ≤ 100, required: Percent of the requests that the candidate gets.
    soak    text like '30s' of at most 20 characters, default "0": How long to watch it, in observed time.
"""


def test_a_field_is_explained_with_type_default_example_and_its_fields() -> None:
    assert fields.text("deployment.rollout.steps") == STEPS


@pytest.mark.parametrize(
    "path",
    [
        "deployment.spec.rollout.steps",
        "Deployment.rollout.steps",
        "deployment.rollout.steps[]",
        "deployment.spec.rollout.steps.1",
    ],
)
def test_a_path_may_be_written_as_people_write_it(path: str) -> None:
    assert fields.text(path) == STEPS


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("server.replicas", ["inferenceserver.spec.replicas: an integer or a mapping, optional", "  default  1"]),
        ("server.replicas.max", ["inferenceserver.spec.replicas.max: an integer ≥ 1 and ≤ 100000, required"]),
        ("deployment.model.type", ["deployment.spec.model.type: adapter, base or repository, optional"]),
        ("deployment.rollout.bake", ['  default  "10m"']),
        ("deployment.rollout.deadlines.assetPreparation", ['  default  "30m"']),
        ("repository.rollout.maxFailedReplicas", ["  default  10"]),
        ("deployment.rollout.steps.1.soak", ['  default  "0"']),
        ("deployment.rollout.reason", ["deployment.spec.rollout.reason: text of at least 1 character, optional"]),
        ("repository.clusters.gateway.implementation", ['  default  "envoy-gateway"']),
        ("repository.namespaces.fraud.storage", ['  example  ["s3://models/fraud/"]']),
        ("repository.namespaces.storage", ["repository.spec.namespaces.storage: a list, each item text, optional"]),
        ("deployment.metadata.labels", ["deployment.metadata.labels: a mapping, each value text, optional"]),
        ("deployment", ["deployment: a mapping", "    spec        a mapping, required: One model, served on one"]),
    ],
)
def test_every_kind_of_field_is_told(path: str, lines: list[str]) -> None:
    found = fields.text(path)
    assert [line for line in lines if not any(one.startswith(line) for one in found.splitlines())] == []


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("deployment.rollout.stepz", "did you mean deployment.spec.rollout.steps?"),
        ("deployment.weigth", r"did you mean deployment.rollout.steps.weight\?"),
        ("deployment.bake", r"did you mean deployment.rollout.bake\?"),
        ("deployment.zzz", "its fields: server, model, rollout, traffic"),
        ("deployment.server.zzz", "it has no fields"),
        ("deployment.model.0", "has no field '0'"),
        ("deploymnt.server", "begins with repository, inferenceserver or deployment; did you mean deployment"),
        ("", "begins with repository, inferenceserver or deployment$"),
    ],
)
def test_a_misspelt_path_gets_a_suggestion(path: str, message: str) -> None:
    with pytest.raises(NotFound, match=message):
        fields.text(path)


def test_every_field_has_words_of_its_own() -> None:
    paths = list(fields.paths())
    assert len(paths) == len(set(paths))
    assert [path for path in paths if not fields.find(path).schema.get("description")] == []
    assert all(fields.text(path) for path in paths)
