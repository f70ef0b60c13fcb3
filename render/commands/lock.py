"""`fresco lock`: digests of models, into the files or compared with them. I/O: files, storage, the standard streams."""

import argparse
import sys
from functools import cache, partial
from pathlib import Path
from typing import Final, TextIO

from render.characters import printable
from render.errors import ExitCode
from render.lock import CannotLock, Computed, Digester, check, files, lock, locked, storage_digest
from render.progress import following

EXAMPLES = """\
examples:
  fresco lock deployments/scorer.yaml       write down the digest of its model
  fresco lock                               those of all models here that have none
  fresco lock --update fraud                those of a folder again, where an address has changed
  fresco lock --check                       compare all of them with what is there now, write nothing
  fresco lock - < draft.yaml > scorer.yaml  as a filter
"""

_STDIN: Final = Path("-")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files, folders, or - (default: DIR)")
    parser.add_argument(
        "-C", dest="directory", type=Path, default=Path(), metavar="DIR", help="the repository (default: here)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what is wrong, and show no progress")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compute all digests, write none, end with 1 if one differs")
    what.add_argument("--update", action="store_true", help="compute digests that are there again, too")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    digester = cache(partial(storage_digest, follow=partial(following, quiet=options.quiet)))
    if options.paths == [_STDIN]:
        return _filter(options, digester)
    failed = False
    for path in files(options.paths or [options.directory]):
        results = check(path, digester) if options.check else lock(path, digester, again=options.update)
        for one in results:
            failed = _say(one, options, sys.stdout) or failed
    return ExitCode.FINDINGS if failed else ExitCode.FINE


def _filter(options: argparse.Namespace, digester: Digester) -> ExitCode:
    """What is printed is the file alone, so that what was done to it goes to standard error."""
    content = sys.stdin.buffer.read()
    after, results = locked("<stdin>", content, digester, again=options.update or options.check)
    if not options.check:
        sys.stdout.buffer.write(after)
    failed = [_say(one, options, sys.stdout if options.check else sys.stderr) for one in results]
    return ExitCode.FINDINGS if any(failed) else ExitCode.FINE


def _say(one: Computed | CannotLock, options: argparse.Namespace, out: TextIO) -> bool:
    """Prints one result, and tells whether it is a failure."""
    if isinstance(one, CannotLock):
        sys.stderr.write(f"fresco: {printable(str(one))}\n")
        return True
    model = one.model
    if options.check:
        what = f"the digest of {model.key}: expected {one.digest}, found {model.digest or 'none'}"
        out.write(f"{printable(model.place)}: {what}\n")
    elif not options.quiet:
        out.write(f"{printable(model.file)}:{model.line}: {model.key} {one.digest}\n")
    return bool(options.check)
