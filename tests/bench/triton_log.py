"""What Triton's own log tells of loads, to the microsecond. Reads a file."""

import re
import time
from calendar import timegm
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(
    r"^I(?P<day>\d{4}) (?P<time>\d\d:\d\d:\d\d)\.(?P<micros>\d{6}) .*\] \"?(?P<what>loading: |successfully loaded ')"
    r"(?P<name>[^:'\"]+)"
)


@dataclass(frozen=True, slots=True)
class Loading:
    """One load. POSIX seconds: when the server began with it, and when the model was ready."""

    name: str
    began: float
    ready: float

    @property
    def seconds(self) -> float:
        """How long the server itself took."""
        return self.ready - self.began


def began(log: Path, name: str, *, after: float) -> float | None:
    """When the server first began to load `name` after that time, POSIX seconds; None if it has not."""
    return next((at for what, at, who in _events(log) if what == "loading: " and who == name and at >= after), None)


def loadings(log: Path, name: str) -> list[Loading]:
    """All loads of `name` that succeeded, oldest first."""
    found: list[Loading] = []
    start: float | None = None
    for what, at, who in _events(log):
        if who != name:
            continue
        if what == "loading: ":
            start = at
        elif start is not None:
            found.append(Loading(name, start, at))
            start = None
    return found


def _events(log: Path) -> list[tuple[str, float, str]]:
    lines = log.read_text("utf-8", errors="replace").splitlines()
    return [(match["what"], _posix(match), match["name"]) for line in lines if (match := _LINE.match(line))]


def _posix(match: re.Match[str]) -> float:
    """The log has no year; its times are UTC."""
    year = time.gmtime().tm_year
    whole = time.strptime(f"{year}{match['day']} {match['time']}", "%Y%m%d %H:%M:%S")
    return timegm(whole) + int(match["micros"]) / 1e6
