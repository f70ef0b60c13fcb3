"""`fresco lock` where the address comes from `fresco.yaml`: digests into `fresco.lock`. I/O: files, storage."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from render import compat, top
from render.compat import OwnForm
from render.document import Document, Places
from render.emit import emit
from render.load import load, load_file
from render.lock import CannotLock, Computed, Digester, Model
from render.repository import WorkingTree, is_added
from render.resource import DEPLOYMENT
from render.root import root_of
from render.write import replace_file
from schemas import API_VERSION
from schemas.lockfile import FILE_NAME, LockFile
from schemas.status import Finding


@dataclass(frozen=True, slots=True)
class Dropped:
    """An address that nothing asks for any more, and the lock file that it has left."""

    file: Path
    address: str


@dataclass(frozen=True, slots=True)
class NotAdded:
    """A lock file that a commit would leave out, because git does not know it yet."""

    file: Path


_HEAD: Final = b"# Digests of artifacts by address: `fresco lock` writes this file.\n"
_NOWHERE: Final = Places({})  # in the file of the model there is no place for its digest


def check_revisions(paths: Iterable[Path], digester: Digester) -> Iterator[Computed | CannotLock]:
    """The revisions that the files `paths` name whose digest is another one, or none, and those that cannot be told.
    Raises OSError."""
    for folder, documents in _by_root(paths).items():
        for one in _computed(folder, documents, digester, again=True):
            if isinstance(one, CannotLock) or one.digest != one.model.digest:
                yield one


def lock_revisions(
    paths: Iterable[Path], digester: Digester, *, again: bool, whole: Collection[Path] = ()
) -> Iterator[Computed | Dropped | NotAdded | CannotLock]:
    """Locks the revisions that the files `paths` name; gives what was written, and what could not be.

    The `fresco.lock` of each repository is written once. When it is written, and for repositories that `whole` names,
    addresses that nothing in the repository asks for any more leave it; what other files ask for stays. `again`:
    computes digests that are there, too. Raises OSError.
    """
    by_root = _by_root(paths)
    for folder in [*by_root, *(one for one in whole if one not in by_root and _is_locked(one))]:
        file, documents = folder / FILE_NAME, by_root.get(folder, [])
        written: dict[str, str] = {}
        for one in _computed(folder, documents, digester, again=again) if documents else ():
            if isinstance(one, CannotLock):
                yield one
            elif one.digest != one.model.digest:
                written[one.model.uri] = one.digest
                yield one
        if written or folder in whole:
            yield from _write(file, written, documents)
        if documents and file.exists() and not is_added(file):
            yield NotAdded(file)


def unlocked(file: str, content: bytes) -> Iterator[CannotLock]:
    """The Deployments of theirs in `content`, which is text alone: no repository has a lock file for it."""
    for document in load_file(file, content).documents:
        form = compat.read(document, None) if document.is_theirs else None
        if isinstance(form, OwnForm) and form.kind == DEPLOYMENT and not form.is_deleted:
            why = f"the digest of {form.key} belongs into {FILE_NAME}: name the file instead of -"
            yield CannotLock(f"{file}:{document.line}: {why}")


def _is_locked(folder: Path) -> bool:
    """Whether `folder` is the root of a repository with a lock file."""
    return (folder / FILE_NAME).is_file() and root_of(folder) == folder


def _write(file: Path, written: Mapping[str, str], documents: Iterable[Document]) -> Iterator[Dropped]:
    """Adds what was `written` to the `file`, and takes out and gives what neither `documents` nor others ask for."""
    by_address = {**top.digests(file.parent).by_address, **written}
    unasked = _unasked(file.parent, by_address, documents)
    if written or unasked:
        replace_file(file, _content({one: digest for one, digest in by_address.items() if one not in unasked}))
    yield from (Dropped(file, address) for address in sorted(unasked))


def _unasked(folder: Path, addresses: Iterable[str], documents: Iterable[Document]) -> set[str]:
    """Those of `addresses` that no Deployment asks for; none where it is not certain what all of them ask for."""
    spec, loaded = top.spec(folder), load(WorkingTree(folder))
    if spec is None or loaded.unreadable:
        return set()
    asked: set[str | None] = set()
    for document in (*documents, *loaded.documents):
        form = compat.read(document, spec.michelangelo) if document.is_theirs else None
        if isinstance(form, Finding) or (form is not None and _is_unclear(form)):
            return set()
        asked.add(form.address if form is not None else None)
    return set(addresses) - asked


def _is_unclear(form: OwnForm) -> bool:
    """Whether it may be that something is asked for which cannot be told."""
    return form.kind == DEPLOYMENT and form.value is None and not form.is_deleted


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
