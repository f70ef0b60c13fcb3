"""`fresco new`: a commented, valid file for a server or a deployment. I/O: the file system, the standard streams."""

import argparse
import sys
from pathlib import Path
from typing import Final

from render import settings, templates, validate
from render.document import REPOSITORY_FILE, prefix
from render.editor import FOLDER, line, schema_name
from render.errors import AlreadyThere, ExitCode, FrescoError, NotFound
from render.load import load_file
from render.resource import Resource, identify
from render.root import root_of, shown_from
from render.validate import Scope
from schemas.resources import Gateway, Grant, Images, InferenceServer, RepositorySpec

EXAMPLES = """\
examples:
  fresco new server gpu-a --namespace fraud                       # fraud/servers/gpu-a.yaml
  fresco new deployment scorer --namespace fraud --server gpu-a   # fraud/deployments/scorer.yaml
  fresco new server gpu-b --namespace fraud --output -            # print it

The repository is the first folder upwards with a fresco.yaml. FILE is looked up from the current folder.
"""

_STDOUT: Final = Path("-")
_FOLDERS: Final = {"server": "servers", "deployment": "deployments"}
_KINDS: Final = {"server": "inferenceserver", "deployment": "deployment"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    kinds = parser.add_subparsers(dest="what", required=True, metavar="server|deployment")
    server = kinds.add_parser("server", help="an InferenceServer: replicas that models are served on")
    deployment = kinds.add_parser("deployment", help="a Deployment: a model on a server")
    for one in (server, deployment):
        one.formatter_class, one.epilog = parser.formatter_class, EXAMPLES
        one.add_argument("name", metavar="NAME", help="what it is called")
        one.add_argument("--output", type=Path, metavar="FILE", help="where, or - to print it (default: by its name)")
        one.add_argument("--namespace", required=True, metavar="NS", help="the namespace that it belongs to")
        one.add_argument("--cluster", help="one of fresco.yaml's clusters; needed when they have folders of their own")
        one.add_argument("-C", dest="directory", type=Path, metavar="DIR", help="the repository's root")
        one.add_argument("-q", "--quiet", action="store_true", help="say nothing of what comes next")
    server.add_argument("--version", default=templates.DEFAULT_VERSION, help="of Triton (default: %(default)s)")
    deployment.add_argument("--server", required=True, help="the InferenceServer, in the same namespace")
    deployment.add_argument("--uri", help="where the model's files are (default: a place that the namespace may use)")
    deployment.add_argument("--revision", default="1", help="a label for people (default: 1)")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command. Raises NotFound, AlreadyThere, and FrescoError for a name that no resource can have."""
    root = options.directory if options.directory is not None else root_of(Path())
    repository = _repository(root)
    grant = repository.namespaces.get(options.namespace) if repository is not None else None
    text = _text(options, grant)
    _check(text, _scope(options.namespace, repository))
    if options.output == _STDOUT:
        sys.stdout.write(text)
        return ExitCode.FINE
    path = options.output or Path(shown_from(Path(), root), _path(options, root, repository))
    _write(path, _for_editors(options, root, path) + text)
    sys.stdout.write(f"{path}\n")
    if not options.quiet:
        sys.stderr.write("".join(f"fresco: {line}\n" for line in _next(options, path, repository, grant)))
    return ExitCode.FINE


def _scope(namespace: str, repository: RepositorySpec | None) -> Scope:
    """What a resource may use; that of the first cluster, because names are the same in all."""
    if repository is None:
        return Scope(namespace, None, Images(), local=False, gateway=Gateway(name="public", namespace="gateway"))
    grant, cluster = repository.namespaces.get(namespace), repository.clusters[0]
    return Scope(namespace, grant, repository.images, local=False, gateway=cluster.gateway)


def _repository(directory: Path) -> RepositorySpec | None:
    """What fresco.yaml says; None where there is none. Raises FrescoError for one that is not valid."""
    path = directory / REPOSITORY_FILE
    if not path.is_file():
        return None
    spec = settings.of_file(load_file(REPOSITORY_FILE, path.read_bytes()))
    if not isinstance(spec, RepositorySpec):
        raise FrescoError(f"{path} is not valid: {spec[0].message}: run fresco validate")
    return spec


def _text(options: argparse.Namespace, grant: Grant | None) -> str:
    if options.what == "server":
        return templates.server(name=options.name, namespace=options.namespace, version=options.version)
    return templates.deployment(
        name=options.name,
        namespace=options.namespace,
        server=options.server,
        revision=options.revision,
        uri=options.uri or _uri(options.name, options.namespace, grant),
    )


def _uri(name: str, namespace: str, grant: Grant | None) -> str:
    """A place for the model below the first one that the namespace may use."""
    first = grant.storage[0] if grant is not None and grant.storage else f"https://models.example.com/{namespace}/"
    begin = "file:///srv/models" if first.rstrip("/") == "file:" else first.rstrip("/")
    archive = ".tar.gz" if begin.startswith("http") else ""
    return f"{begin}/{name}/1{archive}"


def _check(text: str, scope: Scope) -> None:
    """Raises FrescoError, with what is wrong with the values that were given."""
    (document,) = load_file("-", text.encode()).documents
    resource = identify(document)
    findings = list(resource.findings) if isinstance(resource, Resource) else [resource]
    if isinstance(resource, Resource) and isinstance(resource.spec, InferenceServer):
        findings += validate.server(resource, resource.spec, scope)
    if findings:
        raise FrescoError("; ".join(finding.message for finding in findings))


def _path(options: argparse.Namespace, root: Path, repository: RepositorySpec | None) -> Path:
    if repository is None:
        raise NotFound(f"{root / REPOSITORY_FILE} does not exist: run fresco init, or name the file")
    clusters = [one for one in repository.clusters if options.cluster in (None, one.name)]
    if not clusters:
        raise NotFound(f"fresco.yaml has no cluster {options.cluster}")
    folders = {prefix(one.path) for one in clusters}
    if len(folders) > 1:
        names = " or --cluster ".join(one.name for one in clusters)
        raise NotFound(f"fresco.yaml's clusters have folders of their own: say --cluster {names}")
    return Path(folders.pop(), options.namespace, _FOLDERS[options.what], f"{options.name}.yaml")


def _for_editors(options: argparse.Namespace, root: Path, path: Path) -> str:
    """The line that leads to the schema, where the repository keeps it."""
    schema = root / FOLDER / schema_name(_KINDS[options.what])
    return f"{line(schema, path)}\n" if schema.is_file() else ""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise AlreadyThere(f"{path} is there already: nothing was written") from error


def _next(options: argparse.Namespace, path: Path, repository: RepositorySpec | None, grant: Grant | None) -> list[str]:
    lines = []
    if repository is not None and grant is None:
        lines.append(f"fresco.yaml has no namespace {options.namespace}: it may use no storage, hostname or Secret yet")
    if options.what == "deployment":
        lines.append(f"it has no digest yet: when `uri` is right, run fresco lock {path}")
    return lines
