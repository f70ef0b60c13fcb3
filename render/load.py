"""Files to plain values with positions: the only reading of YAML. Pure, but for `load`, which reads what it is handed.

How plain scalars are read: `true` and `false` in the three spellings of YAML 1.2's core schema, `null`, `~` and nothing
as null, decimal integers and fractions as numbers. Everything that YAML 1.1, YAML 1.2 and people read differently stays
the text it is: `no`, `on`, dates, `1:30`, `014`, `0x1F`, `1_000`, `.inf`, so that no value changes its meaning unseen;
where a number was meant, the schema then says what it found.

A file is read only if it claims Fresco's apiVersion, or Michelangelo's for one of the kinds that Fresco serves. What is
wrong with it becomes a finding, and none of it is used.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import islice, pairwise
from typing import Any, NamedTuple

from yaml import MarkedYAMLError, YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from render.document import THEIR_GROUP, THEIR_KINDS, Comment, Document, Path, Place, Places, Position
from render.document import Loaded as Loaded
from render.document import LoadedFile as LoadedFile
from render.files import Files, is_folder
from render.rules import Rule
from schemas import API_VERSION, lockfile
from schemas.status import Finding

MAX_BYTES = 4 << 20  # of one file
MAX_DEPTH = 64
MAX_ALIASED = 1000  # values that aliases add to one document

_SUFFIXES = (".yaml", ".yml")
_GROUP = "serving.fresco.dev/"
_CLAIM = b"serving.fresco.dev/v"  # labels of that group name no version
_THEIR_CLAIM = f"{THEIR_GROUP}v".encode()
_WRITTEN_VERSION = re.compile(rb"""^(?:apiVersion|"apiVersion"|'apiVersion'):[ \t]+["']?([^\s"'#]+)""", re.MULTILINE)
_KINDS = ("Repository", *THEIR_KINDS, "Lock")

_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"[-+]?(\.[0-9]{1,100}|(0|[1-9][0-9]{0,99})(\.[0-9]{0,100})?)([eE][-+]?[0-9]{1,3})?")
_NUMERIC = frozenset("0123456789+-.")
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # those that the parser counts
_COMMENT = re.compile(r"(?<!\S)#")
_ONLY_COMMENT = re.compile(r"[ \t]*#")
_COLLECTION_TAGS = {
    MappingStartEvent: ("!", "tag:yaml.org,2002:map"),
    SequenceStartEvent: ("!", "tag:yaml.org,2002:seq"),
}


def load(files: Files) -> Loaded:
    """Reads every YAML file of `files`."""
    return Loaded.of({path: _load(files, path) for path in files.paths() if is_yaml(path)})


def _load(files: Files, path: str) -> LoadedFile:
    try:
        content = files.read(path)
    except OSError as error:
        return unreadable(path, error)
    return load_file(path, content)


def unreadable(path: str, error: OSError) -> LoadedFile:
    """A file that the system does not hand out may be Fresco's, and a folder may hold some, so that is a finding like
    any other."""
    what = "folder that can be listed" if is_folder(path) else "file that can be read"
    problem = _Unreadable(f"expected a {what}: {error.strerror}", Position(1, 1))
    return LoadedFile(findings=(problem.finding(path),))


def is_yaml(path: str) -> bool:
    """Whether a file's name says that it is YAML, as `fresco.lock` at the top is too. A folder among `Files.paths` may
    hold some."""
    return path.endswith(_SUFFIXES) or path == lockfile.FILE_NAME or is_folder(path)


def load_file(path: str, content: bytes) -> LoadedFile:
    """Reads one file. Equal arguments give equal results, so they may be remembered by blob id."""
    plain_content = content.replace(b"\0", b"")  # UTF-16 has NULs between its letters
    if _CLAIM not in plain_content and _THEIR_CLAIM not in plain_content and not _has_slip(plain_content):
        return LoadedFile()
    try:
        return LoadedFile(documents=_documents(path, content, _decode(content)))
    except _Unreadable as problem:
        return LoadedFile(findings=(problem.finding(path),))


class _Unreadable(Exception):
    """The file cannot be used."""

    def __init__(self, message: str, at: Position, *, rule: Rule = Rule.UNREADABLE, hint: str | None = None) -> None:
        super().__init__(message)
        self.at, self.rule, self.hint = at, rule, hint

    def finding(self, file: str) -> Finding:
        return Finding(
            file=file,
            line=self.at.line,
            column=self.at.column,
            rule=self.rule,
            message=str(self),
            hint=self.hint,
        )


def _decode(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _Unreadable(f"expected at most {MAX_BYTES} bytes in a file, got {len(content)}", Position(1, 1))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        raise _Unreadable(f"expected UTF-8, got the byte 0x{content[error.start]:02x}", _end_of(before)) from error


def _end_of(text: str) -> Position:
    lines = _LINE_END.split(text)
    return Position(len(lines), len(lines[-1]) + 1)


def _documents(path: str, content: bytes, text: str) -> tuple[Document, ...]:
    read = []
    with _Reader(text) as reader:
        for number, (start, value) in enumerate(reader.documents()):
            slip = _slip(value)
            if slip is not None:
                raise _slipped(slip, content, number)
            read.append((reader.begin, start, value, reader.has_line_ends))
    spans = pairwise([*(begin for begin, *_ in read), len(text)])
    return tuple(
        Document(
            file=path,
            index=index,
            line=start.line,
            value=value,
            text=_identity(text[begin:end], start),
            has_line_ends=has_line_ends,
            places=partial(_places, content, index),
        )
        for index, ((_, start, value, has_line_ends), (begin, end)) in enumerate(zip(read, spans, strict=True))
        if _claims(value)
    )


def _identity(text: str, start: Position) -> str:
    """Of a document's text, whose value begins in that column: 128 bits as hexadecimal digits."""
    return blake2b(f"{start.column} {text}".encode(), digest_size=16).hexdigest()


def _claims(value: Any) -> bool:
    return isinstance(value, dict) and _is_ours(value.get("apiVersion", ""), value.get("kind"))


def _is_ours(version: object, kind: object) -> bool:
    """Whether a document of this apiVersion is read: of Michelangelo's those that are of a kind that is served, or have
    one misspelt."""
    if not str(version).startswith(THEIR_GROUP):
        return str(version).startswith(_GROUP)
    return kind in THEIR_KINDS or bool(get_close_matches(str(kind), THEIR_KINDS, 1, 0.8))


def _has_slip(content: bytes) -> bool:
    """Whether the apiVersion of some document may be one that is read but for a slip of the pen."""
    return any(map(_meant, {one.decode("utf-8", "replace") for one in _WRITTEN_VERSION.findall(content)}))


@lru_cache(maxsize=1000)
def _meant(version: str) -> str | None:
    """The apiVersion that somebody meant who wrote `version`; None where that is read anyway, or is like none."""
    if version.startswith((_GROUP, THEIR_GROUP)):
        return None
    return next(iter(get_close_matches(version, (API_VERSION, f"{THEIR_GROUP}v2"), 1, 0.78)), None)


class _Slip(NamedTuple):
    """What is wrong with a document that is Fresco's but for a slip of the pen. `path`: where; `is_key`: at its key."""

    message: str
    path: Path
    is_key: bool = False
    hint: str | None = None


def _slip(value: Any) -> _Slip | None:
    """The slip for which `value` would be left alone, and would seem to be deleted."""
    items = value.get("items") if isinstance(value, dict) and value.get("kind") == "List" else value
    if isinstance(items, list) and any(_claims(item) for item in items):
        return _Slip("expected one resource in a document, found a list of them", (), hint="put --- between them")
    if not isinstance(value, dict):
        return None
    if "apiVersion" in value:
        written = value["apiVersion"]
        meant = _meant(written) if isinstance(written, str) and value.get("kind") in _KINDS else None
        return _Slip(f"expected apiVersion {meant}, found {written!r}", ("apiVersion",)) if meant is not None else None
    for key, one in value.items():
        if key.lower() == "apiversion" and _is_ours(one, value.get("kind")):
            return _Slip(f"expected apiVersion, found {key!r}", (key,), is_key=True)
    return None


def _slipped(slip: _Slip, content: bytes, number: int) -> _Unreadable:
    """`slip` in the document of that number."""
    place = next(islice(every_places(content), number, None)).at(slip.path)
    return _Unreadable(slip.message, place.key if slip.is_key else place.value, hint=slip.hint)


def values(content: bytes) -> list[Any]:
    """The documents of YAML that Fresco has written itself, such as manifests, whatever they claim."""
    with _Reader(_decode(content)) as reader:
        return [value for _, value in reader.documents()]


def lines(content: bytes) -> list[str]:
    """The lines of a file, without their ends, as positions count them. What is not UTF-8 becomes U+FFFD."""
    return _LINE_END.split(content.decode("utf-8-sig", "replace"))


def comments(content: bytes) -> list[Comment]:
    """The comments of a file that `load_file` can read. A `#` inside a scalar begins none."""
    text = content.decode("utf-8-sig")
    ends = [match.start() for match in _LINE_END.finditer(text)]
    starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
    next_rows = _next_rows(text, starts)
    found = []
    for start in _comment_starts(text):
        row = bisect_right(starts, start) - 1
        end = ends[row] if row < len(ends) else len(text)
        target = row if text[starts[row] : start].strip() else next_rows[row]
        found.append(Comment(Position(row + 1, start - starts[row] + 1), text[start:end], target + 1))
    return found


def _comment_starts(text: str) -> Iterable[int]:
    """Where in `text` the comments begin: a `#` after white space, outside of all scalars."""
    spans = _scalars(text)
    begins = [begin for begin, _ in spans]
    at = 0
    while (match := _COMMENT.search(text, at)) is not None:
        before = bisect_right(begins, match.start()) - 1
        if before >= 0 and match.start() < spans[before][1]:
            at = spans[before][1]
        else:
            yield match.start()
            end = _LINE_END.search(text, match.end())
            at = end.end() if end is not None else len(text)


def _scalars(text: str) -> list[tuple[int, int]]:
    """The spans of all scalars that are not empty, in their order."""
    with _Reader(text) as reader:
        spans = [_span(event) for event in reader.events() if isinstance(event, ScalarEvent)]
    return [(begin, end) for begin, end in spans if begin < end]


def _next_rows(text: str, starts: list[int]) -> list[int]:
    """By row: the one below it that is more than a comment; the last one where there is none."""
    found = [len(starts) - 1] * len(starts)
    for row in range(len(starts) - 2, -1, -1):
        found[row] = found[row + 1] if _ONLY_COMMENT.match(text, starts[row + 1]) else row + 1
    return found


def read_by_another(content: bytes) -> list[Any]:
    """The documents of `content` as another program reads YAML 1.2: values with its types, for comparing two texts.

    Raises ValueError where it cannot read them. Slow: for a file that is being edited.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError as Unread

    try:
        return list(YAML(typ="safe", pure=True).load_all(content.decode("utf-8-sig")))
    except Unread as error:
        raise ValueError(str(error)) from error


def every_places(content: bytes) -> Iterator[Places]:
    """Where the values of each document stand, one after the other. `content` is what `load_file` has read."""
    places: dict[Path, Place] = {}
    with _Reader(content.decode("utf-8-sig"), places) as reader:
        for _ in reader.documents():
            yield Places(dict(places))
            places.clear()


def _places(content: bytes, index: int) -> Places:
    return _all_places(content)[index]


@lru_cache(maxsize=3)
def _all_places(content: bytes) -> tuple[Places, ...]:
    """Those of the files last asked for, which are often asked for again at once: the one with many findings, and, of a
    finding about two, its server's and fresco.yaml. Few are kept, because an agent would keep them for as long as it
    runs."""
    return tuple(every_places(content))


class _Reader:
    """Turns the parser's events into plain values. With `places` it notes down where each value stands.

    It builds from events, not with PyYAML's composer, whose recursion in C ends the process on deep nesting.
    """

    def __init__(self, text: str, places: dict[Path, Place] | None = None) -> None:
        self._text = text
        self._places = places
        self._parser: CParser | None = None
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliased = 0
        self._count = 0
        self.begin = 0  # where in the text the document begins that was read last
        self.has_line_ends = False

    def __enter__(self) -> "_Reader":
        try:
            self._parser = CParser(self._text)
        except ReaderError as error:
            raise _from_yaml(error, self._text) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._parser is not None:
            self._parser.dispose()

    def documents(self) -> Iterable[tuple[Position, Any]]:
        """The position and value of each document."""
        while not isinstance(event := self._next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                self._anchors, self._aliased, self.has_line_ends = {}, 0, False
                self.begin = _span(event)[0]
                first = self._next()
                yield _position(first), self._value(first, (), None)

    def events(self) -> Iterable[Event]:
        """The events themselves, to the end."""
        while not isinstance(event := self._next(), StreamEndEvent):
            yield event

    def _next(self) -> Event:
        assert self._parser is not None
        try:
            event = self._parser.get_event()
        except YAMLError as error:
            raise _from_yaml(error, self._text) from error
        assert event is not None  # nobody asks on after the end of the stream
        return event

    def _value(self, event: Event, path: Path, key: Position | None) -> Any:
        if self._places is not None:
            at = _position(event)
            self._places[path] = Place(key or at, at, _span(event), bool(getattr(event, "flow_style", False)))
        if isinstance(event, ScalarEvent):
            return self._anchored(event, self._scalar(event), 1)
        if isinstance(event, AliasEvent):
            return self._alias(event)
        return self._collection(event, path)

    def _collection(self, event: Event, path: Path) -> Any:
        at = _position(event)
        if len(path) >= MAX_DEPTH:
            raise _Unreadable(f"expected at most {MAX_DEPTH} levels", at, rule=Rule.YAML_FEATURE)
        assert isinstance(event, MappingStartEvent | SequenceStartEvent)
        if event.tag is not None and event.tag not in _COLLECTION_TAGS[type(event)]:
            raise _own_tag(event.tag, at)
        before = self._count
        value = self._mapping(path) if isinstance(event, MappingStartEvent) else self._sequence(path)
        return self._anchored(event, value, self._count - before)

    def _mapping(self, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            key, at = self._key(event), _position(event)
            if key in values:
                raise _Unreadable(f"the key {key!r} comes twice", at, rule=Rule.DUPLICATE_KEY)
            values[key] = self._value(self._next(), (*path, key), at)
        return values

    def _sequence(self, path: Path) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            values.append(self._value(event, (*path, len(values)), None))
        return values

    def _key(self, event: Event) -> str:
        at = _position(event)
        if not isinstance(event, ScalarEvent):
            raise _Unreadable("expected a plain key, got a collection or an alias", at, rule=Rule.YAML_FEATURE)
        if event.value == "<<" and event.implicit[0]:
            raise _Unreadable(
                "merge keys (<<) are not part of YAML 1.2", at, rule=Rule.YAML_FEATURE, hint="write the fields out"
            )
        key = self._anchored(event, self._scalar(event), 1)
        if not isinstance(key, str):
            raise _Unreadable(
                f"expected text as key, got {event.value or 'nothing'}",
                at,
                rule=Rule.YAML_FEATURE,
                hint="put it in quotes",
            )
        return key

    def _scalar(self, event: ScalarEvent) -> Any:
        self._count += 1
        if event.implicit[0]:
            return plain(event.value)
        if not event.implicit[1] and event.tag not in ("!", "tag:yaml.org,2002:str"):
            raise _own_tag(event.tag, _position(event))
        if event.value.endswith("\n"):
            self.has_line_ends = True
        return event.value

    def _anchored(self, event: NodeEvent, value: Any, size: int) -> Any:
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, size)
        return value

    def _alias(self, event: AliasEvent) -> Any:
        at = _position(event)
        if event.anchor not in self._anchors:
            raise _Unreadable(f"the alias *{event.anchor} has no anchor before it", at)
        value, size = self._anchors[event.anchor]
        self._aliased += size
        self._count += size
        if self._aliased > MAX_ALIASED:
            raise _Unreadable(f"expected aliases to add at most {MAX_ALIASED} values", at, rule=Rule.YAML_FEATURE)
        return value


def plain(text: str) -> Any:
    """The value of a plain scalar: None, a bool, an int, a float, or `text` itself."""
    if not text or text[0] in _NUMERIC:
        return _number(text) if text else None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    return None if text in _NULL else text


def _number(text: str) -> int | float | str:
    if _INTEGER.fullmatch(text):
        return int(text)
    if text.lstrip("+-").isdigit() or not _FRACTION.fullmatch(text):
        return text
    return float(text) if math.isfinite(float(text)) else text


def _position(event: Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark is not None else Position(1, 1)


def _span(event: Event) -> tuple[int, int]:
    start, end = event.start_mark, event.end_mark
    return (start.index, end.index) if start is not None and end is not None else (0, 0)


def _own_tag(tag: str | None, at: Position) -> _Unreadable:
    return _Unreadable(
        f"expected plain values, got the tag {tag}", at, rule=Rule.YAML_FEATURE, hint="leave the tag out"
    )


def _from_yaml(error: YAMLError, text: str) -> _Unreadable:
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        at = Position(mark.line + 1, mark.column + 1) if mark is not None else Position(1, 1)
        at = min(at, _end_of(text))  # what breaks off without a line end is noticed in the line after the last
        return _Unreadable(f"expected YAML: {' '.join(part for part in (error.context, error.problem) if part)}", at)
    if isinstance(error, ReaderError):
        before = text.encode()[: error.position]  # the parser was handed UTF-8 and counts its bytes
        return _Unreadable(f"expected YAML: {error.reason}", _end_of(before.decode("utf-8", "replace")))
    return _Unreadable(f"expected YAML: {error}", Position(1, 1))
