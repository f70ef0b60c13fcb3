"""The rules of what a namespace may use, and of what may be written down. Pure values."""

from typing import Final

from render.rules import Rule
from render.rules.explained import Example, Explained, Table

_OTHER_SERVER = "kind: InferenceServer\nmetadata: {name: gpu-b, namespace: fraud}\nspec:\n"

GRANTS: Final[Table] = {
    Rule.HOSTNAME_NOT_GRANTED: Explained(
        title="Hostnames are granted to the namespace",
        why="Whoever has a hostname gets its requests; `fresco.yaml` says whose it is.",
        wrong=Example("kind: Deployment\nspec:\n  traffic: {hostnames: [models.example.com]}\n"),
        right=Example(
            "kind: Repository\nspec:\n  namespaces:\n    fraud: {hostnames: [models.example.com]}\n---\n"
            "kind: Deployment\nspec:\n  traffic: {hostnames: [models.example.com]}\n"
        ),
    ),
    Rule.PATH_NOT_GRANTED: Explained(
        title="Paths outside the namespace's own are granted to it",
        why="A namespace owns the paths under its name; any other could be somebody else's.",
        wrong=Example("kind: Deployment\nspec:\n  traffic: {path: /payments/scorer}\n"),
        right=Example("kind: Deployment\nspec:\n  traffic: {path: /fraud/scorer}\n"),
    ),
    Rule.STORAGE_NOT_GRANTED: Explained(
        title="Addresses of artifacts are granted to the namespace",
        why="The sidecar reads with credentials that may reach further than the team does. Prefixes are compared by "
        "whole path segments, with `..` and percent signs resolved.",
        wrong=Example("kind: Deployment\nspec:\n  model: {uri: s3://models/fraudulent/1}\n"),
        right=Example("kind: Deployment\nspec:\n  model: {uri: s3://models/fraud/1}\n"),
    ),
    Rule.SECRET_NOT_GRANTED: Explained(
        title="Secrets are granted to the namespace",
        why="A Secret that a server names is handed to its pods.",
        wrong=Example(f"{_OTHER_SERVER}  credentials: models-s3\n"),
        right=Example(
            "kind: Repository\nspec:\n  namespaces:\n    fraud: {secrets: [models-s3]}\n---\n"
            f"{_OTHER_SERVER}  credentials: models-s3\n"
        ),
    ),
    Rule.IMAGE_NOT_GRANTED: Explained(
        title="Images besides the defaults are granted to the namespace",
        why="An image is a program that runs with the team's models and data. A prefix ends with a path segment, a "
        "name or a tag.",
        wrong=Example(f"{_OTHER_SERVER}  backend: {{type: triton, image: registry.example.com/triton:24.10}}\n"),
        right=Example(
            "kind: Repository\nspec:\n  namespaces:\n    fraud: {images: [registry.example.com/triton]}\n---\n"
            f"{_OTHER_SERVER}  backend: {{type: triton, image: registry.example.com/triton:24.10}}\n"
        ),
    ),
    Rule.FILE_NOT_LOCAL: Explained(
        title="file:// is for local clusters",
        why="In a real cluster the path would be one inside a pod, where nothing has put the model.",
        wrong=Example(
            "kind: Repository\nspec:\n  namespaces:\n    fraud: {storage: [file:///srv/models/]}\n---\n"
            "kind: Deployment\nspec:\n  model: {uri: file:///srv/models/scorer/1}\n"
        ),
        right=Example(
            "kind: Repository\nspec:\n  clusters:\n    - name: prod\n      local: true\n"
            "      gateway: {name: public, namespace: gateway}\n  namespaces:\n    fraud: {storage: [file:///srv/models/]}\n---\n"
            "kind: Deployment\nspec:\n  model: {uri: file:///srv/models/scorer/1}\n"
        ),
    ),
    Rule.CLAIM_NOT_DECLARED: Explained(
        title="pvc:// names a volume that the server declares",
        why="Only a volume that the server's pods mount can be read there.",
        wrong=Example(
            'kind: Repository\nspec:\n  namespaces:\n    fraud: {storage: ["pvc://models"]}\n---\n'
            "kind: Deployment\nspec:\n  model: {uri: pvc://models/scorer/1}\n"
        ),
        right=Example(
            'kind: Repository\nspec:\n  namespaces:\n    fraud: {storage: ["pvc://models"]}\n---\n'
            "kind: InferenceServer\nspec:\n  cache: {claim: models}\n---\n"
            "kind: Deployment\nspec:\n  model: {uri: pvc://models/scorer/1}\n"
        ),
    ),
    Rule.IMAGE_NOT_PINNED: Explained(
        title="An image has a tag or a digest",
        why="Without one it is `latest`, whatever that is when a pod starts: two pods of one server may run different "
        "programs, and a rollback brings nothing back.",
        wrong=Example(
            "kind: Repository\nspec:\n  namespaces:\n    fraud: {images: [registry.example.com/]}\n---\n"
            f"{_OTHER_SERVER}  backend: {{type: triton, image: registry.example.com/triton}}\n"
        ),
        right=Example(
            "kind: Repository\nspec:\n  namespaces:\n    fraud: {images: [registry.example.com/]}\n---\n"
            f"{_OTHER_SERVER}  backend: {{type: triton, image: registry.example.com/triton:24.10}}\n"
        ),
    ),
    Rule.SECRET_IN_PLAIN: Explained(
        title="No value of a secret is written down",
        why="Whoever can read the repository, now or later, has it. A warning, because only the name of the variable "
        "(TOKEN, PASSWORD, SECRET, KEY or CREDENTIALS at its end) tells; a path to a file is no secret. Storage "
        "credentials come from a Secret that `credentials` names.",
        wrong=Example("kind: InferenceServer\nspec:\n  backend:\n    env: {AWS_SECRET_ACCESS_KEY: wJalrXUtnFEMI}\n"),
        right=Example(
            "kind: Repository\nspec:\n  namespaces:\n    fraud: {secrets: [models-s3]}\n---\n"
            "kind: InferenceServer\nspec:\n  credentials: models-s3\n"
        ),
    ),
}
