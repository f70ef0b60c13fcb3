"""A change as text for a terminal, 100 columns wide. Pure."""

import textwrap
from collections.abc import Iterable, Iterator

from render import report
from render.characters import one_line, printable
from render.diff import sentences
from schemas.change import (
    Action,
    Change,
    ClusterChange,
    DeploymentChange,
    Fields,
    Memory,
    ObjectChange,
    Plan,
    ServerChange,
    ServerWhat,
    What,
)
from schemas.status import Finding

WIDTH = 100

_GREEN, _YELLOW, _RED, _BOLD = "32", "33", "31", "1"
_COLORS = {Action.CREATED: _GREEN, Action.CHANGED: _YELLOW, Action.DELETED: _RED}
_RED_WHATS = (What.DELETION, What.HELD, What.REFUSED, ServerWhat.DELETION, ServerWhat.HELD, ServerWhat.REFUSED)
_PATCH_COLORS = {"+": _GREEN, "-": _RED}

Line = tuple[int, str, str]  # indentation, what it says, its color; none is ""
_LITERAL = -1  # the indentation of a line that is shown as it is


def text(change: Change, *, color: bool) -> str:
    """All of it. Only the lines of unified diffs may be wider than `WIDTH`."""
    lines = [(0, f"What changes {sentences.sides(change, one_line)}", _BOLD)]
    for cluster in change.clusters:
        lines += _cluster(cluster)
    lines += _findings("findings", change.findings, 0)
    return "".join(f"{line}\n" for one in lines for line in _shown(one, color=color))


def _shown(line: Line, *, color: bool) -> Iterator[str]:
    indent, said, style = line
    begin, end = (f"\x1b[{style}m", "\x1b[0m") if color and style else ("", "")
    if indent == _LITERAL:
        yield f"{begin}{printable(said)}{end}"
        return
    margin = "  " * indent
    wrapped = textwrap.wrap(
        one_line(said), WIDTH, initial_indent=margin, subsequent_indent=f"{margin}    ", break_on_hyphens=False
    )
    yield from (f"{begin}{part}{end}" for part in wrapped or [""])


def _cluster(cluster: ClusterChange) -> Iterator[Line]:
    yield from ((0, "", ""), (0, f"cluster {cluster.cluster}; before: {cluster.now}", _BOLD))
    yield from ((1, sentences.summary(cluster), ""), (1, f"objects: {sentences.objects(cluster.objects)}", ""))
    yield from ((1, f"note: {one}", _YELLOW) for one in cluster.notes)
    for title, lines in (
        ("Deployments", [line for one in cluster.deployments for line in _deployment(one)]),
        ("InferenceServers", [line for one in cluster.servers for line in _server(one)]),
        ("memory for models in a pod", [_memory(one) for one in cluster.memory]),
        ("objects", [line for one in cluster.objects.changes for line in _object(one)]),
    ):
        if lines:
            yield from ((0, "", ""), (1, title, _BOLD), *lines)
    yield from _findings("findings", cluster.findings, 1)


def _server(change: ServerChange) -> Iterator[Line]:
    pods = sentences.pods(change)
    yield 2, f"{change.key}: {change.what}{f'; {pods}' if pods else ''}", _color(change.what)
    yield from _plan(change.plan)
    yield from _fields(change.fields)
    yield from ((3, f"note: {one}", "") for one in change.notes)


def _deployment(change: DeploymentChange) -> Iterator[Line]:
    served = sentences.revisions(change, one_line)
    yield 2, f"{change.key}: {sentences.what(change)}; {served}", _color(change.what)
    yield from _plan(change.plan)
    yield from ((3, sentences.rule(one, one_line), "") for one in change.rules)
    yield from _fields(change.fields)
    yield from ((3, f"note: {one}", "") for one in sentences.notes(change))


def _plan(plan: Plan) -> Iterator[Line]:
    for name, said in (("steps", sentences.steps(plan)), ("time", sentences.time(plan))):
        if said:
            yield 3, f"{name}: {said}", ""


def _color(what: What | ServerWhat) -> str:
    return _RED if what in _RED_WHATS else _YELLOW


def _memory(one: Memory) -> Line:
    before, during, after, room = sentences.memory(one)
    pods = f"{one.pods} pod{'' if one.pods == '1' else 's'}"
    return 2, f"{one.server} {one.slice}, {pods}: {before}, {during} meanwhile, then {after}, of {room}", ""


def _object(change: ObjectChange) -> Iterator[Line]:
    yield 2, f"{change.action} {change.kind} {change.namespace}/{change.name}", _COLORS[change.action]
    if not change.patch:
        yield from _fields(change.fields)
    yield from ((_LITERAL, one, _PATCH_COLORS.get(one[:1], "")) for one in change.patch.split("\n")[:-1])


def _fields(fields: Fields) -> Iterator[Line]:
    yield from ((3, sentences.field(one, one_line), "") for one in fields.shown)
    yield from ((3, one, "") for one in sentences.more(fields.more, "field"))


def _findings(title: str, findings: Iterable[Finding], indent: int) -> Iterator[Line]:
    lines = [(indent + 1, report.line(one), _RED if one.severity == "error" else _YELLOW) for one in findings]
    if lines:
        yield from ((0, "", ""), (indent, title, _BOLD), *lines)
