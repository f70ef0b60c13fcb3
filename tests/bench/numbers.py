"""Figures and how they are printed. Pure, but for clock and cores."""

import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figures:
    """Durations in seconds, at least one."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        """Half are faster."""
        return median(self.values)

    @property
    def p99(self) -> float:
        """The smallest value that 99 % do not exceed; of fewer than a hundred the largest."""
        return sorted(self.values)[math.ceil(0.99 * len(self.values)) - 1]

    def line(self, name: str) -> str:
        """One line of a table."""
        values = f"{_ms(self.median)}  {_ms(self.p99)}  {_ms(min(self.values))}  {_ms(max(self.values))}"
        return f"  {name:<44}{values}  {len(self.values):>4}"


HEADER = f"  {'':<44}{'median':>10}  {'p99':>10}  {'least':>10}  {'most':>10}  {'n':>4}"


def table(*rows: tuple[str, Figures]) -> list[str]:
    """A table of several, by name."""
    return [HEADER, *(figures.line(name) for name, figures in rows)]


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def comparison(ours: Figures, peer: Figures, *, goal: float) -> list[str]:
    """The lines that follow a table of both. `goal`: seconds."""
    met = "met" if max(ours.median, ours.p99) <= goal else "missed"
    ratios = f"median {ours.median / peer.median:.2f}, p99 {ours.p99 / peer.p99:.2f}"
    return [
        f"  ratio to the peer: {ratios}; difference of the medians {_ms(ours.median - peer.median).strip()}",
        f"  goal ≤ {_ms(goal).strip()}, median and p99: {met}",
    ]


def ratio(ours: Figures, peer: Figures, *, goal: float | None = None) -> list[str]:
    """The line that follows a table of both where the peer is the bar. `goal`: the most that the ratio may be."""
    found = ours.median / peer.median
    judged = "" if goal is None else f"; goal ≤ {goal:.2f}: {'met' if found <= goal else 'missed'}"
    return [f"  ratio to the peer: median {found:.2f}{judged}"]


def megabytes(size: float) -> str:
    """`size` in bytes, for people."""
    return f"{size / (1 << 20):.0f} MiB"


def machine() -> str:
    """What it was measured on."""
    load = os.getloadavg()[0]
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f} at the start"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:7.1f} ms"
