"""Findings as GitLab's Code Quality report, which merge requests show beside the changed lines. Pure."""

from typing import Any

from render.forms.as_json import encoded
from render.forms.report import Report, fingerprints, told
from schemas.status import Finding

_SEVERITY = {"error": "major", "warning": "minor"}


def write(report: Report) -> str:
    """The whole output."""
    return encoded([_issue(*one) for one in zip(report.findings, fingerprints(report), strict=True)])


def _issue(finding: Finding, fingerprint: str) -> dict[str, Any]:
    return {
        "description": f"{finding.rule} {told(finding)}",
        "check_name": finding.rule,
        "fingerprint": fingerprint,
        "severity": _SEVERITY[finding.severity],
        "location": {"path": finding.file, "lines": {"begin": finding.line}},
    }
