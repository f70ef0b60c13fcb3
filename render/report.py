"""Findings as people read them. Pure."""

from collections.abc import Iterable

import msgspec

from render.characters import printable
from render.normal import Wanted
from schemas.status import Finding


def of(wanted: Wanted) -> list[Finding]:
    """All findings of one acceptance, each once, in the order of files and lines."""
    by_resource = [*wanted.servers.values(), *wanted.deployments.values()]
    return in_order([*wanted.repository.findings, *(finding for one in by_resource for finding in one.findings)])


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once, in the order of files and lines. Of several that differ in their second place alone, as where
    two clusters refuse the same, it is the first."""
    unlike: dict[Finding, Finding] = {}
    for one in sorted(set(findings), key=_order):
        unlike.setdefault(msgspec.structs.replace(one, other=None), one)
    return list(unlike.values())


def _order(finding: Finding) -> tuple[object, ...]:
    other = finding.other
    second = (other.file, other.line, other.column) if other is not None else ()
    rest = finding.severity, finding.hint or ""
    return finding.file, finding.line, finding.column, finding.rule, finding.message, second, *rest


def line(finding: Finding) -> str:
    """`file:line:column: FRnnn message`, with the hint in brackets: one line, whatever a name in it holds."""
    kind = "" if finding.severity == "error" else f"{finding.severity}: "
    hint = f" ({finding.hint})" if finding.hint else ""
    text = f"{finding.file}:{finding.line}:{finding.column}: {finding.rule} {kind}{finding.message}{hint}"
    return printable(text)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether one of them is more than a warning."""
    return any(finding.severity == "error" for finding in findings)
