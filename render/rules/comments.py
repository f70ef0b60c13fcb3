"""The rules of comments that silence a warning. Pure values."""

from typing import Final

from render.rules import Rule
from render.rules.explained import Example, Explained, Table

_SERVER = """\
apiVersion: serving.fresco.dev/v1alpha1
kind: InferenceServer
metadata: {{name: gpu-b, namespace: fraud}}
spec:
  backend:
    type: triton
    version: "24.10"
    env:
      {}
""".format
_SILENT = Example(
    file="gpu-b.yaml", text=_SERVER("SORT_KEY: name  # fresco: ignore FR038 because it is the name of a column")
)

COMMENTS: Final[Table] = {
    Rule.IGNORED_WITHOUT_REASON: Explained(
        title="A comment that ignores a rule gives its reason",
        why="Whoever reads it later is to know whether the reason still holds.",
        wrong=Example(
            file="gpu-b.yaml", text=_SERVER("SORT_KEY: name  # fresco: ignore FR038"), also=(Rule.SECRET_IN_PLAIN,)
        ),
        right=_SILENT,
    ),
    Rule.IGNORED_UNKNOWN: Explained(
        title="A comment that ignores a rule names one that exists",
        why="A slip in the id would let the comment do nothing without a word.",
        wrong=Example(
            file="gpu-b.yaml",
            text=_SERVER("SORT_KEY: name  # fresco: ignore FR39 because it is the name of a column"),
            also=(Rule.SECRET_IN_PLAIN,),
        ),
        right=_SILENT,
    ),
    Rule.IGNORED_NOTHING: Explained(
        title="A comment that ignores a rule has a finding to ignore",
        why="One that was left behind would silence the next finding of its kind, which nobody has looked at.",
        wrong=Example(
            file="gpu-b.yaml",
            text=_SERVER("SORT_BY: name  # fresco: ignore FR038 because it is the name of a column"),
        ),
        right=_SILENT,
    ),
    Rule.IGNORED_ERROR: Explained(
        title="Only warnings are ignored by a comment",
        why="For an error the agent keeps the resource as it was accepted last, and no comment makes it right.",
        wrong=Example(
            file="gpu-b.yaml",
            text=_SERVER("SORT KEY: name  # fresco: ignore FR013 because it has always been called that"),
            also=(Rule.WRONG_VALUE,),
        ),
        right=_SILENT,
    ),
}
