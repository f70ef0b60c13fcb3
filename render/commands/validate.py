"""`fresco validate`: every finding in a repository. I/O: the working tree, standard output."""

import argparse
import sys
from pathlib import Path

from render import report, settings
from render.document import Loaded
from render.errors import ExitCode
from render.load import load
from render.normal import accept
from render.repository import WorkingTree
from schemas.resources import RepositorySpec
from schemas.status import Finding

EXAMPLES = """\
examples:
  fresco validate              what is wrong in this repository, all of it
  fresco validate prod/fraud   what of it is wrong in that folder
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("path", nargs="?", type=Path, default=Path(), help="the repository's root (default: here)")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    loaded = load(WorkingTree(options.path))
    spec = settings.read(loaded)
    findings = report.in_order(_all_findings(loaded, spec) if isinstance(spec, RepositorySpec) else spec)
    for finding in findings:
        sys.stdout.write(report.line(finding) + "\n")
    return ExitCode.FINDINGS if report.has_errors(findings) else ExitCode.FINE


def _all_findings(loaded: Loaded, spec: RepositorySpec) -> list[Finding]:
    return [finding for one in spec.clusters for finding in report.of(accept(loaded, one.name, None))]
