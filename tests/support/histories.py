"""Random histories of small repositories, and of what their status comes to, for properties that hold after any.

Most of what they hold is right, much of it wants the same, and all of what acceptance looks at changes now and then.
"""

from collections.abc import Mapping

import msgspec
from hypothesis import strategies as some

from render.document import Loaded, LoadedFile
from render.load import load_file
from render.normal import Wanted
from render.settled import settled
from schemas.status import DeploymentStatus, ServerStage, ServerStatus, Stage, Tree

HEAD = "apiVersion: serving.fresco.dev/v1alpha1"
PATHS = ("a/s.yaml", "a/t.yaml", "a/w.yaml", "a/x.yaml", "a/y.yaml", "a/z.yaml", "b/s.yaml", "b/x.yaml")
ROUTES = ("path: /a/p", "path: /a/p/infer", "path: /shared/p", "hostnames: [a.example.com], path: /a/p")
BACKENDS = ("version: x", "version: y", "image: mine/t:1", "env: {B: b}")
Texts = Mapping[str, str]


def mostly(usual: str, *others: str) -> some.SearchStrategy[str]:
    return some.sampled_from([usual] * (1 + 2 * len(others)) + list(others))


def either(*texts: str) -> some.SearchStrategy[str]:
    return some.sampled_from(texts)


@some.composite
def repositories(draw: some.DrawFn) -> str:
    """A `fresco.yaml`: mostly right, different in each of the settings that acceptance looks at, each in its line."""
    cluster = draw(mostly("", ", path: a", ", local: true"))
    storage = draw(mostly("s3://m/', 'pvc://", "s3://m/', 's3://n/", "s3://n/"))
    rollout = draw(mostly("bake: 7m", "steps: [{weight: 50}]", "deadlines: {resourceAcquisition: 9m}", "steps: 1"))
    grants = ("hostnames: [a.example.com]", "images: [mine/]", "secrets: [key]", "paths: [/shared]")
    lines = [
        f"{HEAD}\nkind: Repository\nspec:",
        f"  clusters: [{{name: prod, gateway: {{name: public, namespace: gateway}}{cluster}}}]",
        f"  rollout: {{{rollout}}}",
        draw(mostly("", "  images: {triton: 'other:{version}'}", "  images: {modelSync: 'sync:2'}")),
        draw(mostly("", "  guards: {maxDeletions: 0, maxDeletionsPercent: 0}")),
        f"  namespaces:\n    b: {{storage: ['s3://']}}\n    a:\n      storage: ['{storage}']",
        *(f"      {grant}" if draw(some.booleans()) else "" for grant in grants),
    ]
    return "\n".join(lines) + "\n"


@some.composite
def servers(draw: some.DrawFn, namespace: str, name: str) -> str:
    """An InferenceServer, mostly of `name`, sometimes with a finding of its own."""
    space = draw(mostly("", " "))
    lines = [
        f"{HEAD}\nkind: InferenceServer",
        f"metadata: {{{space}name: {draw(mostly(name, 's', 's-main', 'default'))}, namespace: {namespace}}}\nspec:",
        f"  backend: {{type: {draw(mostly('triton', 'vllm'))}, {draw(mostly(*BACKENDS))}}}",
        draw(mostly("  replicas: 4", "  replicas: 0", "  replicas: two")),
        draw(either("", "  canary: {replicas: 1}", "  canary: {replicas: 2}")),
        draw(either("  resources: {memory: 2Gi}", "  resources: {memory: 3Gi}", "  resources: {memory: 4Gi}", "")),
        draw(mostly("", "  cache: {claim: disk}", "  credentials: key")),
    ]
    return "\n".join(lines) + "\n"


@some.composite
def deployments(draw: some.DrawFn, namespace: str, name: str) -> str:
    """A Deployment, mostly of `name`, sometimes with a finding of its own, or with what another one has too."""
    lines = [
        f"{HEAD}\nkind: Deployment\nmetadata: {{name: {draw(mostly(name, 'x'))}, namespace: {namespace}}}",
        f"spec:\n  server: {draw(mostly('s', 't', 'u'))}",
        draw(mostly("", "  rollout: {bake: 1m}", "  rollout: {steps: [{weight: 10}]}", "  rollout: {paused: true}")),
        draw(mostly("", *(f"  traffic: {{{one}}}" for one in ROUTES))),
        f"  model:\n    {draw(some.sampled_from(['revision'] * 9 + ['revison']))}: '1'",
        draw(mostly("    uri: s3://m/x", "    uri:  s3://n/x", "    uri: pvc://disk/x", "    uri: file:///x")),
        draw(mostly(f"    digest: sha256:{'9f' * 32}", f"    digest: sha256:{'ab' * 32}", "")),
        draw(mostly("", "    name: m")),
        draw(mostly("", "    type: base", "    type: adapter")),
        draw(mostly("    memory: 1Gi", "    memory: 2Gi", "")),
        draw(mostly("", f"    options: {{long: {'x' * 250_000}}}")),
    ]
    return "\n".join(lines) + "\n"


OTHERS = either(
    f"{HEAD}\nkind: Deploiment\n",
    f"{HEAD}\nkind: Deployment\n",
    f"{HEAD}\nkind: Repository\nspec: {{clusters: []}}\n",
    f"{HEAD}\nkind: [\n",
    "kind: Pod\n",
)


@some.composite
def files(draw: some.DrawFn, path: str) -> str:
    """Mostly the one resource that the path names, sometimes more, nothing, or something else."""
    namespace, name = path.removesuffix(".yaml").split("/")
    own = (servers if name in "st" else deployments)(namespace, name)
    what = {
        "own": [own],
        "more": [own, deployments(namespace, "v")],
        "twice": [own, own],
        "other": [OTHERS],
        "none": [],
    }
    return "---\n".join(draw(one) for one in what[draw(mostly(*what))])


@some.composite
def histories(draw: some.DrawFn) -> list[Texts]:
    """Commits: each has the files of the one before but for what was changed, moved, deleted or restored."""
    commits: list[Texts] = [{"fresco.yaml": draw(repositories()), **{path: draw(files(path)) for path in PATHS}}]
    for _ in range(draw(some.integers(3, 15))):
        commits.append(_next(draw, commits))
    return commits


def _next(draw: some.DrawFn, commits: list[Texts]) -> Texts:
    last, path = commits[-1], draw(some.sampled_from(PATHS))
    without = {one: text for one, text in last.items() if one != path}
    edits = (
        "write",
        "line",
        "line",
        "line",
        "delete",
        "move",
        "push down",
        "repository",
        "repository",
        "none",
        "restore",
    )
    match draw(either(*edits)):
        case "write":
            return {**last, path: draw(files(path))}
        case "line":
            return {**last, path: _one_line_of(draw, last.get(path, ""), draw(files(path)))}
        case "push down":
            return {**last, path: f"\n{last.get(path, '')}"}
        case "delete":
            return without
        case "move":
            return {**without, draw(some.sampled_from(PATHS)): last.get(path, "")}
        case "repository":
            return {**last, "fresco.yaml": _one_line_of(draw, last.get("fresco.yaml", ""), draw(repositories()))}
        case "no repository":
            return {one: text for one, text in last.items() if one != "fresco.yaml"}
        case _:
            return draw(some.sampled_from(commits))


def _one_line_of(draw: some.DrawFn, before: str, after: str) -> str:
    """`before` with one of the lines that `after` has otherwise; `after` where they do not compare."""
    lines, others = before.splitlines(), after.splitlines()
    differing = [number for number, (one, other) in enumerate(zip(lines, others, strict=False)) if one != other]
    if not differing or len(lines) != len(others):
        return after
    number = draw(some.sampled_from(differing))
    return "\n".join([*lines[:number], others[number], *lines[number + 1 :]]) + "\n"


class Source:
    """Files as the agent reads them: those whose text is as before are the same objects."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, LoadedFile]] = {}

    def read(self, texts: Texts) -> Loaded:
        self._known = {path: (text, self._file(path, text)) for path, text in sorted(texts.items())}
        return Loaded.of({path: file for path, (_, file) in self._known.items()})

    def _file(self, path: str, text: str) -> LoadedFile:
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == text else load_file(path, text.encode())


def progress(data: some.DataObject, previous: Tree | None, wanted: Wanted) -> Tree | None:
    """A status that may come next: of each resource what was there, what is wanted, or something on the way."""
    if data.draw(some.booleans(), label="status stays"):
        return previous
    tree = settled(wanted)
    before = previous if previous is not None else Tree(repository=tree.repository)
    servers = {
        key: _server(data, before.servers.get(key), tree.servers.get(key))
        for key in _keys(before.servers, tree.servers)
    }
    deployments = {
        key: _deployment(data, before.deployments.get(key), tree.deployments.get(key))
        for key in _keys(before.deployments, tree.deployments)
    }
    return Tree(
        repository=tree.repository,
        servers={key: one for key, one in servers.items() if one is not None},
        deployments={key: one for key, one in deployments.items() if one is not None},
    )


def _keys(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return sorted(before.keys() | after.keys())


def _server(data: some.DataObject, before: ServerStatus | None, after: ServerStatus | None) -> ServerStatus | None:
    one = after if after is not None and after.current is not None else before or after
    if one is not None and data.draw(some.integers(0, 5), label=one.metadata.name) == 5:
        return msgspec.structs.replace(one, stage=ServerStage.DELETE)
    return data.draw(some.sampled_from([one, one, before, after]))


def _deployment(
    data: some.DataObject, before: DeploymentStatus | None, after: DeploymentStatus | None
) -> DeploymentStatus | None:
    one = after if after is not None and after.current is not None else before or after
    assert one is not None
    match data.draw(some.sampled_from(["done", "done", "before", "gone", "first", "moves", "leaves"])):
        case "before":
            return before
        case "gone":
            return after
        case "first":
            return msgspec.structs.replace(one, candidate=one.current or one.candidate, current=None)
        case "moves":
            return msgspec.structs.replace(one, candidate=one.current, current=before.current if before else None)
        case "leaves":
            return msgspec.structs.replace(one, stage=Stage.CLEAN_UP_IN_PROGRESS)
        case _:
            return one
