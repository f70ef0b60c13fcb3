"""Findings as JUnit's XML, which most services for continuous integration show: a test case a finding. Pure.

An error is a failed case. A warning is a passed one with the text as its output, because it fails nothing. No findings
are one passed case, since many readers take a report without cases for a mistake.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from render import report as lines
from render.characters import printable
from render.forms.report import Report, told
from schemas.status import Finding

_NAME = "fresco validate"


def write(report: Report) -> str:
    """The whole output."""
    counts = {
        "tests": str(len(report.findings) or 1),
        "failures": str(sum(one.severity == "error" for one in report.findings)),
        "errors": "0",
    }
    top = Element("testsuites", {"name": _NAME, **counts})
    suite = SubElement(top, "testsuite", {"name": _NAME, **counts})
    for one in report.findings:
        _case(suite, one)
    if not report.findings:
        SubElement(suite, "testcase", {"classname": _NAME, "name": "everything"})
    indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(top, encoding="unicode")}\n'


def _case(suite: Element, finding: Finding) -> None:
    file = printable(finding.file)
    name = f"{finding.rule} {finding.line}:{finding.column}"
    case = SubElement(suite, "testcase", {"classname": file, "name": name, "file": file, "line": str(finding.line)})
    if finding.severity == "error":
        failure = SubElement(case, "failure", {"type": finding.rule, "message": printable(told(finding))})
        failure.text = lines.line(finding)
    else:
        SubElement(case, "system-out").text = lines.line(finding)
