"""The rules of reading: whether a file is YAML that everybody reads alike, and whose it is. Pure values."""

from typing import Final

from render.rules import Rule
from render.rules.explained import Example, Explained, Table

_SERVER: Final = "kind: InferenceServer\nmetadata: {name: gpu-b, namespace: fraud}\nspec:\n"
_TRITON: Final = '  backend: {type: triton, version: "24.10"}\n'


def _other(text: str) -> Example:
    """A further file, which claims Fresco's apiVersion."""
    return Example(file="other.yaml", text=f"apiVersion: serving.fresco.dev/v1alpha1\n{text}")


READING: Final[Table] = {
    Rule.UNREADABLE: Explained(
        title="A file that claims Fresco's apiVersion can be read as YAML",
        why="What cannot be read cannot be trusted to leave anything out, so nothing is deleted while such a file is "
        "there. YAML here is UTF-8 text of at most 4 MiB, without tabs as indentation and without control characters.",
        wrong=_other(_SERVER.replace("}", "") + _TRITON),
        right=_other(_SERVER + _TRITON),
    ),
    Rule.YAML_FEATURE: Explained(
        title="Only plain YAML is used: text as keys, no own tags, no merge keys, few aliases, little nesting",
        why="Programs read these features in different ways, and some of them can blow a small file up to gigabytes. "
        "What a reviewer sees is to be what is served.",
        wrong=_other(_SERVER + "  backend: {type: triton, version: !env TRITON_VERSION}\n"),
        right=_other(_SERVER + _TRITON),
    ),
    Rule.DUPLICATE_KEY: Explained(
        title="A key comes once in a mapping",
        why="Most programs let the last one win without a word, so that a reviewer who reads the first is deceived.",
        wrong=_other(_SERVER + _TRITON + "  replicas: 2\n  replicas: 20\n"),
        right=_other(_SERVER + _TRITON + "  replicas: 2\n"),
    ),
    Rule.UNKNOWN_KIND: Explained(
        title="A resource is of a kind that Fresco knows",
        why="The kind decides how a file is read. A slip in it would otherwise look as if the resource was deleted.",
        wrong=_other("kind: InferenceServr\nmetadata: {name: gpu-b, namespace: fraud}\n"),
        right=Example("kind: InferenceServer\nmetadata: {name: gpu-b, namespace: fraud}\n"),
    ),
    Rule.NO_IDENTITY: Explained(
        title="A resource has a name, and a namespace if any, that can be read",
        why="Without them nobody can tell which resource is meant, and so which one would be missing.",
        wrong=_other("kind: InferenceServer\nmetadata: {name: GPU_B, namespace: fraud}\n"),
        right=Example("kind: InferenceServer\nmetadata: {name: gpu-b, namespace: fraud}\n"),
    ),
}
