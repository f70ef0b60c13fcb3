"""The rules of the schema: which fields there are, and what they hold. Pure values."""

from typing import Final

from render.rules import Rule
from render.rules.explained import Example, Explained, Table

FIELDS: Final[Table] = {
    Rule.UNKNOWN_FIELD: Explained(
        title="Fields are ones that the schema knows",
        why="A misspelt field would be ignored, and its default would rule where somebody meant to set it.",
        wrong=Example("kind: Deployment\nspec:\n  rollout:\n    stpes: [{weight: 10, soak: 5m}]\n"),
        right=Example("kind: Deployment\nspec:\n  rollout:\n    steps: [{weight: 10, soak: 5m}]\n"),
    ),
    Rule.MISSING_FIELD: Explained(
        title="Required fields are there",
        why="Few fields are required: those that nothing can be guessed from.",
        wrong=Example("kind: Deployment\nspec:\n  model:\n    uri: null\n"),
        right=Example("kind: Deployment\nspec:\n  model:\n    uri: s3://models/fraud/scorer/1\n"),
    ),
    Rule.WRONG_TYPE: Explained(
        title="Values have the type that the schema asks for",
        why="What YAML readers disagree on (no, on, 1:30, 014, dates) is text for Fresco and never becomes something "
        "else unseen; where a number or true or false is meant, it has to be written so.",
        wrong=Example("kind: Deployment\nspec:\n  rollout: {paused: yes}\n"),
        right=Example("kind: Deployment\nspec:\n  rollout: {paused: true}\n"),
    ),
    Rule.WRONG_VALUE: Explained(
        title="Values are within what Fresco and Kubernetes allow",
        why="What the API server, the model server or the gateway would refuse is said here, before it is committed, "
        "instead of stopping a rollout half-way.",
        wrong=Example("kind: Deployment\nspec:\n  model: {digest: sha256:9f9f}\n"),
        right=Example(
            "kind: Deployment\nspec:\n  model:\n"
            "    digest: sha256:9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f\n"
        ),
    ),
}
