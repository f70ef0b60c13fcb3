"""What every form of the output is made of. Pure values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from schemas.status import Finding


class Terminal(NamedTuple):
    """What the text goes to: how many columns it has, and whether it is to have colours."""

    columns: int
    has_colours: bool


@dataclass(frozen=True, slots=True)
class Report:
    """`findings`: in order, their paths as the reader's tool resolves them. `lines`: the text of each line that one is
    about, by that path and line. `count`: how many files were read. `terminal`: None when the text goes to none."""

    findings: tuple[Finding, ...]
    lines: Mapping[tuple[str, int], str]
    count: int
    terminal: Terminal | None = None


def fingerprints(report: Report) -> Iterator[str]:
    """For each finding what tells it from the others and stays when lines above it come and go: 64 hex digits, of its
    path, its rule, the text of its line, and the how-many-th it is of such."""
    seen: dict[tuple[str, str, str], int] = {}
    for one in report.findings:
        known = (one.file, one.rule, report.lines.get((one.file, one.line), "").strip())
        seen[known] = seen.get(known, 0) + 1
        text = "\0".join((*known, str(seen[known])))
        yield sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def told(finding: Finding) -> str:
    """The message, with the hint in brackets."""
    return f"{finding.message} ({finding.hint})" if finding.hint else finding.message
