"""What was read from files: documents as plain values, and where in the file each value stands. Pure values.

`render.load` makes them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from render.files import is_folder
from schemas.status import Finding

REPOSITORY_FILE = "fresco.yaml"
THEIR_GROUP = "michelangelo.api/"
THEIR_KINDS = ("InferenceServer", "Deployment")

Path = tuple[str | int, ...]


class Position(NamedTuple):
    """A place in a file, counted from 1."""

    line: int
    column: int


class Place(NamedTuple):
    """Where a value stands: its key (for an item of a list, the item) and itself.

    `span`: characters of a scalar in the text of the file, a mark for its byte order not counted; for a collection its
    beginning alone. `is_flow`: written in braces or brackets.
    """

    key: Position
    value: Position
    span: tuple[int, int]
    is_flow: bool


class Comment(NamedTuple):
    """A comment, from its `#` to the end of the line. `target`: the line that it is about, counted from 1.

    That is its own line; where nothing else stands there, the next line that is more than a comment.
    """

    at: Position
    text: str
    target: int


class Places:
    """Where the values of one document stand."""

    def __init__(self, places: Mapping[Path, Place]) -> None:
        self._places = places

    def items(self) -> Iterable[tuple[Path, Place]]:
        """All of them by path, in the order of the document."""
        return self._places.items()

    def at(self, path: Sequence[str | int]) -> Place:
        """The place of the value at `path`, or of the nearest one above it that exists."""
        wanted = tuple(path)
        while wanted not in self._places:
            wanted = wanted[:-1]
        return self._places[wanted]

    def exactly(self, path: Sequence[str | int]) -> Place | None:
        """The place of the value at `path`; None when there is none, or when it came by an alias."""
        return self._places.get(tuple(path))


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One YAML document that claims Fresco's apiVersion or Michelangelo's. `line`: where it starts. `value`: plain
    values only.

    `text`: identity of the text that it was read from; where that is equal, everything is, but for the line.
    `has_line_ends`: some text in it ends with a line end, which a pattern's `$` would let through.
    `places`: reads the file again to tell where its values stand, because few documents are asked. They may differ
    where all else is equal, so that a document equals itself alone.
    """

    file: str
    index: int
    line: int
    value: dict[str, Any]
    text: str
    has_line_ends: bool
    places: Callable[[], Places] = field(repr=False)

    @property
    def is_theirs(self) -> bool:
        """Whether it is written in Michelangelo's form."""
        return str(self.value.get("apiVersion", "")).startswith(THEIR_GROUP)


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """One file. Findings mean that it could not be read, and then it has no documents."""

    documents: tuple[Document, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """All files of a tree. `files`: by path, those that have documents or findings."""

    files: Mapping[str, LoadedFile]

    @classmethod
    def of(cls, files: Mapping[str, LoadedFile]) -> Self:
        """Of `files`, which may be all that there are, those that are Fresco's."""
        return cls({path: file for path, file in files.items() if file.documents or file.findings})

    @property
    def documents(self) -> list[Document]:
        """All documents, in the order of their files."""
        return [document for file in self.files.values() for document in file.documents]

    @property
    def unreadable(self) -> list[str]:
        """The paths of all files that could not be read."""
        return [path for path, file in self.files.items() if file.findings]


def prefix(folder: str) -> str:
    """What the paths of all files in `folder`, a cluster's `path`, begin with: nothing, where it is everything."""
    return "".join(f"{part}/" for part in folder.split("/") if part not in ("", "."))


def concerns(path: str, below: str) -> bool:
    """Whether what lies at `path`, a file or a folder that cannot be listed, may be among the files whose paths begin
    with `below`, a prefix."""
    return path.startswith(below) or (is_folder(path) and below.startswith(path))
