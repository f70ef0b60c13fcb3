"""`fresco explain`: what a rule asks for and why, or what a field is for, with examples. I/O: standard output."""

import argparse
import re
import sys
from textwrap import fill, indent

from render import fields
from render.errors import ExitCode
from render.rules import Rule, named
from render.rules.explained import Example, Explained
from render.rules.second import places
from render.rules.table import RULES

EXAMPLES = """\
examples:
  fresco explain FR042                      # what this rule asks for, and why
  fresco explain deployment.rollout.steps   # what this field is for, and what may be in it
  fresco explain                            # all rules, a line each
"""

_READING = "What an example leaves out is right, and a field that is null is not there at all."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("topic", nargs="?", metavar="RULE|FIELD", help="a rule's id, or a field (default: all rules)")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    sys.stdout.write(_rules() if options.topic is None else _explained(options.topic))
    return ExitCode.FINE


def _rules() -> str:
    return "".join(f"{rule} {one.title}\n" for rule, one in RULES.items())


def _explained(topic: str) -> str:
    if not re.fullmatch(r"fr\d*", topic, re.IGNORECASE):
        return fields.text(topic)
    rule = named.find(topic)
    return _page(rule, RULES[rule])


def _page(rule: Rule, one: Explained) -> str:
    why = fill(" ".join([one.why, *places(rule)]), 100)
    parts = [f"{rule} {one.title}", why, *_side("Wrong", one.wrong), *_side("Right", one.right)]
    return "\n\n".join([*parts, _READING]) + "\n"


def _side(word: str, example: Example) -> list[str]:
    before = ["Before:", indent(example.before.rstrip(), "    ")] if example.before is not None else []
    file = f" ({example.file})" if example.file is not None else ""
    return [*before, f"{word}{file}:", indent(example.text.rstrip(), "    ")]
