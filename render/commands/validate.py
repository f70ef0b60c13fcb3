"""`fresco validate`: what is wrong in a repository. I/O: the working tree, standard input and output, environment."""

import argparse
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from render import report
from render.cache import Cache
from render.check import Checked, check
from render.errors import ExitCode, FrescoError, NotFound
from render.files import Files, Replaced
from render.forms import FORMS
from render.forms.report import Report, Terminal
from render.load import is_yaml, lines
from render.repository import CommitFiles, Repository, WorkingTree, work_tree
from render.root import inside, root_of, shown_from
from render.rules import Rule, named
from schemas.status import Finding

STANDARD_INPUT: Final = "-"
SEVERITIES: Final = ("error", "warning")

EXAMPLES = """\
examples:
  fresco validate                                   # what is wrong in this repository, all of it
  fresco validate prod/fraud                        # what of it concerns that folder
  fresco validate --format sarif > findings.sarif   # for a service that scans code
  fresco validate --ignore FR043,FR044              # all but two rules
  fresco validate - --stdin-name a.yaml < buffer    # a.yaml as it is in an editor
  fresco validate --staged                          # what the next commit will hold, for a hook

The repository is the first folder upwards with a fresco.yaml. It is checked as a whole, whatever of it is shown.
DIR and PATHs are looked up from the current folder, and paths are printed as they are seen from there.
What was found is kept in .git/fresco, so that the next run need only look at what has changed since.
A warning is silenced in its line, or alone in the line above:
  - {weight: 50}  # fresco: ignore FR044 because the second canary comes in March

exit codes: 0 no errors, 1 errors, 2 wrong use, 3 a mistake in Fresco
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders, - for standard input")
    parser.add_argument("-C", dest="directory", type=Path, metavar="DIR", help="the repository's root")
    parser.add_argument("--format", choices=FORMS, default="text", help="how to write it (default: text)")
    parser.add_argument("--severity", choices=SEVERITIES, default="warning", help="the least that is shown")
    parser.add_argument("--select", action="append", type=_rules, metavar="FRnnn,…", help="these rules alone")
    parser.add_argument("--ignore", action="append", type=_rules, metavar="FRnnn,…", help="all but these rules")
    parser.add_argument("--stdin-name", type=Path, metavar="PATH", help="which file standard input stands for")
    parser.add_argument(
        "--staged", action="store_true", help="the files as git's index has them, not as they lie there"
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="find everything anew, and keep nothing for the next time"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="one line a finding, and nothing without findings")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    paths = _paths(options)
    root = options.directory if options.directory is not None else root_of((paths or [Path()])[0])
    wanted = inside(root, paths)
    files: Files = _staged(root) if options.staged else WorkingTree(root)
    if STANDARD_INPUT in options.paths:
        (name,) = inside(root, [options.stdin_name])
        files = Replaced(files, name, sys.stdin.buffer.read())
    checked = _checked(root, files, is_kept=not options.no_cache)
    chosen = [one for one in checked.among(wanted or ["."]) if _is_chosen(one, options)]
    form = FORMS[options.format]
    begin = shown_from((work_tree(root) or root) if form.is_from_top else Path(), root)
    sys.stdout.write(form.write(_report(checked, chosen, files, begin, _terminal(options))))
    return ExitCode.FINDINGS if report.has_errors(chosen) else ExitCode.FINE


def _checked(root: Path, files: Files, *, is_kept: bool) -> Checked:
    """What is said of `files`; with `is_kept` only what differs from the last time is looked at."""
    cache = Cache.of(root) if is_kept else None
    if cache is None:
        return check(files, _committed(root))
    known = cache.load()
    checked = check(files, _committed(root), known)
    if checked.is_whole and checked.known != known:
        try:
            cache.keep(checked.known)
        except OSError as error:
            sys.stderr.write(f"fresco: the next run will be slow again: {error}; --no-cache keeps nothing\n")
    return checked


def _staged(root: Path) -> CommitFiles:
    """What the next commit will hold of the repository in `root`: a new file that nobody has added is not in it."""
    repository = Repository.open(root)
    return CommitFiles(repository, repository.staged(), repository.folder(root))


def _committed(root: Path) -> CommitFiles | None:
    """What HEAD holds of the repository in `root`; None outside of git, and before the first commit."""
    if work_tree(root) is None:
        return None
    repository = Repository.open(root)
    head = repository.resolve("HEAD")
    return CommitFiles(repository, head, repository.folder(root)) if head is not None else None


def _rules(text: str) -> list[Rule]:
    """Rule ids with commas between them. Raises ArgumentTypeError, which argparse says."""
    try:
        return [named.find(one) for one in text.split(",")]
    except NotFound as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _paths(options: argparse.Namespace) -> list[Path]:
    """The files and folders that are meant. Raises FrescoError for what is not there, or does not go together."""
    reads = STANDARD_INPUT in options.paths
    if reads != (options.stdin_name is not None):
        raise FrescoError("- and --stdin-name go together: the name says which file standard input stands for")
    if reads and not is_yaml(options.stdin_name.name):
        raise FrescoError(f"--stdin-name: expected the name of a YAML file, got {options.stdin_name}")
    paths = [options.stdin_name if one == STANDARD_INPUT else Path(one) for one in options.paths]
    for path in paths:
        if path != options.stdin_name and not path.exists():
            raise NotFound(f"{path} is not there")
    return paths


def _is_chosen(finding: Finding, options: argparse.Namespace) -> bool:
    selected = None if options.select is None else {one for some in options.select for one in some}
    ignored = {one for some in options.ignore or () for one in some}
    is_severe = SEVERITIES.index(finding.severity) <= SEVERITIES.index(options.severity)
    return is_severe and finding.rule not in ignored and (selected is None or finding.rule in selected)


def _terminal(options: argparse.Namespace) -> Terminal | None:
    """What text is written for; None when it is to be one line a finding."""
    if options.quiet or not sys.stdout.isatty():
        return None
    has_colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Terminal(shutil.get_terminal_size().columns, has_colours)


def _report(checked: Checked, chosen: Iterable[Finding], files: Files, begin: str, terminal: Terminal | None) -> Report:
    """`chosen` with `begin` before their paths, and the lines that they are about."""
    there = {place for one in chosen for place in ((one.file, one.line), _other(one)) if place is not None}
    texts = {file: _lines(files, file) for file in {file for file, _ in there}}
    return Report(
        findings=tuple(_moved(one, begin) for one in chosen),
        lines={(begin + file, line): texts[file][line - 1] for file, line in sorted(there) if line <= len(texts[file])},
        count=checked.read,
        terminal=terminal,
    )


def _other(finding: Finding) -> tuple[str, int] | None:
    return (finding.other.file, finding.other.line) if finding.other is not None else None


def _lines(files: Files, path: str) -> list[str]:
    """The lines of a file; none where it is missing, as fresco.yaml may be, or may not be read: that is a finding."""
    try:
        return lines(files.read(path))
    except (OSError, KeyError):  # a file that is no more, one that a commit has never had
        return []


def _moved(finding: Finding, begin: str) -> Finding:
    other = finding.other
    if other is not None:
        other = msgspec.structs.replace(other, file=begin + other.file)
    return msgspec.structs.replace(finding, file=begin + finding.file, other=other)
