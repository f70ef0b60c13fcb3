"""`fresco status`: where deployments stand, from git alone. I/O: a git repository, the terminal, time."""

import argparse
import math
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import msgspec

from render import branches, follow, overview, report
from render.branches import Looks, Seen
from render.characters import columns, one_line
from render.diff.words import count
from render.errors import ExitCode, FrescoError, NotFound, RemoteUnavailable
from render.fetch import REMOTE, fetch
from render.forms.as_json import encoded
from render.repository import Repository
from render.waiting import Waiting
from schemas.base import seconds
from schemas.overview import ClusterOverview, Overview
from schemas.verdicts import Verdict, Verdicts

INTERVAL: Final = 2.0  # seconds between looks of --watch and --wait
EXAMPLES = """\
examples:
  fresco status                            # all deployments, what needs a person first
  fresco status fraud/scorer               # the timeline of one
  fresco status --watch                    # looks again every 2 s, until Ctrl-C
  fresco status --wait HEAD --timeout 1h   # until all that the commit asks for is served, for a pipeline

PROVEN: pods that are on record as having proven what they are told to serve, of the fewest that the server is to have.
AGE: time in the stage. A resource belongs to the commit of --wait if it asks for something else of it than its parent,
or allows its deletion at last; without any, it returns at once. --watch and --wait fetch from origin by themselves,
where there is one.

exit status of --wait: 0 every resource of the commit is complete; 1 one was rolled back, is invalid, or a newer commit
asks for something else; 2 out of time, or wrong use. Without --wait: 0, or 2 for wrong use
"""


class OutOfTime(FrescoError):
    """What was waited for has not come. Ends with 2."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("deployment", nargs="?", metavar="NAMESPACE/NAME", help="the timeline of one Deployment")
    parser.add_argument("--cluster", help="one of fresco.yaml's clusters (default: all that have a branch)")
    parser.add_argument("-C", dest="directory", type=Path, default=Path(), metavar="DIR", help="the repository")
    parser.add_argument("--fetch", action="store_true", help="fetch from origin first")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help=f"look again every {INTERVAL:g} s")
    how.add_argument("--wait", metavar="COMMIT", help="return when every resource of the commit is complete or failed")
    parser.add_argument(
        "--timeout", type=_duration, default="30m", metavar="TIME", help="the longest that --wait waits (default: 30m)"
    )


def _duration(text: str) -> float:
    if re.fullmatch(r"([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+", text) is None:
        raise argparse.ArgumentTypeError(f"expected a time such as 90s, 30m or 1h30m, got {text!r}")
    return seconds(text)


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    repository = Repository.open(options.directory)
    if options.fetch or _is_missing(repository, options.wait):
        fetch(options.directory)
    if options.wait is not None and options.deployment is not None:
        raise FrescoError(f"--wait is about all that a commit asks for: leave {options.deployment} out")
    if options.wait is not None:
        return _wait(Waiting(repository, options.wait, options.cluster), options)
    if options.watch:
        _watch(repository, options)
    sys.stdout.write(_shown(_look(Looks(repository), options), options))
    return ExitCode.FINE


def _is_missing(repository: Repository, commit: str | None) -> bool:
    """Whether a commit that was asked for may be at `origin` alone."""
    return commit is not None and repository.has_remote(REMOTE) and repository.resolve(commit) is None


def _look(looks: Looks, options: argparse.Namespace) -> list[Seen]:
    return [looks.at(one) for one in branches.select(looks.repository, options.cluster)]


# ---- one look


def _shown(seen: list[Seen], options: argparse.Namespace) -> str:
    if options.format == "json":
        clusters = tuple(_overview(one, options.deployment) for one in seen)
        return encoded(msgspec.to_builtins(Overview(schema_version=1, clusters=clusters)))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return "\n".join("".join(f"{line}\n" for line in _lines(one, options.deployment, width)) for one in seen)


def _lines(seen: Seen, name: str | None, width: int | None) -> Iterator[str]:
    now = time.time()
    source = f", of {one_line(seen.source[:12])}" if seen.source else ""
    written = overview.duration(now - seen.written_at)
    yield f"cluster {seen.cluster}: {seen.branch} at {seen.commit[:12]}, written {written} ago{source}"
    if name is not None:
        yield from overview.timeline(seen.status.deployments[_known(seen, name)], now, width)
        return
    yield from overview.notices(seen.status)
    yield from overview.table(overview.rows(seen.status, now), width)


def _overview(seen: Seen, name: str | None) -> ClusterOverview:
    rows = overview.rows(seen.status, time.time())
    if name is not None:
        key = _known(seen, name)
        status = seen.status.deployments[key]
        rows = [msgspec.structs.replace(row, status=status) for row in rows if row.deployment == key]
    return ClusterOverview(
        cluster=seen.cluster,
        branch=seen.branch,
        commit=seen.commit,
        source_commit=seen.source,
        notices=tuple(overview.notices(seen.status)),
        deployments=tuple(rows),
    )


def _known(seen: Seen, name: str) -> str:
    if name in seen.status.deployments:
        return name
    close = get_close_matches(name, seen.status.deployments, 1)
    hint = f": did you mean {close[0]}?" if close else ""
    raise NotFound(f"{seen.branch} has no Deployment {name!r}{hint}")


# ---- again and again


def _watch(repository: Repository, options: argparse.Namespace) -> None:
    """Shows every look: on a terminal in the place of the one before, elsewhere where a branch has moved. Ends by a
    signal alone."""
    looks, before = Looks(repository), None
    while True:
        problem = _fetch(repository, options)
        seen = _look(looks, options)
        frame = _shown(seen, options)
        news = (problem, [one.commit for one in seen])
        if sys.stdout.isatty():
            sys.stdout.write(f"\x1b[H\x1b[2J{frame if options.deployment else _fitted(frame)}")
        elif news != before:
            sys.stdout.write(frame)
        if problem is not None and news != before:
            sys.stderr.write(f"fresco: {problem}\n")
        sys.stdout.flush()
        before = news
        time.sleep(INTERVAL)


def _fitted(frame: str) -> str:
    """As much of a table as the terminal has lines for, and how much more there is: what matters stands above."""
    size, taken, lines = shutil.get_terminal_size(), 0, frame.splitlines()
    room = size.lines - 2  # the line about what is left out, and the one that the cursor stands in
    for index, line in enumerate(lines):
        taken += max(1, math.ceil(columns(line) / size.columns))
        if taken > room and (taken > room + 1 or index + 1 < len(lines)):
            return "".join(f"{one}\n" for one in (*lines[:index], f"… and {count(len(lines) - index, 'line')} more"))
    return frame


def _fetch(repository: Repository, options: argparse.Namespace) -> str | None:
    """Asks `origin`, where there is one. Gives what went wrong: the next time may be better."""
    if not repository.has_remote(REMOTE):
        return None
    try:
        fetch(options.directory)
    except RemoteUnavailable as problem:
        return str(problem)
    return None


def _wait(waiting: Waiting, options: argparse.Namespace) -> ExitCode:
    end = time.monotonic() + options.timeout
    said: frozenset[str] = frozenset()
    while True:
        problem = _fetch(waiting.repository, options)
        verdicts = waiting.look()
        lines = [waiting.line(one) for one in verdicts]
        lines += [f"fresco: {problem}"] if problem is not None else []
        sys.stderr.writelines(f"{line}\n" for line in lines if line not in said)
        said = frozenset(lines)
        if follow.is_over(verdicts):
            return _end(waiting, verdicts, options)
        left = end - time.monotonic()
        if left <= 0:
            if options.format == "json":
                sys.stdout.write(_as_json(waiting, verdicts))
            raise OutOfTime(f"{options.wait} is not complete after {overview.duration(options.timeout)}")
        time.sleep(min(INTERVAL, left))


def _as_json(waiting: Waiting, verdicts: list[Verdict]) -> str:
    told = Verdicts(schema_version=1, commit=waiting.commit, resources=tuple(verdicts))
    return encoded(msgspec.to_builtins(told))


def _end(waiting: Waiting, verdicts: list[Verdict], options: argparse.Namespace) -> ExitCode:
    """The outcome goes to standard output: findings, and a line to end with; what it came by went to standard error."""
    if options.format == "json":
        sys.stdout.write(_as_json(waiting, verdicts))
    else:
        sys.stdout.writelines(f"{one_line(report.line(one))}\n" for one in follow.findings(verdicts))
        counts = Counter(one.outcome.value for one in verdicts)
        summary = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
        sys.stdout.write(f"{waiting.commit[:12]}: {summary or 'it asks for nothing new'}\n")
    return ExitCode.FINE if follow.is_complete(verdicts) else ExitCode.FINDINGS
