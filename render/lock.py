"""`fresco lock`: computes the digests of models that have none and writes them into the files. I/O: files, storage.

Of a human's file only the bytes of the digest change: places come from the parser, and the text is spliced there.
Before it is written the result is read again, by two readers, and has to say what the old text said, with the digest.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from render.document import Document, Place
from render.errors import ExitCode, FrescoError
from render.load import is_yaml, load_file, read_by_another
from render.repository import WorkingTree
from render.resource import Resource, identify
from schemas.resources import Deployment

_MODEL = ("spec", "model")

Digester = Callable[[str], str]


class CannotLock(FrescoError):
    """A digest cannot be computed, or has no place in the file."""

    exit_code = ExitCode.FINDINGS


@dataclass(frozen=True, slots=True)
class Locked:
    """A digest that was written, and where."""

    file: Path
    line: int
    key: str
    digest: str


def storage_digest(uri: str) -> str:
    """The digest of the artifact at `uri`, which is downloaded for it. Raises CannotLock."""
    try:
        from agent.storage import StorageError
        from agent.storage.digest_of import digest_of
    except ImportError as error:
        raise CannotLock(f"{error.name} is missing: pip install 'fresco[lock]'") from error
    try:
        return asyncio.run(digest_of(uri))
    except StorageError as error:
        raise CannotLock(str(error)) from error


def lock(paths: Iterable[Path], digester: Digester) -> Iterator[Locked | CannotLock]:
    """Locks all files of `paths`, which are files or folders; gives what was written and what could not be.

    A file is written once, when all that can be computed for it is. Raises OSError and NotFound.
    """
    for path in files_of(paths):
        yield from _lock_file(path, digester)


def splice(content: bytes, document: Document, digest: str) -> bytes:
    """`content` with `digest` written into the model of `document`, and no other byte changed. Raises CannotLock."""
    places = document.places()
    model, uri = places.exactly(_MODEL), places.exactly((*_MODEL, "uri"))
    if model is None or uri is None:
        raise CannotLock(f"{document.file}:{document.line}: the model is written by an alias: write the digest by hand")
    text = content.decode("utf-8")
    shift = 1 if text.startswith("\ufeff") else 0
    empty = places.exactly((*_MODEL, "digest"))
    text = _filled(text, empty, shift, digest) if empty is not None else _added(text, model, uri, shift, digest)
    _check(document, content, text.encode(), digest)
    return text.encode()


def files_of(paths: Iterable[Path]) -> Iterator[Path]:
    """The files of `paths`, which are files or folders. Raises NotFound."""
    for path in paths:
        if path.is_dir():
            yield from (path / name for name in WorkingTree(path).paths() if is_yaml(name))
        else:
            yield path


def _lock_file(path: Path, digester: Digester) -> Iterator[Locked | CannotLock]:
    before = content = path.read_bytes()
    loaded = load_file(str(path), content)
    for finding in loaded.findings:
        yield CannotLock(f"{finding.file}:{finding.line}:{finding.column}: {finding.message}")
    for index in range(len(loaded.documents)):
        document = load_file(str(path), content).documents[index]
        if document.is_theirs:
            continue  # it has no place for a digest
        resource = identify(document)
        uri = _unlocked(resource)
        if isinstance(resource, Resource) and uri is not None:
            try:
                digest = digester(uri)
                content = splice(content, document, digest)
            except CannotLock as error:
                yield CannotLock(f"{resource.source}: {error}")
            else:
                yield Locked(path, document.line, resource.key, digest)
    if content != before:
        path.write_bytes(content)


def _unlocked(resource: object) -> str | None:
    spec = resource.spec if isinstance(resource, Resource) else None
    return spec.spec.model.uri if isinstance(spec, Deployment) and spec.spec.model.digest is None else None


def _filled(text: str, empty: Place, shift: int, digest: str) -> str:
    """The key is there and has nothing, or a word for nothing, as its value."""
    start, end = (one + shift for one in empty.span)
    gap = "" if text[start - 1].isspace() else " "
    return text[:start] + gap + digest + text[end:]


def _added(text: str, model: Place, uri: Place, shift: int, digest: str) -> str:
    """The key goes behind the address, in the same style."""
    end = uri.span[1] + shift
    if model.is_flow:
        return f"{text[:end]}, digest: {digest}{text[end:]}"
    if "\n" in text[uri.span[0] + shift : end]:
        raise CannotLock("write the address on one line, or the digest by hand")
    line_end = text.find("\n", end)
    stop = len(text) if line_end == -1 else line_end
    newline = "\r\n" if text[:stop].endswith("\r") else "\n"
    stop -= len(newline) - 1
    return f"{text[:stop]}{newline}{' ' * (uri.key.column - 1)}digest: {digest}{text[stop:]}"


def _check(document: Document, before: bytes, after: bytes, digest: str) -> None:
    """Raises CannotLock unless two readers of YAML see the digest in `after`, and nothing else that differs."""
    expected = deepcopy(document.value)
    expected["spec"]["model"]["digest"] = digest
    ours = [one.value for one in load_file(document.file, after).documents if one.index == document.index]
    try:
        same = read_by_another(after) == _with_digest(read_by_another(before), document.index, digest)
    except ValueError as error:
        raise CannotLock(f"not every program can read this file, write the digest by hand: {error}") from error
    if ours != [expected] or not same:
        raise CannotLock("the digest cannot be written without changing more: write it by hand")


def _with_digest(documents: list[Any], index: int, digest: str) -> list[Any]:
    documents[index]["spec"]["model"]["digest"] = digest
    return documents
