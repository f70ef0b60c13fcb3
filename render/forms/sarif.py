"""Findings as SARIF 2.1.0 (OASIS), which code scanning services and editors read. Pure."""

from typing import Any
from urllib.parse import quote

from render.forms.as_json import encoded
from render.forms.report import Report, fingerprints, told
from render.rules import RULES
from schemas.status import Finding, OtherPlace

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_INDEX = {rule.value: index for index, rule in enumerate(RULES)}


def write(report: Report) -> str:
    """The whole output."""
    run = {
        "tool": {"driver": {"name": "Fresco", "rules": [_rule(*one) for one in RULES.items()]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(*one) for one in zip(report.findings, fingerprints(report), strict=True)],
    }
    return encoded({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(rule: str, title: str) -> dict[str, Any]:
    return {
        "id": str(rule),
        "shortDescription": {"text": title},
        "help": {"text": f"{title}. Each finding says what was expected, what was found, and what to do."},
    }


def _result(finding: Finding, fingerprint: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": _INDEX[finding.rule],
        "level": finding.severity,
        "message": {"text": told(finding)},
        "locations": [_location(finding)],
        "partialFingerprints": {"finding/v1": fingerprint},
    }
    if finding.other is not None:
        result["relatedLocations"] = [{**_location(finding.other), "message": {"text": "the other place"}}]
    return result


def _location(place: Finding | OtherPlace) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(place.file)},
            "region": {"startLine": place.line, "startColumn": place.column},
        }
    }


def _uri(path: str) -> str:
    """A path as a reference to a URI: a relative one stays relative."""
    escaped = quote(path, errors="surrogateescape")
    return f"file://{escaped}" if path.startswith("/") else escaped
