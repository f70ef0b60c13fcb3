"""`fresco convert`: Michelangelo's resources rewritten as Fresco's own, and the proof that they mean the same. Pure.

Only the lines of a document that is converted change. Its comments go to the fields that took the place of those that
they stood at; the order of the fields is that of Fresco's form.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from render.comments import Remark, gather, last_line, put
from render.compat.fields import WRITTEN, origin_of_annotation
from render.compat.words import PREFIX
from render.document import Document, Loaded, LoadedFile, Path
from render.emit import emit
from render.errors import ExitCode, FrescoError
from render.load import comments, load_file
from render.normal import Kept, Wanted, WantedDeployment, WantedServer, accept
from render.resource import written_at
from schemas.resources import RepositorySpec

_BORDER: Final = re.compile(r"(---|\.\.\.)(\s|$)")
_ODD_BREAK: Final = re.compile("\r(?!\n)|[\x85\u2028\u2029]")  # YAML 1.1 counts lines by these too
_ALIKE: Final = ("apiVersion", "kind", "metadata")


class CannotConvert(FrescoError):
    """A document has to be converted by hand, or to be mended first."""

    exit_code = ExitCode.FINDINGS


def converted(content: bytes, document: Document, value: Mapping[str, Any]) -> bytes:
    """`content` with `value`, which is in Fresco's form, in place of `document`, which is read from it.

    Raises CannotConvert where more would change than that.
    """
    text = content.decode("utf-8-sig")
    mark = content[: len(content) - len(text.encode())]
    lines = text.split("\n")
    if document.places().at(()).value.column != 1:
        raise CannotConvert("the document does not begin a line: put it below its ---")
    if _ODD_BREAK.search(text):
        raise CannotConvert("some line ends otherwise than with a line feed: convert it by hand")
    last = _last_line(text, lines, document)
    ending = "\r" if lines[document.line - 1].endswith("\r") else ""
    own = [one for one in comments(content) if document.line <= one.at.line <= last]
    made = _written(document, value, gather(text, own, document.places()))
    lines[document.line - 1 : last] = [f"{line}{ending}" for line in made]
    after = mark + "\n".join(lines).encode()
    _check(content, after, document, value)
    return after


def replaced(loaded: Loaded, changed: Mapping[str, bytes]) -> Loaded:
    """`loaded` with the files of `changed`, by path, as they would be read."""
    files: dict[str, LoadedFile] = {**loaded.files, **{path: load_file(path, one) for path, one in changed.items()}}
    return Loaded({path: files[path] for path in sorted(files)})


def prove(before: Loaded, after: Loaded, spec: RepositorySpec) -> None:
    """Raises CannotConvert unless every cluster of `spec` wants the same of both, but for where it is written."""
    for cluster in spec.clusters:
        old, new = (_meaning(accept(loaded, cluster.name, None)) for loaded in (before, after))
        differing = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        if differing:
            raise CannotConvert(f"{differing[0]} would not mean the same in {cluster.name}: nothing is converted")


def _meaning(wanted: Wanted) -> dict[str, object]:
    """What is wanted, by kind and name, without findings and places, which differ as the files do."""
    return {
        "fresco.yaml": msgspec.structs.replace(wanted.repository, findings=()),
        **{f"InferenceServer {key}": _accepted(one) for key, one in wanted.servers.items()},
        **{f"Deployment {key}": _accepted(one) for key, one in wanted.deployments.items()},
    }


def _accepted(one: WantedServer | WantedDeployment | Kept) -> object:
    return "kept" if isinstance(one, Kept) else replace(one, source="", findings=())


def _last_line(text: str, lines: list[str], document: Document) -> int:
    """The last line of `document`, from 1; blank lines and comments behind its last value stay where they are."""
    last, floor = document.line, last_line(text, document.places())
    while last < len(lines) and not _BORDER.match(lines[last]):
        last += 1
    while last > floor and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
        last -= 1
    return last


def _written(document: Document, value: Mapping[str, Any], remarks: Iterable[Remark]) -> list[str]:
    text = emit(value)
    places = load_file(document.file, text).documents[0].places()
    moved = _moved(remarks, [path for path, _ in places.items()], document.value["kind"])
    return put(text.decode().removesuffix("\n").split("\n"), places, moved)


def _moved(remarks: Iterable[Remark], paths: Iterable[Path], kind: str) -> Iterator[Remark]:
    """`remarks` at those of `paths`, in Fresco's form, that took the place of theirs: at the very field, else at the
    first that came from below it, else from below what it was part of."""
    exactly: dict[Path, Path] = {}
    below: dict[Path, Path] = {}
    for path in sorted(paths, key=_is_annotation):
        origin = _origin(path, kind)
        exactly.setdefault(origin, path)
        for end in range(len(origin) + 1):
            below.setdefault(origin[:end], path)
    for remark in remarks:
        wanted = remark.path
        while wanted not in below:
            wanted = wanted[:-1]
        is_trailing = remark.is_trailing and remark.path in exactly
        yield Remark(exactly.get(wanted, below[wanted]), remark.text, is_trailing)


def _is_annotation(path: Path) -> bool:
    return path[:2] == ("metadata", "annotations") and len(path) > 2


def _origin(path: Path, kind: str) -> Path:
    """Where in Michelangelo's form `path` of Fresco's comes from."""
    if _is_annotation(path):
        _, prefix, name = str(path[2]).rpartition(PREFIX)
        return origin_of_annotation(name) or path if prefix else path
    return path if not path or path[0] in _ALIKE else written_at(WRITTEN[kind], path)


def _check(before: bytes, after: bytes, document: Document, value: Mapping[str, Any]) -> None:
    """Raises CannotConvert unless `after` says what `before` says, but for `document`, which says `value`."""
    old, new = ([one.value for one in load_file(document.file, content).documents] for content in (before, after))
    places = [one.index for one in load_file(document.file, before).documents]
    old[places.index(document.index)] = msgspec.to_builtins(value)
    if old != new:
        raise CannotConvert("the document cannot be told apart from the rest of the file: convert it by hand")
