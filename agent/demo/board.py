"""What people see while the demo runs: a live table on a terminal, plain lines anywhere else. I/O: the terminal."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from types import TracebackType
from typing import Protocol, Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from agent.demo.checks import Check, Share
from agent.demo.history import Event
from agent.demo.traffic import Record, by_revision
from schemas.status import Stage

_COLOURS = {
    Stage.VALIDATION: "white",
    Stage.ASSET_PREPARATION: "cyan",
    Stage.RESOURCE_ACQUISITION: "blue",
    Stage.TRAFFIC_ROUTING: "magenta",
    Stage.ROLLOUT_COMPLETE: "bold green",
    Stage.ROLLBACK_IN_PROGRESS: "yellow",
    Stage.ROLLBACK_COMPLETE: "bold yellow",
    Stage.ROLLBACK_FAILED: "bold red",
    Stage.CLEAN_UP_IN_PROGRESS: "yellow",
    Stage.CLEAN_UP_COMPLETE: "bold green",
}
_REVISION_COLOURS = ("green", "cyan", "magenta", "yellow", "blue")
_NOW_SECONDS = 2.0  # what the live table calls "now"
_BAR = 40  # characters for all requests
_OTHER_LINES = 10  # of the live table, besides scenes and what happened: its frame, and who answers now
_MOMENT = 0.05  # seconds: what was over so soon took no time
_LONGEST = 150  # characters of a message: what a server says of a failure can be a page


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `who`: a person, the agent, the traffic, or a check. `event`: of the agent's."""

    at: float
    who: str
    what: str
    text: str
    style: str = ""
    event: Event | None = None


class Board(Protocol):
    """Where the story is told. Use as a context manager; what is told after it stays on the screen."""

    lines: list[Line]
    start: float

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def scene(self, title: str) -> None:
        """A scene begins."""

    def tell(self, line: Line) -> None:
        """Something happened."""


@dataclass
class PlainBoard:
    """A line for each thing, when it happens: for logs and pipes."""

    console: Console
    start: float
    lines: list[Line] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put away."""

    def scene(self, title: str) -> None:
        """An empty line, and the title."""
        self.console.print(f"\n== {title}", highlight=False, markup=False, soft_wrap=True)

    def tell(self, line: Line) -> None:
        """One line: seconds since the start, who, what."""
        self.lines.append(line)
        text = plain(line, self.start)
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class LiveBoard:
    """A table that is drawn anew four times a second: the scenes, what happened last, and who answers now."""

    def __init__(self, console: Console, start: float, record: Record, scenes: Sequence[str]) -> None:
        self.lines: list[Line] = []
        self.start = start
        self._console, self._record = console, record
        self._scenes, self._current = scenes, -1
        self._last: Event | None = None
        self._recent: deque[Line] = deque(maxlen=max(4, console.height - len(scenes) - _OTHER_LINES))
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=4, transient=True, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def scene(self, title: str) -> None:
        """Marks the scene as the one that is on."""
        self._current = self._scenes.index(title)

    def tell(self, line: Line) -> None:
        """Adds it to what happened last."""
        self.lines.append(line)
        self._recent.append(line)
        self._last = line.event or self._last

    def _draw(self) -> RenderableType:
        line = Rule(style="dim")
        return Panel(
            Group(self._drawn_scenes(), line, timeline(self._recent, self.start), line, self._now()),
            title="[bold]Fresco[/bold]: from a commit to live traffic",
            subtitle=f"{time.time() - self.start:.0f} s",
            box=box.ROUNDED,
        )

    def _drawn_scenes(self) -> Text:
        text = Text()
        for index, title in enumerate(self._scenes):
            mark, style = ("✓", "green") if index < self._current else ("·", "dim")
            if index == self._current:
                mark, style = "▶", "bold"
            text.append(f" {mark} {title}\n", style)
        text.rstrip()
        return text

    def _now(self) -> RenderableType:
        """Who answers at this moment, and what was asked of the gateway."""
        answers = list(self._record.latest(_NOW_SECONDS))
        seen = by_revision(answers)
        table = Table(box=None, show_header=False, padding=(0, 1))
        for revision, count in sorted(seen.items()):
            colour = _REVISION_COLOURS[sum(map(ord, revision)) % len(_REVISION_COLOURS)]
            table.add_row(f"revision {revision}", *_bar(count, len(answers), colour), self._asked(revision))
        if len(answers) > seen.total():
            table.add_row("no model", *_bar(len(answers) - seen.total(), len(answers), "red"), "")
        return Group(Text(f" {len(answers) / _NOW_SECONDS:.0f} requests/s, answered by"), table)

    def _asked(self, revision: str) -> str:
        step = self._last
        return f"asked {step.weight} %" if step is not None and step.weight and step.revision == revision else ""


def _bar(count: int, total: int, colour: str) -> tuple[Text, str]:
    return Text("█" * max(1, round(_BAR * count / total)), colour), f"{100 * count / total:.0f} %"


def open_board(console: Console, *, plain: bool, record: Record, scenes: Sequence[str]) -> Board:
    """The live table on a terminal, plain lines elsewhere or when asked for."""
    start = time.time()
    if plain or not console.is_terminal:
        return PlainBoard(console, start)
    return LiveBoard(console, start, record, scenes)


def of_event(event: Event) -> Line:
    """A change of stage or step, as a commit told it."""
    text = f"{_cut(event.message)}   ({event.step}, commit {event.commit[:8]})"
    return Line(event.at, "agent", event.stage, text, _COLOURS[Stage(event.stage)], event)


def of_share(share: Share, at: float) -> Line:
    """A traffic step that was over at `at`, POSIX seconds."""
    who = ", ".join(f"revision {one} {share.percent(one):.1f} %" for one in sorted(share.seen))
    return Line(at, "traffic", f"asked {share.weight} %", f"seen of {share.total} answers: {who}", "bold cyan")


def said(who: str, what: str, text: str, style: str = "") -> Line:
    """Something that happens now."""
    return Line(time.time(), who, what, text, style)


def plain(line: Line, start: float) -> str:
    """A line as text: seconds since `start`, who, what, and the rest."""
    return f"{line.at - start:7.2f} s  {line.who:<8} {line.what:<22} {line.text}".rstrip()


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def overview(events: Sequence[Event], shares: Sequence[Share], start: float) -> Table:
    """The timeline by stages: when each began, of which revision, and how long its steps took."""
    table = Table(box=None, padding=(0, 1))
    for title in ("at", "revision", "stage", "steps"):
        table.add_column(title, justify="right" if title == "at" else "left", style="dim" if title == "at" else "")
    ends = {event: after.at for event, after in pairwise(events) if event.step != "done"}
    for (revision, stage), group in groupby(events, key=lambda event: (event.revision, event.stage)):
        steps = list(group)
        told = ", ".join(_step(event, ends.get(event), shares) for event in steps)
        table.add_row(f"{steps[0].at - start:.1f} s", revision, Text(stage, _COLOURS[Stage(stage)]), told)
    return table


def _step(event: Event, end: float | None, shares: Sequence[Share]) -> str:
    took = f" {end - event.at:.1f} s" if end is not None and end - event.at > _MOMENT else ""
    for share in shares:
        if event.weight is not None and (share.revision, share.weight) == (event.revision, event.weight):
            return f"{share.weight} % (seen {share.percent():.1f} %){took}"
    return f"{event.step}{took}"


def timeline(lines: Sequence[Line] | deque[Line], start: float) -> Table:
    """Lines as a table."""
    table = Table(box=None, show_header=False, padding=(0, 1), expand=True)
    table.add_column(justify="right", width=8, style="dim", no_wrap=True)
    table.add_column(width=8, no_wrap=True)
    table.add_column(width=22, no_wrap=True)
    table.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
    for line in lines:
        seconds = f"{line.at - start:.2f} s"
        table.add_row(seconds, line.who, Text(line.what, line.style), Text(line.text))
    return table


def results(checks: Sequence[Check]) -> Table:
    """All promises, kept or not."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(width=1)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold", style="dim")
    for check in checks:
        mark = Text("✓", "bold green") if check.kept else Text("✗", "bold red")
        table.add_row(mark, Text(check.promise), Text(check.seen))
    return table
