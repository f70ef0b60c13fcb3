"""Comments of one YAML document: gathered by the value that they stand at, and put beside those of another. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from render.document import Comment, Path, Place, Places


class Remark(NamedTuple):
    """A comment, from its `#` on. `path`: of the value in whose line, or above whose line, it stands."""

    path: Path
    text: str
    is_trailing: bool


def gather(text: str, comments: Iterable[Comment], places: Places) -> Iterator[Remark]:
    """Those of `comments`, of the file `text`, that are about a line in which a value of `places` begins or ends."""
    lines = _paths(text, places)
    for comment in comments:
        if comment.target in lines:
            yield Remark(lines[comment.target], comment.text.rstrip(), comment.at.line == comment.target)


def last_line(text: str, places: Places) -> int:
    """The line, from 1, in which the last value ends; closing braces may come after it."""
    return max(_paths(text, places))


def put(lines: Sequence[str], places: Places, remarks: Iterable[Remark]) -> list[str]:
    """`lines` of a document in block style, with the comments at their paths."""
    above: dict[int, list[str]] = {}
    trailing: dict[int, str] = {}
    for remark in remarks:
        key = places.at(remark.path).key
        if remark.is_trailing and key.line not in trailing:
            trailing[key.line] = f" {remark.text}"
        else:
            above.setdefault(key.line, []).append(f"{' ' * (key.column - 1)}{remark.text}")
    made: list[str] = []
    for number, line in enumerate(lines, start=1):
        made += [*above.get(number, ()), line + trailing.get(number, "")]
    return made


def _paths(text: str, places: Places) -> dict[int, Path]:
    """By line: the outermost value whose key is there, else one that ends there. `text` has no byte order mark."""
    found: dict[int, Path] = {}
    for path, place in places.items():
        if path:
            found.setdefault(place.key.line, path)
            found.setdefault(_end(text, place), path)
    return found


def _end(text: str, place: Place) -> int:
    """The line in which a scalar ends; of a collection that of its key."""
    scalar = text[slice(*place.span)].rstrip()
    return place.value.line + scalar.count("\n") if scalar else place.key.line
