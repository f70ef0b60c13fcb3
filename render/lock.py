"""`fresco lock`: computes digests of models, and compares them with files or writes them there. I/O: files, storage.

Of a human's file only the bytes of the digests change: places come from the parser, and the text is spliced there.
Before it is written the result is read again, by two readers, and has to say what the old text said, with the digests.
"""

import asyncio
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from render.document import Place, Places
from render.errors import ExitCode, FrescoError
from render.files import is_folder
from render.load import every_places, is_yaml, load_file, read_by_another
from render.repository import WorkingTree
from render.resource import DEPLOYMENT, Resource, identify
from render.write import replace_if_same
from schemas.resources import Deployment

if TYPE_CHECKING:
    from agent.storage import Watch

_MODEL = ("spec", "model")
_NEAR = 100  # characters between a key and its value, at most
_LINE_END = re.compile(r"\r\n|\n|\r|$")

Digester = Callable[[str], str]


class CannotLock(FrescoError):
    """A digest cannot be computed, or has no place in the file."""

    exit_code = ExitCode.FINDINGS


@dataclass(frozen=True, slots=True)
class Model:
    """A Deployment's model. `line` and `column`: of its digest, or of the address that one belongs to."""

    file: str
    line: int
    column: int
    key: str
    uri: str
    digest: str | None
    index: int
    places: Places

    @property
    def place(self) -> str:
        """`file:line:column`."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Computed:
    """The digest that a model's artifact has."""

    model: Model
    digest: str


class Edit(NamedTuple):
    """`text` in the place of the characters from `start` to `end`, a mark for the byte order not counted."""

    start: int
    end: int
    text: str


def storage_digest(uri: str, follow: "Callable[[str], AbstractContextManager[Watch]]") -> str:
    """The digest of the artifact at `uri`, which is downloaded for it. Raises CannotLock.

    `follow(name)` follows the download; the name is the address without what may be secret.
    """
    from agent.storage import StorageError, public

    try:
        with follow(public(uri)) as watch:
            return asyncio.run(_until_told(uri, watch))
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error
    except ImportError as error:
        raise CannotLock(f"{error.name} is missing: pip install 'fresco[lock]'") from error
    except StorageError as error:
        raise CannotLock(str(error)) from error


async def _until_told(uri: str, watch: "Watch") -> str:
    """As `digest_of`. A terminal that is closed, or a pipeline that is cancelled, leaves no download behind. What
    whoever started us wants ignored, as `nohup` does, stays ignored."""
    from agent.storage.digest_of import digest_of

    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            continue
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await digest_of(uri, watch)


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files that `paths` name: themselves, or all YAML files below a folder. Raises NotFound, and OSError for a
    folder that cannot be listed."""
    for path in paths:
        if path.is_dir():
            tree = WorkingTree(path)
            names = [name for name in tree.paths() if is_yaml(name)]
            for folder in filter(is_folder, names):
                tree.read(folder)  # which says why it cannot be
            yield from map(tree.real, names)
        else:
            yield path


def check(path: Path, digester: Digester) -> Iterator[Computed | CannotLock]:
    """The models of a file whose digest is another one, or none, and those that cannot be told. Raises OSError."""
    for one in _computed(str(path), path.read_bytes(), digester, again=True):
        if isinstance(one, CannotLock) or one.digest != one.model.digest:
            yield one


def lock(path: Path, digester: Digester, *, again: bool) -> Iterator[Computed | CannotLock]:
    """Locks one file, and gives what was written and what could not be. Raises OSError.

    It is written once, when all that can be computed for it is. `again`: computes digests that are there, too.
    """
    before = path.read_bytes()
    after, results = locked(str(path), before, digester, again=again)
    if after != before and not replace_if_same(path, before, after):
        yield CannotLock(f"{path}: it was changed in the meantime: run fresco lock again")
        return
    yield from results


def locked(file: str, content: bytes, digester: Digester, *, again: bool) -> tuple[bytes, list[Computed | CannotLock]]:
    """The `content` of a file with its digests, what was written into it, and what could not be."""
    text = content.decode("utf-8-sig", "replace")  # what is no UTF-8 has no models
    edits: list[Edit] = []
    done: list[Computed] = []
    failed: list[CannotLock] = []
    for one in _computed(file, content, digester, again=again):
        if isinstance(one, CannotLock):
            failed.append(one)
        elif one.digest != one.model.digest:
            edit = _edit(text, one)
            if isinstance(edit, CannotLock):
                failed.append(edit)
            else:
                edits.append(edit)
                done.append(one)
    try:
        return _spliced(file, content, edits, {one.model.index: one.digest for one in done}), [*done, *failed]
    except CannotLock as error:
        return content, [*failed, CannotLock(f"{done[0].model.place}: {error}")]


def _computed(file: str, content: bytes, digester: Digester, *, again: bool) -> Iterator[Computed | CannotLock]:
    for one in _models(file, content, again=again):
        if isinstance(one, CannotLock):
            yield one
            continue
        try:
            yield Computed(one, digester(one.uri))
        except CannotLock as error:
            yield CannotLock(f"{one.place}: {error}")


def _models(file: str, content: bytes, *, again: bool) -> Iterator[Model | CannotLock]:
    """Those without a digest, or all. Their places are looked for only in a file that has some."""
    loaded = load_file(file, content)
    for finding in loaded.findings:
        yield CannotLock(f"{finding.file}:{finding.line}:{finding.column}: {finding.message}")
    found = {one.index: identify(one) for one in loaded.documents if not one.is_theirs}  # theirs have no place for one
    wanted = {index: one for index, one in found.items() if isinstance(one, Resource) and _is_wanted(one, again=again)}
    for index, places in enumerate(every_places(content) if wanted else ()):
        if index in wanted:
            yield _model(wanted[index], index, places)


def _is_wanted(resource: Resource, *, again: bool) -> bool:
    is_locked = isinstance(resource.spec, Deployment) and resource.spec.spec.model.digest is not None
    return resource.kind == DEPLOYMENT and (again or not is_locked)


def _model(resource: Resource, index: int, places: Places) -> Model | CannotLock:
    if not isinstance(resource.spec, Deployment):
        return CannotLock(f"{resource.source}: {resource.key} is not valid, so it gets no digest: run fresco validate")
    model = resource.spec.spec.model
    uri, digest = (places.exactly((*_MODEL, name)) for name in ("uri", "digest"))
    at = digest.value if digest is not None else uri.key if uri is not None else places.at(_MODEL).value
    return Model(resource.document.file, at.line, at.column, resource.key, model.uri, model.digest, index, places)


def _edit(text: str, one: Computed) -> Edit | CannotLock:
    """What writes the digest down, or why it has no place."""
    places = one.model.places
    model, uri = places.exactly(_MODEL), places.exactly((*_MODEL, "uri"))
    if model is None or uri is None:
        return CannotLock(f"{one.model.place}: the model is written by an alias: write the digest by hand")
    is_json = model.is_flow and _is_json(text, uri)
    there = places.exactly((*_MODEL, "digest"))
    if there is not None:
        return _filled(text, there, one.digest, is_json=is_json)
    if model.is_flow:
        added = f'"digest": "{one.digest}"' if is_json else f"digest: {one.digest}"
        return Edit(uri.span[1], uri.span[1], f", {added}")
    if _line_end(text, uri.span[0]).start() < uri.span[1]:
        return CannotLock(f"{one.model.place}: write the address on one line, or the digest by hand")
    return _added(text, uri, one.digest)


def _is_json(text: str, uri: Place) -> bool:
    """Whether key and address are in double quotes, as all text is in JSON, which shall stay JSON."""
    start = uri.span[0]
    return text[start] == '"' and text[max(0, start - _NEAR) : start].rstrip(": \t\r\n").endswith('"uri"')


def _filled(text: str, there: Place, digest: str, *, is_json: bool) -> Edit:
    """The key is there, with another digest, whose quotes stay, or with nothing or a word for nothing as its value."""
    start, end = there.span
    quote = text[start:end][:1] if text[start:end].startswith(("'", '"')) else '"' if is_json else ""
    gap = "" if text[start - 1].isspace() or (quote and end > start) else " "
    return Edit(start, end, f"{gap}{quote}{digest}{quote}")


def _added(text: str, uri: Place, digest: str) -> Edit:
    """The key gets a line behind the address, which ends as lines do here."""
    end = _line_end(text, uri.span[1])
    above = text.rfind("\n", 0, uri.span[0])
    newline = end.group() or ("\r\n" if text[max(0, above - 1) : above] == "\r" else "\n")
    return Edit(end.start(), end.start(), f"{newline}{' ' * (uri.key.column - 1)}digest: {digest}")


def _line_end(text: str, start: int) -> re.Match[str]:
    found = _LINE_END.search(text, start)
    assert found is not None  # the end of the text is one, too
    return found


def _spliced(file: str, content: bytes, edits: list[Edit], digests: Mapping[int, str]) -> bytes:
    """`content` with the `edits`, which stand in the order of the text and write the `digests`, by document.

    Raises CannotLock unless two readers of YAML see the digests in it, and nothing else that differs.
    """
    if not edits:
        return content
    text = content.decode()
    mark = text[: len(text) - len(content.decode("utf-8-sig"))]
    parts, done = [mark], len(mark)
    for edit in edits:
        parts += [text[done : edit.start + len(mark)], edit.text]
        done = edit.end + len(mark)
    after = "".join([*parts, text[done:]]).encode()
    _check(file, content, after, digests)
    return after


def _check(file: str, before: bytes, after: bytes, digests: Mapping[int, str]) -> None:
    ours = [{one.index: one.value for one in load_file(file, content).documents} for content in (before, after)]
    try:
        others = [dict(enumerate(read_by_another(content))) for content in (before, after)]
    except ValueError as error:
        raise CannotLock(f"not every program can read this file, write its digests by hand: {error}") from error
    if any(_with_digests(old, digests) != new for old, new in (ours, others)):
        raise CannotLock("the digests cannot be written without changing more: write them by hand")


def _with_digests(documents: dict[int, Any], digests: Mapping[int, str]) -> dict[int, Any]:
    changed = deepcopy(documents)
    for index, digest in digests.items():
        model = changed.get(index)
        for name in _MODEL:
            model = model.get(name) if isinstance(model, dict) else None
        if isinstance(model, dict):
            model["digest"] = digest
    return changed
