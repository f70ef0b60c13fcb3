"""`fresco convert`: Michelangelo's resources as Fresco's own. I/O: files, standard output and error."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from render import compat, report, top
from render.characters import printable
from render.compat import OwnForm
from render.convert import CannotConvert, Edit, Source, converted, edit, prove, replaced, source
from render.document import Document, Loaded
from render.errors import ExitCode
from render.load import load, load_file
from render.lock import files
from render.repository import WorkingTree
from render.root import root_of
from render.write import replace_if_same
from schemas.resources import RepositorySpec
from schemas.status import Finding

EXAMPLES = """\
examples:
  fresco convert --stdout fraud/scorer.yaml   # what it would be
  fresco convert                              # rewrite all of Michelangelo's resources here
"""


class _Repository(NamedTuple):
    """A repository as it was read: its folder, its settings, its files, and digests by address."""

    folder: Path
    spec: RepositorySpec
    loaded: Loaded
    digests: Mapping[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders (default: DIR)")
    parser.add_argument(
        "-C", dest="directory", type=Path, default=Path(), metavar="DIR", help="the repository (default: here)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what is wrong")
    parser.add_argument("--stdout", action="store_true", help="print the files, and write none")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    left: list[CannotConvert] = []
    by_root: dict[Path, list[Path]] = {}
    named = {path.resolve(): path for path in files(options.paths or [options.directory])}
    for path in named.values():
        file = load_file(str(path), path.read_bytes())
        left += [CannotConvert(report.line(finding)) for finding in file.findings]
        if any(one.is_theirs for one in file.documents):
            by_root.setdefault(root_of(path), []).append(path)
    for folder, paths in by_root.items():
        for path, before, after in _convert(folder, paths, left):
            if options.stdout:
                sys.stdout.write(f"---\n# {printable(str(path))}\n{after.decode('utf-8-sig')}")
            elif not replace_if_same(path, before, after):
                left.append(CannotConvert(f"{path}: it was changed in the meantime: run fresco convert again"))
            elif not options.quiet:
                sys.stdout.write(f"{printable(str(path))}: converted\n")
    for one in left:
        sys.stderr.write(f"fresco: {printable(str(one))}\n")
    return ExitCode.FINDINGS if left else ExitCode.FINE


def _convert(folder: Path, paths: Iterable[Path], left: list[CannotConvert]) -> list[tuple[Path, bytes, bytes]]:
    """Those of `paths`, files of the repository in `folder`, that change, with what they say before and after. `left`
    gets a line for each document that cannot be converted.

    Raises CannotConvert when it would not mean the same.
    """
    spec = top.spec(folder)
    if spec is None:
        raise CannotConvert(f"{folder / 'fresco.yaml'} is missing or broken: `fresco validate` says how")
    repository = _Repository(folder, spec, load(WorkingTree(folder)), top.digests(folder).by_address)
    changed: list[tuple[Path, bytes, bytes]] = []
    for path in paths:
        before = path.read_bytes()
        after = _converted(path, before, repository, left)
        if after != before:
            changed.append((path, before, after))
    names = {path.resolve().relative_to(folder).as_posix(): after for path, _, after in changed}
    prove(repository.loaded, replaced(repository.loaded, names), spec)
    return changed


def _converted(path: Path, content: bytes, repository: _Repository, left: list[CannotConvert]) -> bytes:
    """`content`, each document converted that can be; for the others, or for the file, `left` gets a line."""
    try:
        of = source(content)
        done = list(_edits(path, of, repository, left))
        after = converted(of, [one for one, _ in done])
    except CannotConvert as error:
        left.append(CannotConvert(f"{path}: {error}"))
        return content
    for _, form in done:
        _tell(form)
    return after


def _edits(
    path: Path, of: Source, repository: _Repository, left: list[CannotConvert]
) -> Iterator[tuple[Edit, OwnForm]]:
    for document in load_file(str(path), of.content).documents:
        if document.is_theirs:
            try:
                form = _form(document, repository.spec)
                one = edit(of, document, _value(form, repository.digests))
            except CannotConvert as error:
                left.append(CannotConvert(f"{path}:{document.line}: {error}"))
            else:
                yield one, form


def _form(document: Document, spec: RepositorySpec) -> OwnForm:
    """Raises CannotConvert for what has errors, or is deleted."""
    form = compat.read(document, spec.michelangelo)
    if isinstance(form, Finding):
        raise CannotConvert(form.message)
    if form.is_deleted:
        raise CannotConvert("it is deleted: remove it from the file")
    for finding in form.findings:
        if finding.severity == "error":
            raise CannotConvert(f"{finding.message} ({finding.hint})" if finding.hint else finding.message)
    return form


def _value(form: OwnForm, digests: Mapping[str, str]) -> Mapping[str, Any]:
    assert form.value is not None  # without findings there is one
    digest = digests.get(form.address) if form.address is not None else None
    return compat.with_digest(form.value, digest) if digest is not None else form.value


def _tell(form: OwnForm) -> None:
    """Fields that were not honoured, and that Fresco's form has no place for."""
    for finding in form.findings:
        sys.stderr.write(f"{report.line(finding)}\n")
