"""The rules of Michelangelo's own resources. Pure values."""

from typing import Final

from render.rules import Rule
from render.rules.explained import BASE, Example, Explained, Table

_ARTIFACTS = f"""\
{BASE["fresco.yaml"]}\
  michelangelo:
    artifacts: s3://models/{{namespace}}/{{model}}/{{revision}}.tar.gz
"""
_SERVER = """\
apiVersion: michelangelo.api/v2
kind: InferenceServer
metadata: {{name: gpu-b, namespace: fraud}}
spec:
  backendType: BACKEND_TYPE_TRITON
  initSpec:
    servingSpec: {{version: "24.10"}}
{}""".format

MICHELANGELO: Final[Table] = {
    Rule.NOT_HONOURED: Explained(
        title="Of Michelangelo's fields those are used that Fresco can honour",
        why="A field that is read and does nothing would let people believe that it does.",
        wrong=Example(file="gpu-b.yaml", text=_SERVER("    resourceSpec: {gpuSku: a100}\n")),
        right=Example(file="gpu-b.yaml", text=_SERVER("    resourceSpec: {cpu: 4}\n")),
    ),
    Rule.NO_ARTIFACTS: Explained(
        title="fresco.yaml says where the artifacts of Michelangelo's revisions are",
        why="Their form has the name of a revision alone, and what is served has to be somewhere.",
        wrong=Example(
            file="ranker.yaml",
            text="""\
apiVersion: michelangelo.api/v2
kind: Deployment
metadata: {name: ranker, namespace: fraud}
spec:
  desiredRevision: {name: ranker-7}
  inferenceServer: {name: gpu-a}
""",
        ),
        right=Example(file="fresco.yaml", text=_ARTIFACTS),
    ),
}
