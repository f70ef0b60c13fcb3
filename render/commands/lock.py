"""`fresco lock`: digests of models, into the files or compared with them. I/O: files, storage, the standard streams."""

import argparse
import shlex
import sys
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Final, TextIO

from render.addresses import public
from render.characters import printable
from render.errors import ExitCode
from render.lock import CannotLock, Computed, Digester, check, files, lock, locked, storage_digest
from render.lock_revisions import Dropped, NotAdded, check_revisions, lock_revisions, unlocked
from render.progress import following
from render.root import shown_from

EXAMPLES = """\
examples:
  fresco lock fraud/deployments/scorer.yaml  # write down the digest of its model
  fresco lock                                # those of all models here that have none
  fresco lock --update fraud                 # those of a folder again, where an address has changed
  fresco lock --check                        # compare all of them with what is there now, write nothing
  fresco lock - < draft.yaml > scorer.yaml   # as a filter
"""

_STDIN: Final = Path("-")
_NAME: Final = "<stdin>"
_Result = Computed | Dropped | NotAdded | CannotLock


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
    failed = [_say(one, options, sys.stdout) for one in _results(options, digester)]
    return ExitCode.FINDINGS if any(failed) else ExitCode.FINE


def _results(options: argparse.Namespace, digester: Digester) -> Iterator[_Result]:
    asked = options.paths or [options.directory]
    paths = list(files(asked))
    for path in paths:
        yield from check(path, digester) if options.check else lock(path, digester, again=options.update)
    if options.check:
        yield from check_revisions(paths, digester)
    else:
        whole = [one.resolve() for one in asked if one.is_dir()]
        yield from lock_revisions(paths, digester, again=options.update, whole=whole)


def _filter(options: argparse.Namespace, digester: Digester) -> ExitCode:
    """What is printed is the file alone, so that what was done to it goes to standard error."""
    content = sys.stdin.buffer.read()
    after, results = locked(_NAME, content, digester, again=options.update or options.check)
    if not options.check:
        sys.stdout.buffer.write(after)
    out = sys.stdout if options.check else sys.stderr
    failed = [_say(one, options, out) for one in (*results, *unlocked(_NAME, content))]
    return ExitCode.FINDINGS if any(failed) else ExitCode.FINE


def _say(one: _Result, options: argparse.Namespace, out: TextIO) -> bool:
    """Prints one result, and tells whether it is a failure.

    A lock file that git does not know is one, because a hook that ends with 0 lets the commit go on without it.
    """
    if isinstance(one, NotAdded):
        file = _shown(one.file)
        one = CannotLock(f"{file} is not in git, and a commit would leave it out: git add {shlex.quote(file)}")
    if isinstance(one, CannotLock):
        sys.stderr.write(f"fresco: {printable(str(one))}\n")
        return True
    if isinstance(one, Dropped):
        if not options.quiet:
            out.write(f"{printable(f'{_shown(one.file)}: dropped {public(one.address)}')}, which nothing asks for\n")
        return False
    model = one.model
    if options.check:
        what = f"the digest of {model.key}: expected {one.digest}, found {model.digest or 'none'}"
        out.write(f"{printable(model.place)}: {what}\n")
    elif not options.quiet:
        out.write(f"{printable(model.file)}:{model.line}: {model.key} {one.digest}\n")
    return bool(options.check)


def _shown(file: Path) -> str:
    return shown_from(Path(), file.parent) + file.name
