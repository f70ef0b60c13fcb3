"""Findings for programs, as the contract `findings` of `schemas` says. Pure."""

import json

import msgspec

from render.forms.report import Report
from schemas.findings import Findings


def write(report: Report) -> str:
    """The whole output."""
    return encoded(msgspec.to_builtins(Findings(schema_version=1, findings=report.findings)))


def encoded(value: object) -> str:
    """JSON in ASCII, so that nothing in it can steer a terminal."""
    return json.dumps(value, indent=2) + "\n"
