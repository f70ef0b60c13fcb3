"""The rules of names: what refers to what, and what only one can have. Pure values."""

from typing import Final

from render.rules import Rule
from render.rules.explained import Example, Explained, Table

_VLLM = 'kind: InferenceServer\nspec:\n  backend: {type: vllm, version: "0.11.0"}\n'
_BASE = "kind: Deployment\nspec:\n  model: {type: base}\n"
_FURTHER = "kind: Deployment\nmetadata: {name: german, namespace: fraud}\nspec:\n"
_NOT_RENDERED = (Rule.UNKNOWN_SERVER, Rule.UNSUPPORTED_TYPE)  # by this version, so that no vLLM server is accepted

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
    Rule.SECOND_BASE_MODEL: Explained(
        title="A server has one base model",
        why="vLLM starts on one base model. Who has it keeps it; another one wants a server of its own.",
        wrong=Example(f"{_VLLM}---\n{_BASE}---\n{_FURTHER}  model: {{type: base}}\n", also=_NOT_RENDERED),
        right=Example(f"{_VLLM}---\n{_BASE}---\n{_FURTHER}  model: {{type: adapter}}\n", also=_NOT_RENDERED),
    ),
    Rule.NO_BASE_MODEL: Explained(
        title="An adapter's server has a base model",
        why="vLLM starts on its base model, and an adapter is a change of that one. A model on vLLM is an adapter "
        "unless it says `type: base`.",
        wrong=Example(f"{_VLLM}---\nkind: Deployment\nspec:\n  model: {{type: adapter}}\n", also=_NOT_RENDERED),
        right=Example(f"{_VLLM}---\n{_BASE}", also=_NOT_RENDERED),
    ),
}
