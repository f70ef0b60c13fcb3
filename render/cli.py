"""The `fresco` program: validate, render, lock. I/O: the arguments, a repository, standard output and error.

This is where errors become exit codes: 0 fine, 1 findings, 2 wrong use, 3 a mistake of ours.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from render import plan, report, settings, tree, write
from render.document import Loaded
from render.errors import ExitCode, FrescoError, NotFound
from render.files import Files
from render.load import load
from render.lock import CannotLock, lock, storage_digest
from render.normal import accept
from render.repository import CommitFiles, Repository, WorkingTree
from render.settled import settled
from schemas.resources import RepositorySpec
from schemas.status import Finding, Tree

_EXAMPLES = """\
examples:
  fresco validate                                  what is wrong in this repository, all of it
  fresco render --cluster prod                     the manifests after all rollouts of the working tree
  fresco render --revision main --output out       those of a commit, into a folder
  fresco render --revision clusters/prod           exactly what the agent has written there
  fresco lock deployments/scorer.yaml              write down the digests of models that have none
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code."""
    try:
        options = _parser().parse_args(arguments)
        code = _COMMANDS[options.command](options)
        sys.stdout.flush()
        return int(code)
    except FrescoError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        # Whoever read has seen enough. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.FINE)
    except OSError as error:
        return _fail(str(error), ExitCode.WRONG_USE)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: say that it is ours, without a traceback
        return _fail(f"a mistake in Fresco, please report it: {type(error).__name__}: {error}", ExitCode.OUR_BUG)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fresco",
        description="Model serving as GitOps: checks and renders a repository.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    validate = commands.add_parser("validate", help="print every finding as file:line:column: rule message")
    validate.add_argument("path", nargs="?", type=Path, default=Path(), help="the repository's root (default: here)")
    render = commands.add_parser("render", help="print the manifests, or write them into a folder")
    render.add_argument("--cluster", help="one of fresco.yaml's clusters; needed when it has several")
    render.add_argument("--revision", metavar="REV", help="a commit or branch (default: the working tree)")
    render.add_argument("-C", dest="directory", type=Path, default=Path(), metavar="DIR", help="the repository")
    render.add_argument("--output", type=Path, metavar="DIR", help="write below DIR and delete what is stale there")
    lock = commands.add_parser("lock", help="compute missing digests and write them into the files")
    lock.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders (default: here)")
    return parser


def _validate(options: argparse.Namespace) -> ExitCode:
    loaded = load(WorkingTree(options.path))
    spec = settings.read(loaded)
    findings = report.in_order(_all_findings(loaded, spec) if isinstance(spec, RepositorySpec) else spec)
    for finding in findings:
        sys.stdout.write(report.line(finding) + "\n")
    return ExitCode.FINDINGS if report.has_errors(findings) else ExitCode.FINE


def _all_findings(loaded: Loaded, spec: RepositorySpec) -> list[Finding]:
    return [finding for one in spec.clusters for finding in report.of(accept(loaded, one.name, None))]


def _render(options: argparse.Namespace) -> ExitCode:
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
    commit = repository.resolve(options.revision)
    if commit is None:
        raise NotFound(f"{options.directory.absolute()} has no revision {options.revision!r}")
    return CommitFiles(repository, commit)


def _written_status(files: Files) -> Tree | None:
    return tree.read({path: files.read(path) for path in files.paths() if tree.is_status(path)})


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


def _lock(options: argparse.Namespace) -> ExitCode:
    failed = False
    for one in lock(options.paths or [Path()], storage_digest):
        if isinstance(one, CannotLock):
            failed = True
            sys.stderr.write(f"fresco: {one}\n")
        else:
            sys.stdout.write(f"{one.file}:{one.line}: {one.key} {one.digest}\n")
    return ExitCode.FINDINGS if failed else ExitCode.FINE


_COMMANDS = {"validate": _validate, "render": _render, "lock": _lock}


def _fail(message: str, code: ExitCode) -> int:
    sys.stderr.write(f"fresco: {message}\n")
    return int(code)
