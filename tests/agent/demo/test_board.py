"""What people see of the demo, on a terminal and off one."""

import io

from rich.console import Console

from agent.demo import board
from agent.demo.board import LiveBoard, PlainBoard
from agent.demo.checks import Check, Share
from agent.demo.history import Event
from agent.demo.traffic import Answer, Record
from schemas.status import Stage

SCENES = ("1. The beginning", "2. The end")
EVENT = Event(
    at=112.5,
    commit="0123456789abcdef",
    stage=Stage.TRAFFIC_ROUTING,
    step="weight 1",
    message="revision 2: 10 % of the requests",
    revision="2",
    weight=10,
)


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    """A console that writes to memory."""
    output = io.StringIO()
    return Console(file=output, force_terminal=terminal, width=140, height=40), output


def test_plain_lines_say_when_who_and_what() -> None:
    """One line for each thing, without a single escape."""
    screen, output = console(terminal=False)
    with PlainBoard(screen, start=100.0) as plain:
        plain.scene(SCENES[0])
        plain.tell(board.of_event(EVENT))
        plain.tell(board.of_share(Share("2", 10, {"2": 52, "1": 448}), at=118.0))
    title, event, share = output.getvalue().strip().splitlines()
    assert title == "== 1. The beginning"
    assert " ".join(event.split()) == (
        "12.50 s agent Model Traffic Routing revision 2: 10 % of the requests (weight 1, commit 01234567)"
    )
    assert "asked 10 %" in share
    assert share.endswith("seen of 500 answers: revision 1 89.6 %, revision 2 10.4 %")
    assert "\x1b" not in output.getvalue()


def test_a_terminal_gets_the_live_table_and_a_pipe_does_not() -> None:
    """Unless plain lines are asked for."""
    for terminal, plain, kind in [(True, False, LiveBoard), (True, True, PlainBoard), (False, False, PlainBoard)]:
        screen, _ = console(terminal=terminal)
        assert type(board.open_board(screen, plain=plain, record=Record(), scenes=SCENES)) is kind


def test_the_live_table_shows_the_scene_what_happened_and_who_answers() -> None:
    """It is drawn while the block lasts."""
    record = Record()
    screen, output = console(terminal=True)
    live = board.open_board(screen, plain=False, record=record, scenes=SCENES)
    with live:
        now = board.said("person", "commit", "Serve revision 2")
        record.answers += [Answer(now.at, now.at + 60, 200, "2") for _ in range(3)]
        record.answers += [Answer(now.at, now.at + 60, 503, None, "no healthy upstream")]
        live.scene(SCENES[1])
        live.tell(now)
        live.tell(board.of_event(EVENT))
    shown = output.getvalue()
    for words in (
        "▶ 2. The end",
        "✓ 1. The beginning",
        "Serve revision 2",
        "Model Traffic Routing",
        "75 %",
        "asked 10 %",
    ):
        assert words in shown


def test_results_tell_a_broken_promise_from_a_kept_one() -> None:
    """Both with what was seen."""
    screen, output = console(terminal=False)
    screen.print(board.results([Check("a", True, "seen a"), Check("b", False, "seen nothing")]))
    kept, broken = output.getvalue().strip().splitlines()
    assert kept.split() == ["✓", "a", "seen", "a"]
    assert broken.split() == ["✗", "b", "seen", "nothing"]
