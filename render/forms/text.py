"""Findings for people. Pure.

A terminal gets the line with a caret under the place, and a last line with counts; whatever else reads it gets one line
a finding, which editors and scripts know from compilers.
"""

from collections.abc import Iterable, Iterator

from render import report as lines
from render.characters import columns, printable
from render.forms.report import Report, Terminal
from schemas.status import Finding, OtherPlace

_BOLD, _RED, _YELLOW, _BLUE, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[34m", "\x1b[0m"
_CUT = "…"
_NARROWEST = 20  # columns for the text of a line, however narrow the terminal


def write(report: Report) -> str:
    """The whole output."""
    if report.terminal is None:
        return "".join(f"{lines.line(one)}\n" for one in report.findings)
    return "".join(f"{line}\n" for line in _for_terminal(report, report.terminal))


def excerpt(line: str, column: int, room: int) -> tuple[str, int]:
    """What is shown of `line` in `room` columns so that the place at `column`, counted from 1, is seen, and how many
    columns are left of that place."""
    before, after = printable(line[: column - 1]), printable(line[column - 1 :])
    if columns(before) + columns(after) <= room:
        return before + after, columns(before)
    left = max(room // 2, room - columns(after))
    if columns(before) > left:
        before = _CUT + _last(before, left - 1)
    if columns(after) > room - columns(before):
        after = _first(after, room - columns(before) - 1) + _CUT
    return before + after, columns(before)


def _first(text: str, room: int) -> str:
    """As much of the beginning of `text` as `room` columns hold."""
    taken = 0
    for index, one in enumerate(text):
        taken += columns(one)
        if taken > room:
            return text[:index]
    return text


def _last(text: str, room: int) -> str:
    """As much of the end of `text` as `room` columns hold."""
    return _first(text[::-1], room)[::-1]


def _for_terminal(report: Report, terminal: Terminal) -> Iterator[str]:
    paint = _Paint(is_on=terminal.has_colours)
    for one in report.findings:
        yield from _finding(one, report, terminal.columns, paint)
        yield ""
    yield _counts(report, paint)


class _Paint:
    """Puts colours around text, or leaves it alone."""

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on

    def __call__(self, text: str, *codes: str) -> str:
        return f"{''.join(codes)}{text}{_PLAIN}" if self._is_on and text else text


def _finding(finding: Finding, report: Report, width: int, paint: _Paint) -> Iterator[str]:
    colour = _RED if finding.severity == "error" else _YELLOW
    place = printable(f"{finding.file}:{finding.line}:{finding.column}:")
    kind = "" if finding.severity == "error" else f"{finding.severity}: "
    yield f"{paint(place, _BOLD)} {paint(finding.rule, _BOLD, colour)} {kind}{printable(finding.message)}"
    other = finding.other
    gutter = max(len(str(one.line)) for one in (finding, other) if one is not None)
    yield from _shown(finding, report, width, gutter, paint, colour)
    if other is not None:
        place = printable(f"{other.file}:{other.line}:{other.column}")
        yield f"{' ' * gutter} {paint('and', _BLUE)} {paint(place, _BOLD)}"
        yield from _shown(other, report, width, gutter, paint, _BLUE)
    if finding.hint:
        yield f"{' ' * gutter} {paint('=', _BLUE)} hint: {printable(finding.hint)}"


def _shown(
    place: Finding | OtherPlace, report: Report, width: int, gutter: int, paint: _Paint, colour: str
) -> Iterator[str]:
    """The line of `place` and the caret below it; nothing where the file has no such line."""
    line = report.lines.get((place.file, place.line))
    if line is None:
        return
    shown, before = excerpt(line, place.column, max(_NARROWEST, width - gutter - len(" | ")))
    bar = paint("|", _BLUE)
    yield f"{paint(str(place.line).rjust(gutter), _BLUE)} {bar} {shown}".rstrip()
    yield f"{' ' * gutter} {bar} {' ' * before}{paint('^', _BOLD, colour)}"


def _counts(report: Report, paint: _Paint) -> str:
    errors = sum(one.severity == "error" for one in report.findings)
    warnings = len(report.findings) - errors
    files = _number(report.count, "file")
    if not report.findings:
        return f"nothing to say of {files}"
    counts = [(errors, "error", _RED), (warnings, "warning", _YELLOW)]
    said = _joined(paint(_number(count, what), colour) for count, what, colour in counts if count)
    return f"{said} in {_number(len({one.file for one in report.findings}), 'file')}, {files} read"


def _joined(parts: Iterable[str]) -> str:
    return " and ".join(parts)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
