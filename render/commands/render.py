"""`fresco render`: the manifests of a working tree or a commit. I/O: a repository, standard output or a folder."""

import argparse
import sys
from pathlib import Path

from render import plan, report, settings, tree, write
from render.document import Loaded
from render.errors import ExitCode, NotFound
from render.files import Files, is_folder
from render.load import load
from render.normal import accept
from render.repository import CommitFiles, Repository, WorkingTree
from render.settled import settled
from schemas.resources import RepositorySpec
from schemas.status import Finding, Tree

EXAMPLES = """\
examples:
  fresco render --cluster prod                 # the manifests after all rollouts of the working tree
  fresco render --revision main --output out   # those of a commit, into a folder
  fresco render --revision clusters/prod       # exactly what the agent has written there
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("--cluster", help="one of fresco.yaml's clusters; needed when it has several")
    parser.add_argument("--revision", metavar="REV", help="a commit or branch (default: the working tree)")
    parser.add_argument("-C", dest="directory", type=Path, default=Path(), metavar="DIR", help="the repository")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write below DIR and delete what is stale there")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    files = _files(options)
    status = _written_status(files)
    findings: list[Finding] = []
    if status is None:
        status, findings = _settled(files, options.cluster)
    elif options.cluster not in (None, status.repository.cluster):
        raise NotFound(f"{options.revision} is the branch of the cluster {status.repository.cluster}")
    _put(plan.manifests(status), options.output)
    for finding in findings:
        sys.stderr.write(report.line(finding) + "\n")
    return ExitCode.FINDINGS if report.has_errors(findings) else ExitCode.FINE


def _files(options: argparse.Namespace) -> Files:
    if options.revision is None:
        return WorkingTree(options.directory)
    repository = Repository.open(options.directory)
    return CommitFiles(repository, repository.commit_named(options.revision))


def _written_status(files: Files) -> Tree | None:
    return tree.read({path: files.read(path) for path in files.paths() if _may_be_status(path)})


def _may_be_status(path: str) -> bool:
    """A folder of them that cannot be listed is not left out without a word: reading it says why."""
    return tree.is_status(path) or (is_folder(path) and path.startswith(f"{tree.FOLDER}/"))


def _settled(files: Files, cluster: str | None) -> tuple[Tree, list[Finding]]:
    loaded = load(files)
    wanted = accept(loaded, cluster or _only_cluster(loaded), None)
    return settled(wanted), report.of(wanted)


def _only_cluster(loaded: Loaded) -> str:
    spec = settings.read(loaded)
    names = [one.name for one in spec.clusters] if isinstance(spec, RepositorySpec) else [""]
    if len(names) > 1:
        raise NotFound(f"fresco.yaml has several clusters: say --cluster {' or --cluster '.join(names)}")
    return names[0]


def _put(manifests: plan.Files, folder: Path | None) -> None:
    if folder is not None:
        write.to_folder(folder, manifests)
        return
    for path in sorted(manifests):
        sys.stdout.write(f"---\n# {path}\n{manifests[path].decode()}")
