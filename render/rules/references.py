"""The rules of names: what refers to what, and what only one can have. Pure values."""

from typing import Final

from render.rules import Rule
from render.rules.explained import Example, Explained, Table

REFERENCES: Final[Table] = {
    Rule.DUPLICATE_RESOURCE: Explained(
        title="A resource is defined once",
        why="Of two definitions neither can be preferred, so what was accepted last goes on until one of them is gone.",
        wrong=Example(
            "kind: Deployment\nmetadata: {name: twin, namespace: fraud}\n---\n"
            "kind: Deployment\nmetadata: {name: twin, namespace: fraud}\n"
        ),
        right=Example(
            "kind: Deployment\nmetadata: {name: twin, namespace: fraud}\n---\n"
            "kind: Deployment\nmetadata: {name: triplet, namespace: fraud}\n"
        ),
    ),
    Rule.UNKNOWN_SERVER: Explained(
        title="A Deployment's server exists and is accepted",
        why="A model is served by pods, and those are the InferenceServer's.",
        wrong=Example("kind: Deployment\nspec:\n  server: gpu-z\n"),
        right=Example("kind: Deployment\nspec:\n  server: gpu-a\n"),
    ),
    Rule.DUPLICATE_MODEL: Explained(
        title="A served name is used once on a server",
        why="A server knows a model by its name alone; a second one of that name would replace the first.",
        wrong=Example(
            "kind: Deployment\nmetadata: {name: twin, namespace: fraud}\nspec:\n  model: {name: scorer}\n",
        ),
        right=Example(
            "kind: Deployment\nmetadata: {name: twin, namespace: fraud}\nspec:\n  model: {name: scorer-2}\n",
        ),
    ),
    Rule.DUPLICATE_ROUTE: Explained(
        title="Hostname, path and headers of a route are used once in a cluster",
        why="Requests that two routes match go to the older of them, and nobody would see why.",
        wrong=Example(
            "kind: Deployment\nmetadata: {name: twin, namespace: fraud}\nspec:\n"
            "  traffic: {path: /fraud/gpu-a/scorer}  # scorer's path, by default\n",
        ),
        right=Example(
            "kind: Deployment\nmetadata: {name: twin, namespace: fraud}\nspec:\n"
            "  traffic: {path: /fraud/gpu-a/scorer-2}\n",
        ),
    ),
    Rule.UNSUPPORTED_TYPE: Explained(
        title="A model's type is one that the server's backend takes",
        why="Triton serves models from a repository; base models and adapters are vLLM's.",
        wrong=Example("kind: Deployment\nspec:\n  model: {type: adapter}\n"),
        right=Example("kind: Deployment\nspec:\n  model: {type: repository}\n"),
    ),
    Rule.NAME_TOO_LONG: Explained(
        title="Names made from a resource's name are ones that Kubernetes takes",
        why="The pods and Services of a slice are called after the server: a letter first, and at most 63 characters "
        "with `-canary` at the end.",
        wrong=Example("kind: InferenceServer\nmetadata: {name: 8-gpus, namespace: fraud}\n"),
        right=Example("kind: InferenceServer\nmetadata: {name: gpus-8, namespace: fraud}\n"),
    ),
    Rule.NO_VERSION: Explained(
        title="A server has a version where its image asks for one",
        why="The default image holds `{version}`; without one there is nothing to run.",
        wrong=Example(
            "kind: InferenceServer\nmetadata: {name: gpu-b, namespace: fraud}\n"
            "spec:\n  backend: {type: triton, version: null}\n"
        ),
        right=Example(
            "kind: InferenceServer\nmetadata: {name: gpu-b, namespace: fraud}\n"
            'spec:\n  backend: {type: triton, version: "24.10"}\n'
        ),
    ),
    Rule.OTHER_NAMESPACE: Explained(
        title="A Deployment's server is in its own namespace",
        why="A namespace is a team's own: nobody else loads models onto its pods or takes their memory.",
        wrong=Example(
            "kind: InferenceServer\nmetadata: {name: gpu-b, namespace: payments}\n---\n"
            "kind: Deployment\nmetadata: {name: scorer, namespace: fraud}\nspec:\n  server: gpu-b\n"
        ),
        right=Example(
            "kind: InferenceServer\nmetadata: {name: gpu-b, namespace: fraud}\n---\n"
            "kind: Deployment\nmetadata: {name: scorer, namespace: fraud}\nspec:\n  server: gpu-b\n"
        ),
    ),
}
