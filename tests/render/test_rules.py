"""Every rule is explained with examples that are true, and has a case of its own."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from render import gateways
from render.rules import Rule
from render.rules.explained import BASE, Example
from render.rules.table import RULES
from schemas.resources import Gateway
from tests.support.rule_examples import found

CASES = Path(__file__).parents[1] / "cases" / "bad"


def test_every_rule_is_explained() -> None:
    assert list(RULES) == sorted(Rule)


def test_every_rule_has_a_case_of_its_own() -> None:
    texts = [path.read_text("utf-8") for path in CASES.glob("*/expected/findings.txt")]
    shown = {rule for text in texts for rule in re.findall(r":\d+:\d+: (FR\d{3}) ", text)}
    assert {str(rule) for rule in Rule} - shown == set()


def test_nothing_is_wrong_with_what_the_examples_leave_out() -> None:
    assert found(Example(text=BASE["scorer.yaml"], file="scorer.yaml")) == []


@pytest.mark.parametrize("rule", Rule)
def test_the_wrong_example_breaks_the_rule_and_no_other(rule: Rule) -> None:
    example = RULES[rule].wrong
    assert {finding.rule for finding in found(example)} == {rule, *example.also}


@pytest.mark.parametrize("rule", Rule)
def test_the_right_example_breaks_no_rule_but_those_it_names(rule: Rule) -> None:
    example = RULES[rule].right
    assert {finding.rule for finding in found(example)} == {*example.also}
    assert rule not in example.also


@pytest.mark.parametrize("rule", Rule)
def test_an_explanation_is_a_title_and_whole_sentences(rule: Rule) -> None:
    one = RULES[rule]
    assert not one.title.endswith(".")
    assert one.why.endswith(".")
    assert max(len(line) for side in (one.wrong, one.right) for line in side.text.splitlines()) <= 100


def test_every_implementation_that_may_be_named_is_in_the_table_of_gateways() -> None:
    assert set(get_args(get_type_hints(Gateway)["implementation"])) == set(gateways.IMPLEMENTATIONS)
