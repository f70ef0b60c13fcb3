"""`fresco lock` where the address comes from `fresco.yaml`: digests into `fresco.lock`. I/O: files, storage."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from render import compat, top
from render.compat import OwnForm
from render.document import Document, Places
from render.emit import emit
from render.load import load_file
from render.lock import CannotLock, Computed, Digester, Model
from render.root import root_of
from render.write import replace_file
from schemas import API_VERSION
from schemas.lockfile import FILE_NAME, LockFile

_HEAD: Final = b"# Digests of artifacts by address: `fresco lock` writes this file.\n"
_NOWHERE: Final = Places({})  # in the file of the model there is no place for its digest


def check_revisions(paths: Iterable[Path], digester: Digester) -> Iterator[Computed | CannotLock]:
    """The revisions that the files `paths` name whose digest is another one, or none, and those that cannot be told.
    Raises OSError."""
    for folder, documents in _by_root(paths).items():
        for one in _computed(folder, documents, digester, again=True):
            if isinstance(one, CannotLock) or one.digest != one.model.digest:
                yield one


def lock_revisions(paths: Iterable[Path], digester: Digester, *, again: bool) -> Iterator[Computed | CannotLock]:
    """Locks the revisions that the files `paths` name; gives what was written, and what could not be.

    The `fresco.lock` of each repository is written once, and what it says of other addresses stays. `again`: computes
    digests that are there, too. Raises OSError.
    """
    for folder, documents in _by_root(paths).items():
        written: dict[str, str] = {}
        for one in _computed(folder, documents, digester, again=again):
            if isinstance(one, CannotLock):
                yield one
            elif one.digest != one.model.digest:
                written[one.model.uri] = one.digest
                yield one
        if written:
            replace_file(folder / FILE_NAME, _content({**top.digests(folder).by_address, **written}))


def _by_root(paths: Iterable[Path]) -> dict[Path, list[Document]]:
    """The documents of theirs in the files `paths`, by the root of their repository."""
    by_root: dict[Path, list[Document]] = {}
    for path in paths:
        theirs = [one for one in load_file(str(path), path.read_bytes()).documents if one.is_theirs]
        if theirs:
            by_root.setdefault(root_of(path), []).extend(theirs)
    return by_root


def _computed(
    folder: Path, documents: list[Document], digester: Digester, *, again: bool
) -> Iterator[Computed | CannotLock]:
    spec, known = top.spec(folder), top.digests(folder)
    if spec is None or known.findings:
        broken = "fresco.yaml" if spec is None else FILE_NAME
        yield CannotLock(f"{folder / broken} is missing or broken: `fresco validate` says how")
        return
    for document in documents:
        form = compat.read(document, spec.michelangelo)
        if not isinstance(form, OwnForm) or form.address is None:
            continue
        before = known.by_address.get(form.address)
        if before is None or again:
            try:
                model = Model(document.file, document.line, 1, form.key, form.address, before, document.index, _NOWHERE)
                yield Computed(model, digester(form.address))
            except CannotLock as error:
                yield CannotLock(f"{document.file}:{document.line}: {error}")


def _content(by_address: Mapping[str, str]) -> bytes:
    """The file that says this, addresses in order."""
    digests = {address: by_address[address] for address in sorted(by_address)}
    return _HEAD + emit(msgspec.to_builtins(LockFile(api_version=API_VERSION, kind="Lock", digests=digests)))
