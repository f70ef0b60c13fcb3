"""What is told of a rule, and the repository that its examples are parts of. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from render.rules import Rule

BASE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fresco.yaml": """\
apiVersion: serving.fresco.dev/v1alpha1
kind: Repository
metadata: {name: fresco}
spec:
  clusters:
    - name: prod
      gateway: {name: public, namespace: gateway}
  namespaces:
    fraud:
      storage: [s3://models/fraud/]
""",
        "gpu-a.yaml": """\
apiVersion: serving.fresco.dev/v1alpha1
kind: InferenceServer
metadata: {name: gpu-a, namespace: fraud}
spec:
  backend: {type: triton, version: "24.10"}
  replicas: 4
  canary: {replicas: 2}
""",
        "scorer.yaml": """\
apiVersion: serving.fresco.dev/v1alpha1
kind: Deployment
metadata: {name: scorer, namespace: fraud}
spec:
  server: gpu-a
  model:
    revision: "1"
    uri: s3://models/fraud/scorer/1
    digest: sha256:9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f
""",
    }
)
"""What every example leaves out: a repository of one server and one Deployment that nothing is wrong with."""

LONG: Final = 320 << 10
"""Characters that `…` stands for in an example."""


@dataclass(frozen=True, slots=True)
class Example:
    """Some files. `text` is one or more documents, and what each leaves out is as in the resource of its kind in
    `BASE`; a field that is `null` is not there at all. One with a name of its own is a further resource.

    `file`: then `text` is this file, to the letter. `before`: what was there before this, in the form of `text`, and
    accepted. `cluster`: whose agent looks. `also`: the further rules that cannot but be broken with it.
    """

    text: str
    file: str | None = None
    before: str | None = None
    cluster: str = "prod"
    also: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """A rule for people: what holds when it is kept, why it is asked for, and an example of each side."""

    title: str
    why: str
    wrong: Example
    right: Example


Table = Mapping[Rule, Explained]
