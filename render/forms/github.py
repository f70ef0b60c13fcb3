"""Findings as workflow commands of GitHub Actions, which become annotations of the changed lines. Pure."""

from render.characters import printable
from render.forms.report import Report, told
from schemas.status import Finding

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def write(report: Report) -> str:
    """The whole output."""
    return "".join(f"{_command(one)}\n" for one in report.findings)


def _command(finding: Finding) -> str:
    place = f"file={_escaped(finding.file, _PROPERTY)},line={finding.line},col={finding.column}"
    message = told(finding)
    if finding.other is not None:
        message += f"\nthe other place: {finding.other.file}:{finding.other.line}:{finding.other.column}"
    return f"::{finding.severity} {place},title={_escaped(finding.rule, _PROPERTY)}::{_escaped(message, _DATA)}"


def _escaped(text: str, table: dict[str, str]) -> str:
    """What would end a value is escaped as the runner undoes it; what would steer a terminal is replaced."""
    return "".join(table.get(one) or printable(one) for one in text)
