"""The rules of the repository as a whole, and of what was there before. Pure values."""

from typing import Final

from render.rules import Rule
from render.rules.explained import Example, Explained, Table

_NAMED = "kind: Deployment\nmetadata: {{name: {}, namespace: fraud}}\n".format
_TWIN = "kind: Deployment\nmetadata: {name: twin, namespace: fraud}\nspec:\n"
_GPU_B = "kind: InferenceServer\nmetadata: {name: gpu-b, namespace: fraud}\n"
_ONE = "9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f"
_OTHER = "7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c"
_MODEL = 'kind: Deployment\nspec:\n  model:\n    revision: "{}"\n    digest: sha256:{}\n'.format
_GATEWAY = (
    "kind: Repository\nspec:\n  clusters:\n    - name: prod\n"
    "      gateway: {{name: public, namespace: gateway, implementation: {}}}\n---\n"
    "kind: Deployment\nspec:\n  traffic:\n    mirror: {{percent: 10}}\n"
).format

REPOSITORY: Final[Table] = {
    Rule.NO_REPOSITORY: Explained(
        title="fresco.yaml is there and holds a Repository",
        why="It says which clusters there are and what each namespace may use. Without it nothing is accepted, and "
        "what was accepted before goes on.",
        wrong=Example(file="fresco.yaml", text="# Nothing but a comment.\n"),
        right=Example(
            "kind: Repository\nspec:\n  clusters:\n    - name: prod\n"
            "      gateway: {name: public, namespace: gateway}\n"
        ),
    ),
    Rule.EXTRA_REPOSITORY: Explained(
        title="The Repository is defined once, in fresco.yaml at the top",
        why="Grants are reviewed in one place. A second Repository would be ignored, or would grant what nobody saw.",
        wrong=Example(
            file="fraud/fresco.yaml",
            text="""\
apiVersion: serving.fresco.dev/v1alpha1
kind: Repository
spec:
  clusters:
    - name: prod
      gateway: {name: public, namespace: gateway}
""",
        ),
        right=Example(
            "kind: Repository\nspec:\n  clusters:\n"
            "    - name: prod\n      gateway: {name: public, namespace: gateway}\n"
            "    - name: stage\n      gateway: {name: public, namespace: gateway}\n"
        ),
    ),
    Rule.UNKNOWN_CLUSTER: Explained(
        title="The cluster is one of fresco.yaml's",
        why="An agent is told which cluster it works for; without settings for it, it changes nothing.",
        wrong=Example(
            cluster="stage",
            text="# for the agent of the cluster stage\nkind: Repository\nspec:\n  clusters:\n"
            "    - name: prod\n      gateway: {name: public, namespace: gateway}\n",
        ),
        right=Example(
            cluster="stage",
            text="# for the agent of the cluster stage\nkind: Repository\nspec:\n  clusters:\n"
            "    - name: prod\n      gateway: {name: public, namespace: gateway}\n"
            "    - name: stage\n      gateway: {name: public, namespace: gateway}\n",
        ),
    ),
    Rule.GATEWAY_LACKS: Explained(
        title="The gateway can do what a route asks for",
        why="Implementations of the Gateway API differ. One that lacks mirroring refuses such a route, or answers its "
        "requests with an error. One that does not pass the test of path rewrites, which every route of Fresco has, is "
        "a warning in fresco.yaml: try it before you rely on it.",
        wrong=Example(_GATEWAY("traefik")),
        right=Example(_GATEWAY("envoy-gateway")),
    ),
    Rule.DELETION_HELD: Explained(
        title="Many deletions at once are permitted by name",
        why="A folder that was moved or a merge gone wrong looks like a wish to delete everything in it. What is held "
        "goes on as it was accepted last.",
        wrong=Example(
            before="---\n".join(map(_NAMED, ("a", "b", "c"))),
            text="# The files of a, b and c are gone.\nkind: Repository\nspec:\n  guards: {maxDeletions: 2}\n",
        ),
        right=Example(
            before="---\n".join(map(_NAMED, ("a", "b", "c"))),
            text="# The files of a, b and c are gone.\nkind: Repository\nspec:\n  guards:\n    maxDeletions: 2\n"
            "    allowDeletion: [Deployment fraud/a, Deployment fraud/b, Deployment fraud/c]\n",
        ),
    ),
    Rule.DELETION_UNTRUSTED: Explained(
        title="Nothing is missing while a file cannot be read",
        why="What seems to be gone may be in that file, so nothing is deleted until it can be read.",
        wrong=Example(
            file="twin.yaml",
            before=_NAMED("twin"),
            also=(Rule.UNKNOWN_KIND,),
            text="""\
apiVersion: serving.fresco.dev/v1alpha1
kind: Deploymint
metadata: {name: twin, namespace: fraud}
""",
        ),
        right=Example(before=_NAMED("twin"), text=_NAMED("twin")),
    ),
    Rule.SERVER_IN_USE: Explained(
        title="A server is deleted after what is served on it",
        why="Its pods stay until nothing is served on them, but a Deployment that is still there changes no more. Move "
        "it to another server, or delete it too.",
        wrong=Example(
            before=f"{_GPU_B}---\n{_TWIN}  server: gpu-b\n",
            text=f"# The file of gpu-b is gone.\n{_TWIN}  server: gpu-b\n",
        ),
        right=Example(
            before=f"{_GPU_B}---\n{_TWIN}  server: gpu-b\n",
            text=f"# The file of gpu-b is gone.\n{_TWIN}  server: gpu-a\n",
        ),
    ),
    Rule.DIGEST_WITHOUT_REVISION: Explained(
        title="Another digest has another revision",
        why="The revision is how people call what is served. When one label names two models, nobody can tell from a "
        "log or a status which of them is meant: a warning.",
        wrong=Example(before=_MODEL(1, _ONE), text=_MODEL(1, _OTHER)),
        right=Example(before=_MODEL(1, _ONE), text=_MODEL(2, _OTHER)),
    ),
    Rule.REVISION_WITHOUT_DIGEST: Explained(
        title="Another revision has another digest",
        why="A label alone changes nothing that is served, so nothing is rolled out. Mostly the digest was forgotten: "
        "a warning. `fresco lock` computes the new one once the old one is taken out.",
        wrong=Example(before=_MODEL(1, _ONE), text=_MODEL(2, _ONE)),
        right=Example(before=_MODEL(1, _ONE), text=_MODEL(2, _OTHER)),
    ),
}
