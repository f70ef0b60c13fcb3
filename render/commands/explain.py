"""`fresco explain`: what a rule asks for and why, with an example of each side. I/O: standard output."""

import argparse
import sys
from textwrap import fill, indent

from render.errors import ExitCode, NotFound
from render.rules import Rule
from render.rules.explained import Example, Explained
from render.rules.table import RULES

EXAMPLES = """\
examples:
  fresco explain FR042    what this rule asks for, and why
  fresco explain          all rules, a line each
"""

_READING = "What an example leaves out is right, and a field that is null is not there at all."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("what", nargs="?", metavar="RULE", help="a rule's id, as findings name it (default: list them)")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    sys.stdout.write(_rules() if options.what is None else _explained(options.what))
    return ExitCode.FINE


def _rules() -> str:
    return "".join(f"{rule} {one.title}\n" for rule, one in RULES.items())


def _explained(what: str) -> str:
    known = next((rule for rule in Rule if rule == what.upper()), None)
    if known is None:
        raise NotFound(f"there is no rule {what!r}, expected one like {Rule.UNREADABLE}: `fresco explain` lists them")
    return _page(known, RULES[known])


def _page(rule: Rule, one: Explained) -> str:
    parts = [f"{rule} {one.title}", fill(one.why, 100), *_side("Wrong", one.wrong), *_side("Right", one.right)]
    return "\n\n".join([*parts, _READING]) + "\n"


def _side(word: str, example: Example) -> list[str]:
    before = ["Before:", indent(example.before.rstrip(), "    ")] if example.before is not None else []
    file = f" ({example.file})" if example.file is not None else ""
    return [*before, f"{word}{file}:", indent(example.text.rstrip(), "    ")]
