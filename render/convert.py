"""`fresco convert`: Michelangelo's resources rewritten as Fresco's own, and the proof that they mean the same. Pure.

Only the lines of a document that is converted change. Its comments go to the fields that took the place of those that
they stood at; the order of the fields is that of Fresco's form.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import msgspec

from render.comments import Remark, gather, last_line, put
from render.compat.fields import WRITTEN, origin_of_annotation
from render.compat.words import PREFIX
from render.document import Comment, Document, Loaded, LoadedFile, Path
from render.emit import emit
from render.errors import ExitCode, FrescoError
from render.load import comments, every_places, load_file
from render.normal import Kept, Wanted, WantedDeployment, WantedServer, accept
from render.resource import written_at
from schemas.resources import RepositorySpec

_BORDER: Final = re.compile(r"(---|\.\.\.)(\s|$)")
_ODD_BREAK: Final = re.compile("\r(?!\n)|[\x85\u2028\u2029]")  # YAML 1.1 counts lines by these too
_ALIKE: Final = ("apiVersion", "kind", "metadata")


class CannotConvert(FrescoError):
    """A document has to be converted by hand, or to be mended first."""

    exit_code = ExitCode.FINDINGS


@dataclass(frozen=True, slots=True)
class Source:
    """A file, taken apart once for all of its documents. `mark`: for its byte order. `text`: without that; `lines`: of
    the text; `comments`: in their order."""

    content: bytes
    mark: bytes
    text: str
    lines: list[str]
    comments: list[Comment]


class Edit(NamedTuple):
    """`lines` in place of those from `first` to `last`, counted from 1, which are `document` and then say `value`."""

    document: Document
    value: Mapping[str, Any]
    first: int
    last: int
    lines: list[str]


def source(content: bytes) -> Source:
    """`content`, which `load_file` can read, taken apart. Raises CannotConvert where its lines cannot be counted."""
    text = content.decode("utf-8-sig")
    if _ODD_BREAK.search(text):
        raise CannotConvert("some line ends otherwise than with a line feed: convert it by hand")
    mark = content[: len(content) - len(text.encode())]
    return Source(content, mark, text, text.split("\n"), comments(content))


def edit(of: Source, document: Document, value: Mapping[str, Any]) -> Edit:
    """What puts `value`, which is in Fresco's form, in place of `document`, which is read from the file `of`.

    Raises CannotConvert where the document's lines are not its own.
    """
    if document.places().at(()).value.column != 1:
        raise CannotConvert("the document does not begin a line: put it below its ---")
    last = _last_line(of, document)
    begin = bisect_left(of.comments, document.line, key=_line)
    own = of.comments[begin : bisect_right(of.comments, last, lo=begin, key=_line)]
    made = _written(document, value, gather(of.text, own, document.places()))
    return Edit(document, value, document.line, last, _ended(made, of, document.line, last))


def converted(of: Source, edits: Sequence[Edit]) -> bytes:
    """The file with all `edits`, which stand in its order. Raises CannotConvert where more would change than that."""
    lines: list[str] = []
    done = 0
    for one in edits:
        lines += [*of.lines[done : one.first - 1], *one.lines]
        done = one.last
    after = of.mark + "\n".join([*lines, *of.lines[done:]]).encode()
    _check(of.content, after, edits)
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


def _ended(made: Sequence[str], of: Source, first: int, last: int) -> list[str]:
    """The lines `made` in place of those from `first` to `last`, with carriage returns where these have them. The last
    line of a file has no end, so that the one before it tells."""
    pattern = of.lines[first - 1 if first < len(of.lines) else max(first - 2, 0)]
    inner, end = ("\r" if line.endswith("\r") else "" for line in (pattern, of.lines[last - 1]))
    return [*(f"{line}{inner}" for line in made[:-1]), f"{made[-1]}{end}"]


def _line(comment: Comment) -> int:
    return comment.at.line


def _last_line(of: Source, document: Document) -> int:
    """The last line of `document`, from 1; blank lines and comments behind its last value stay where they are."""
    lines, last, floor = of.lines, document.line, last_line(of.text, document.places())
    while last < len(lines) and not _BORDER.match(lines[last]):
        last += 1
    while last > floor and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
        last -= 1
    return last


def _written(document: Document, value: Mapping[str, Any], remarks: Iterable[Remark]) -> list[str]:
    text = emit(value)
    places = next(every_places(text))
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


def _check(before: bytes, after: bytes, edits: Sequence[Edit]) -> None:
    """Raises CannotConvert unless `after` says what `before` says, but for the documents of the `edits`."""
    if not edits:
        return
    file = edits[0].document.file
    old, new = ({one.index: one.value for one in load_file(file, content).documents} for content in (before, after))
    old |= {one.document.index: msgspec.to_builtins(one.value) for one in edits}
    if old != new:
        raise CannotConvert("its documents cannot be told apart: convert it by hand")
