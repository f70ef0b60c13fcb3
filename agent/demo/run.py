"""`fresco-agent demo`: sets the stage, lets the story be told, and says what was kept of what it promises."""

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.demo import board, checks, hints, models
from agent.demo.board import Board
from agent.demo.checks import Check
from agent.demo.history import History
from agent.demo.machine import AgentFailed, Machine
from agent.demo.person import GitFailed, Person
from agent.demo.story import SCENES, Story, Stuck
from agent.demo.traffic import Question, Record, Traffic
from render.errors import FrescoError

EXAMPLES = Path(__file__).parents[2] / "examples"
CLUSTER, NAMESPACE, SERVER, DEPLOYMENT = "local", "fraud", "cpu-a", "scorer"
FILE = f"{NAMESPACE}/deployments/{DEPLOYMENT}.yaml"
BRANCH = f"clusters/{CLUSTER}"
STATUS = f"status/{NAMESPACE}/deployments/{DEPLOYMENT}.yaml"
RATE = 120.0  # requests a second
IN_FLIGHT = 64
_LOG_WIDTH = 140  # columns of tables where no terminal says how wide it is


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    keep: bool
    plain: bool
    data: Path | None


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. 0: all that it promises was seen; 1: something was not, or it could not start."""
    parser = argparse.ArgumentParser(prog="fresco-agent demo", description="The life of a model, on this machine.")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C, to try commits")
    parser.add_argument("--data", type=Path, help="an empty or new directory for everything (default: a temporary one)")
    parser.add_argument("--plain", action="store_true", help="plain lines on a terminal, too")
    given = parser.parse_args(arguments)
    if given.data is not None and given.data.exists() and any(given.data.iterdir()):
        parser.error(f"{given.data} is not empty")
    missing = _missing()
    if missing:
        parser.error(missing)
    try:
        return asyncio.run(_until_told(Options(keep=given.keep, plain=given.plain, data=given.data)))
    except (AgentFailed, GitFailed) as error:
        print(f"\nfresco-agent demo: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nfresco-agent demo: ended before its time", file=sys.stderr)
        return 130


def _missing() -> str | None:
    """What the demo needs and does not find."""
    if shutil.which("git") is None:
        return "git is not installed; the demo commits with it"
    if not EXAMPLES.is_dir():
        return f"{EXAMPLES} is not there: run the demo from a checkout of Fresco, as `make demo` does"
    return None


async def _until_told(options: Options) -> int:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await _perform(options)


async def _perform(options: Options) -> int:
    directory = (options.data or Path(tempfile.mkdtemp(prefix="fresco-demo-"))).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    console, record = _console(), Record()
    screen = board.open_board(console, plain=options.plain, record=record, scenes=list(SCENES))
    async with Machine(directory) as machine:
        with screen:
            story = await _set_up(machine, screen, record)
            found = await _told(story)
        if options.keep and all(check.kept for check in found):
            await _keep(story, console)
    found.append(_nothing_left(machine))
    _conclude(console, screen, story, found)
    return 0 if all(check.kept for check in found) else 1


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_LOG_WIDTH)


async def _set_up(machine: Machine, screen: Board, record: Record) -> Story:
    """Models in storage, a repository with a server and no model yet, and the agent at work on it."""
    artifacts = await models.publish(EXAMPLES / "models" / DEPLOYMENT, machine.directory / "storage")
    person = await asyncio.to_thread(Person, machine.directory / "clone", machine.repository)
    shutil.copytree(EXAMPLES / "repo", person.clone, dirs_exist_ok=True)
    deployment = (person.clone / FILE).read_text("utf-8")
    (person.clone / FILE).unlink()
    await asyncio.to_thread(person.commit, "Set up: two replicas, and a canary")
    await machine.start(cluster=CLUSTER)
    history = await asyncio.to_thread(
        History.clone,
        machine.directory / "history.git",
        url=machine.repository,
        branch=BRANCH,
        deployment=f"{NAMESPACE}/{DEPLOYMENT}",
    )
    return Story(
        machine=machine,
        person=person,
        history=history,
        record=record,
        board=screen,
        artifacts=artifacts,
        file=FILE,
        template=deployment,
        model=DEPLOYMENT,
    )


async def _told(story: Story) -> list[Check]:
    """Lets the story be told under load, and gives all checks."""
    traffic = Traffic(Question(_url(story.machine), models.REQUEST), story.record, rate=RATE, in_flight=IN_FLIGHT)
    load = asyncio.create_task(traffic.run())
    try:
        await story.tell()
    except (Stuck, AgentFailed, FrescoError) as error:
        story.checks.append(Check("the story comes to its end", kept=False, seen=str(error)))
    finally:
        traffic.stop()
        await load
    return [
        *story.checks,
        checks.only_allowed(story.history.events, story.record),
        checks.none_failed(checks.tally(story.record, story.deleted_at)),
        checks.accounted_for(story.history.accounts()),
    ]


async def _keep(story: Story, console: Console) -> None:
    """The model is served again, and everything runs on until Ctrl-C."""
    await story.serve_again()
    machine = story.machine
    lines = hints.kept(
        repository=machine.repository,
        url=_url(machine),
        body=models.REQUEST,
        branch=BRANCH,
        file=FILE,
        artifacts=story.artifacts.values(),
        log=machine.log,
    )
    _print(console, lines)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


def _url(machine: Machine) -> str:
    return f"http://{machine.gateway}/{NAMESPACE}/{SERVER}/{DEPLOYMENT}/infer"


def _nothing_left(machine: Machine) -> Check:
    left = machine.left_behind()
    return Check("nothing is left behind: no process, no shared memory", not left, "; ".join(left) or "nothing")


def _conclude(console: Console, screen: Board, story: Story, found: list[Check]) -> None:
    """What happened, what was promised, and where to read on."""
    _print(console, ["", "Timeline", ""])
    events = story.history.events
    console.print(board.overview(events, checks.shares(events, story.record), screen.start))
    _print(console, ["", "Promised, and seen", ""])
    console.print(board.results(found))
    kept = sum(check.kept for check in found)
    tally = checks.tally(story.record, story.deleted_at)
    _print(console, ["", str(tally), f"{kept} of {len(found)} promises kept.", ""])
    _print(console, hints.history(story.machine.bare, BRANCH, STATUS))
    if kept < len(found):
        _print(console, ["", f"What went wrong may be in {story.machine.log} and below {story.machine.directory}."])


def _print(console: Console, lines: Sequence[str]) -> None:
    """Text as it is, never folded: people copy it."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
