"""`fresco lock` where the address comes from `fresco.yaml`: digests into `fresco.lock`. I/O: files, storage."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from render import compat, top
from render.compat import OwnForm
from render.document import Document
from render.emit import emit
from render.load import load_file
from render.lock import CannotLock, Digester, Locked, files_of
from render.root import root_of
from schemas import API_VERSION
from schemas.lockfile import FILE_NAME, LockFile

_HEAD: Final = b"# Digests of artifacts by address: `fresco lock` writes this file.\n"


def lock_revisions(paths: Iterable[Path], digester: Digester) -> Iterator[Locked | CannotLock]:
    """Locks the revisions that files of `paths`, which are files or folders, name; gives what was written, and what
    could not be.

    The `fresco.lock` of each repository is written once, and what it says of other addresses stays. Raises OSError and
    NotFound.
    """
    by_root: dict[Path, list[tuple[Path, Document]]] = {}
    for path in files_of(paths):
        for document in load_file(str(path), path.read_bytes()).documents:
            if document.is_theirs:
                by_root.setdefault(root_of(path), []).append((path, document))
    for folder, documents in by_root.items():
        yield from _lock_in(folder, documents, digester)


def _lock_in(folder: Path, documents: list[tuple[Path, Document]], digester: Digester) -> Iterator[Locked | CannotLock]:
    spec, known = top.spec(folder), top.digests(folder)
    if spec is None or known.findings:
        broken = "fresco.yaml" if spec is None else FILE_NAME
        yield CannotLock(f"{folder / broken} is missing or broken: `fresco validate` says how")
        return
    written = dict(known.by_address)
    for path, document in documents:
        form = compat.read(document, spec.michelangelo)
        if isinstance(form, OwnForm) and form.address is not None and form.address not in written:
            try:
                written[form.address] = digester(form.address)
            except CannotLock as error:
                yield CannotLock(f"{path}:{document.line}: {error}")
            else:
                yield Locked(path, document.line, form.key, written[form.address])
    if written != known.by_address:
        (folder / FILE_NAME).write_bytes(_content(written))


def _content(by_address: Mapping[str, str]) -> bytes:
    """The file that says this, addresses in order."""
    digests = {address: by_address[address] for address in sorted(by_address)}
    return _HEAD + emit(msgspec.to_builtins(LockFile(api_version=API_VERSION, kind="Lock", digests=digests)))
