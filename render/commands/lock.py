"""`fresco lock`: digests of models that have none, into the files. I/O: files, storage, standard output and error."""

import argparse
import sys
from itertools import chain
from pathlib import Path

from render.errors import ExitCode
from render.lock import CannotLock, lock, storage_digest
from render.lock_revisions import lock_revisions

EXAMPLES = """\
examples:
  fresco lock deployments/scorer.yaml   write down the digest of its model
  fresco lock                           those of all models here that have none
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders (default: here)")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    failed = False
    paths = options.paths or [Path()]
    for one in chain(lock(paths, storage_digest), lock_revisions(paths, storage_digest)):
        if isinstance(one, CannotLock):
            failed = True
            sys.stderr.write(f"fresco: {one}\n")
        else:
            sys.stdout.write(f"{one.file}:{one.line}: {one.key} {one.digest}\n")
    return ExitCode.FINDINGS if failed else ExitCode.FINE
