"""The files that `fresco init` and `fresco new` begin with: short, commented, and valid. Pure.

What is commented out is valid too: a person takes the marks away and changes the values.
"""

import json
import re
from string import Template
from typing import Final

DEFAULT_VERSION: Final = "24.10"  # of Triton

_PLAIN: Final = re.compile(r"[A-Za-z]([A-Za-z0-9:/._~%=&?@+-]*[A-Za-z0-9/_])?")
_WORDS: Final = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))

_REPOSITORY = """\
# Settings of the whole repository: which clusters it feeds, and what each namespace may use.
apiVersion: serving.fresco.dev/v1alpha1
kind: Repository
spec:
  clusters:
    - name: local # `fresco-agent local`: real servers and a real gateway, as processes of one machine
      local: true
      gateway:
        name: public
        namespace: gateway
        implementation: envoy
    # - name: prod
    #   path: . # the only folder that is read for it
    #   gateway: # the Gateway that routes are attached to
    #     name: public
    #     namespace: gateway
    #     implementation: envoy-gateway
  namespaces: # a namespace that is not here may use nothing
    example:
      storage: # prefixes of the addresses that models may come from
        - https://models.example.com/example/
      # hostnames: [models.example.com] # that routes may have
      # secrets: [models] # that servers may name as credentials
  # rollout: # for Deployments that say nothing else
  #   steps:
  #     - weight: 10
  #       soak: 5m
  # guards: # what keeps one commit from going too far
  #   maxDeletions: 2
"""

_SERVER = """\
# An InferenceServer: equal replicas that Deployments are served on.
apiVersion: serving.fresco.dev/v1alpha1
kind: InferenceServer
metadata:
  name: $name
  namespace: $namespace
spec:
  backend:
    type: triton
    version: $version # of the default image
  replicas: 2 # carry all requests; or a range: {min: 2, max: 8}
  canary: # a further slice, which tries new revisions first
    replicas: 1
  resources: # of one replica: requests and limits alike
    cpu: "1"
    memory: 2Gi
    # gpu:
    #   count: 1
    #   memory: 24Gi
  # update: replace # where there is no spare GPU: the old pod goes before the new one comes
  # credentials: models # the Secret with which models are downloaded
"""

_DEPLOYMENT = """\
# A Deployment: one model on one server. Change `revision`, `uri` and `digest` to roll out another revision.
apiVersion: serving.fresco.dev/v1alpha1
kind: Deployment
metadata:
  name: $name
  namespace: $namespace
spec:
  server: $server
  model:
    revision: $revision # a label for people
    uri: $uri # where its files are; then `fresco lock` writes their digest
    # memory: 64Mi # what one copy needs: of the GPU, or of main memory where there is none
    # smokeTest: # a request that it has to answer before it gets any other
    #   request: '{"inputs": []}'
  rollout:
    steps: # the candidate's share of the requests in percent, and how long it is watched
      - weight: 10
        soak: 5m
      - weight: 50
        soak: 10m
    # analysis: # limits for its answers; beyond them it is rolled back
    #   maxErrorRate: 0.01
    #   maxLatencyRatio: 1.3
  # traffic:
  #   hostnames: [models.example.com]
"""

_PRE_COMMIT = """\
# `pre-commit install` once, and each commit is checked before it is made. See https://pre-commit.com.
repos:
  - repo: local
    hooks:
      - id: fresco-lock
        name: digests of new models
        entry: fresco lock
        language: system
        types: [yaml]
        require_serial: true
      - id: fresco-validate
        name: nothing wrong in the repository
        entry: fresco validate --staged
        language: system
        pass_filenames: false
        always_run: true # a deletion can break what stays
        require_serial: true
  # These use the `fresco` of your machine. To have the same one everywhere, let pre-commit install it instead:
  # - repo: URL of Fresco's repository
  #   rev: v0.1.0
  #   hooks:
  #     - id: fresco-lock
  #     - id: fresco-validate
"""


def repository() -> str:
    """A `fresco.yaml` with a local cluster, and a namespace `example` that may use little."""
    return _REPOSITORY


def pre_commit() -> str:
    """A `.pre-commit-config.yaml` with both hooks."""
    return _PRE_COMMIT


def server(*, name: str, namespace: str, version: str) -> str:
    """An InferenceServer with a canary slice."""
    names = {"name": scalar(name), "namespace": scalar(namespace)}
    return Template(_SERVER).substitute(names, version=json.dumps(version))


def deployment(*, name: str, namespace: str, server: str, revision: str, uri: str) -> str:
    """A Deployment that lacks nothing but its digest."""
    names = {"name": scalar(name), "namespace": scalar(namespace), "server": scalar(server)}
    return Template(_DEPLOYMENT).substitute(names, revision=json.dumps(revision), uri=scalar(uri))


def commented(text: str) -> str:
    """`text` as comments: a file that says nothing yet."""
    return "".join(f"# {line}" if line.strip() else line for line in text.splitlines(keepends=True))


def scalar(text: str) -> str:
    """`text` as a value in a YAML file, in quotes where some reader would take it for something else."""
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=False)
