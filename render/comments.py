"""Comments of one YAML document: gathered by the value that they stand at, and put beside those of another. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from render.document import Path, Places

_TRAILING = re.compile(r"(?:^|\s)(#.*)$")


class Comment(NamedTuple):
    """Text with its `#`. `path`: of the value in whose line, or above whose line, it stands."""

    path: Path
    text: str
    is_trailing: bool


def gather(text: str, first: int, last: int, places: Places) -> Iterator[Comment]:
    """The comments of the document in the lines `first` to `last` of `text`, counted from 1.

    A byte order mark does not belong to `text`. Comments behind the last value are none of its.
    """
    lines = text.split("\n")
    layout = _layout(text, lines, places)
    above: list[str] = []
    for number in range(first, last + 1):
        line = lines[number - 1].rstrip("\r")
        if number in layout.inside and number not in layout.ends:
            continue
        if line.lstrip().startswith("#") and number not in layout.inside:
            above.append(line.strip())
            continue
        path = layout.paths.get(number)
        if path is None:
            continue
        yield from (Comment(path, one, is_trailing=False) for one in above)
        above = []
        found = _TRAILING.search(line[layout.ends.get(number, 0) :])
        if found is not None:
            yield Comment(path, found[1].rstrip(), is_trailing=True)
    yield from (Comment((), one, is_trailing=False) for one in above)


def last_value_line(text: str, places: Places) -> int:
    """The line, from 1, in which the last value of a document ends; closing braces may come after it."""
    layout = _layout(text, text.split("\n"), places)
    return max((*layout.paths, *layout.ends))


def put(lines: Sequence[str], places: Places, comments: Iterable[Comment]) -> list[str]:
    """`lines` of a document in block style, with the comments at their paths."""
    above: dict[int, list[str]] = {}
    trailing: dict[int, str] = {}
    for comment in comments:
        key = places.at(comment.path).key
        if comment.is_trailing and key.line not in trailing:
            trailing[key.line] = f" {comment.text}"
        else:
            above.setdefault(key.line, []).append(f"{' ' * (key.column - 1)}{comment.text}")
    made: list[str] = []
    for number, line in enumerate(lines, start=1):
        made += [*above.get(number, ()), line + trailing.get(number, "")]
    return made


@dataclass(frozen=True, slots=True)
class _Layout:
    """What is in which line. `paths`: the outermost value with its key there, else one that ends there. `ends`: the
    column, from 0, behind the last scalar, where a comment may begin. `inside`: lines that go on with a scalar."""

    paths: dict[int, Path] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    inside: set[int] = field(default_factory=set)


def _layout(text: str, lines: Sequence[str], places: Places) -> _Layout:
    layout = _Layout()
    starts = (0, *accumulate(len(line) + 1 for line in lines))
    for path, place in places.items():
        if path:
            layout.paths.setdefault(place.key.line, path)
        begin, stop = place.span[0], place.span[0] + len(text[slice(*place.span)].rstrip())
        if stop == begin:
            continue
        first = last = place.value.line
        while starts[last] < stop:
            last += 1
        if first < last:
            layout.inside.update(range(first + 1, last + 1))
            layout.paths.setdefault(last, path)
            is_block = text[begin] in "|>"
            layout.ends[first] = begin - starts[first - 1] + 1 if is_block else len(lines[first - 1])
        layout.ends[last] = max(layout.ends.get(last, 0), stop - starts[last - 1])
    return layout
