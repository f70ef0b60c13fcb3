"""A change as Markdown for a comment on a pull request. Pure.

What comes from files stands in code, where nothing is markup: no link, no image, no mention of anybody.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from render import report
from render.characters import one_line, printable
from render.diff import sentences
from render.diff.words import count
from schemas.change import Change, ClusterChange, DeploymentChange, Fields, Memory, ObjectChange, ServerChange
from schemas.status import Finding

LIMIT = 65_536  # of a comment on GitHub: characters, and as many bytes at most to be sure

_PROSE = re.compile(r"[A-Za-z0-9 .,;:()'’/%→-]+")
_REFERENCE = re.compile(r"://|www\.|\bGH-[0-9]|%[0-9A-Za-z]|\b[0-9a-f]{7,40}\b", re.IGNORECASE)  # to a page, by itself
_RESERVED = 200  # bytes for the line about what is left out


@dataclass(frozen=True, slots=True)
class _Block:
    """Items that stand together. An item is shown in full or not at all, and none after one that is not."""

    head: str
    items: Sequence[str]
    tail: str = ""


def markdown(change: Change, limit: int = LIMIT) -> str:
    """All of it, or as much as fits into `limit` bytes, with a line that says how much is left out."""
    blocks = [_Block("", [f"### What changes {sentences.sides(change, code)}\n"])]
    blocks += [_Block("", [_summary(one) for one in change.clusters])]
    for cluster in change.clusters:
        blocks += _cluster(cluster)
    blocks += _findings(change.findings)
    return _fitted(blocks, limit)


def code(text: str) -> str:
    """`text` on one line, shown as it is."""
    line = one_line(text)
    fence = "`" * (_longest_run(line) + 1)
    space = " " if line[:1] in ("`", "") or line[-1:] == "`" or (line[0] == line[-1] == " ") else ""
    return f"{fence}{space}{line}{space}{fence}"


def prose(text: str) -> str:
    """`text` as it is where nothing in it could be markup or an address, else in code."""
    return text if _PROSE.fullmatch(text) and not _REFERENCE.search(text) else code(text)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _fitted(blocks: Iterable[_Block], limit: int) -> str:
    shown, left, missing = [], limit - _RESERVED, 0
    for block in blocks:
        room = left - _size(block.head + block.tail)
        taken = _taken(block.items, room)
        missing += len(block.items) - len(taken)
        if taken:
            said = f"{block.head}{''.join(taken)}{block.tail}"
            shown.append(said)
            left -= _size(said)
    if missing:
        shown.append(
            f"\n_{count(missing, 'line')} left out: the comment would be too long. `fresco diff` shows all._\n"
        )
    return "".join(shown)


def _taken(items: Sequence[str], room: int) -> Sequence[str]:
    for index, item in enumerate(items):
        room -= _size(item)
        if room < 0:
            return items[:index]
    return items


def _size(text: str) -> int:
    return len(text.encode())


# ---- a cluster


def _summary(cluster: ClusterChange) -> str:
    return f"\n**{cluster.cluster}**: {sentences.summary(cluster)}; objects: {sentences.objects(cluster.objects)}\n"


def _cluster(cluster: ClusterChange) -> Iterator[_Block]:
    notes = [f"- {prose(one)}\n" for one in cluster.notes]
    yield _Block("\n", [f"#### Cluster {cluster.cluster}\n\nBefore: {code(cluster.now)}.\n"])
    yield _Block("\n", notes)
    yield _table(("Deployment", "What", "Revision", "Steps", "Time"), [_deployment(one) for one in cluster.deployments])
    yield _table(("InferenceServer", "What", "Pods", "Steps", "Time"), [_server(one) for one in cluster.servers])
    head = ("Memory in a pod of", "Pods", "Now", "Meanwhile", "Then", "There is")
    yield _table(head, [_memory(one) for one in cluster.memory])
    yield _Block("\n", [line for one in cluster.deployments for line in _remarks(one)])
    yield from _findings(cluster.findings)
    changes: tuple[ServerChange | DeploymentChange, ...] = (*cluster.servers, *cluster.deployments)
    yield _folded("Fields", [_details(one) for one in changes if one.fields.shown])
    objects = [_object(one) for one in cluster.objects.changes]
    yield _folded(f"Objects: {sentences.objects(cluster.objects)}", objects)


def _deployment(change: DeploymentChange) -> Sequence[str]:
    what, revisions = sentences.what(change), sentences.revisions(change, code)
    return code(change.key), what, revisions, sentences.steps(change.plan), sentences.time(change.plan)


def _server(change: ServerChange) -> Sequence[str]:
    what = "; ".join([change.what, *map(prose, change.notes)])
    return code(change.key), what, sentences.pods(change), sentences.steps(change.plan), sentences.time(change.plan)


def _memory(one: Memory) -> Sequence[str]:
    return f"{code(one.server)} {one.slice}", one.pods, *sentences.memory(one)


def _remarks(change: DeploymentChange) -> Iterator[str]:
    yield from (f"- {code(change.key)}: {prose(one)}\n" for one in sentences.notes(change))
    yield from (f"- {code(change.key)}: {sentences.rule(one, code)}\n" for one in change.rules)


def _details(change: ServerChange | DeploymentChange) -> str:
    return f"- {code(change.key)}\n{_fields(change.fields)}"


def _object(change: ObjectChange) -> str:
    said = f"- {change.action} {code(f'{change.kind} {change.namespace}/{change.name}')}\n"
    return f"{said}\n{_fenced(change.patch, 'diff')}\n" if change.patch else said + _fields(change.fields)


def _fields(fields: Fields) -> str:
    lines = [sentences.field(one, code) for one in fields.shown]
    return "".join(f"  - {one}\n" for one in (*lines, *sentences.more(fields.more, "field")))


def _findings(findings: Iterable[Finding]) -> Iterator[_Block]:
    lines = [f"{one_line(report.line(one))}\n" for one in findings]
    if lines:
        fence = "`" * max(3, *(_longest_run(one) + 1 for one in lines))
        yield _Block(f"\nFindings:\n\n{fence}text\n", lines, f"{fence}\n")


# ---- shapes


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> _Block:
    return _Block(f"\n{_row(head)}|{' --- |' * len(head)}\n", [_row(row) for row in rows])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _folded(title: str, items: Sequence[str]) -> _Block:
    return _Block(f"\n<details>\n<summary>{title}</summary>\n\n", items, "\n</details>\n")


def _fenced(text: str, language: str) -> str:
    fence = "`" * max(3, _longest_run(text) + 1)
    lines = "".join(f"{printable(line)}\n" for line in text.split("\n")[:-1])
    return f"{fence}{language}\n{lines}{fence}\n"
