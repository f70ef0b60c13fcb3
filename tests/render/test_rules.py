"""Every rule is explained with examples that are true, and has a case of its own."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from render import gateways
from render.errors import NotFound
from render.rules import Rule, named
from render.rules.explained import BASE, Example
from render.rules.second import ONE_PLACE, SECOND
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


def test_every_rule_is_about_two_places_or_about_one() -> None:
    assert set(SECOND) | ONE_PLACE == {str(rule) for rule in Rule}
    assert not set(SECOND) & ONE_PLACE


def test_every_rule_about_two_places_has_a_case_that_shows_both() -> None:
    texts = [path.read_text("utf-8") for path in CASES.glob("*/expected/findings.txt")]
    shown = {rule for text in texts for rule in re.findall(r":\d+:\d+: (FR\d{3}) .*\n    and ", text)}
    assert set(SECOND) - shown == set()


@pytest.mark.parametrize("rule", sorted(SECOND.keys() - {Rule.NO_VERSION}))  # the default image stands in no file
def test_the_wrong_example_of_a_rule_about_two_places_shows_both(rule: Rule) -> None:
    mine = [one for one in found(RULES[rule].wrong) if one.rule == rule]
    assert mine
    assert [one for one in mine if one.other is None] == []


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FR43", "there is no rule 'FR43', did you mean FR043?"),
        ("43", "there is no rule '43', did you mean FR043?"),
        ("fr0043", "there is no rule 'fr0043', did you mean FR043?"),
        ("FR999", "there is no rule 'FR999', expected one like FR001: `fresco explain` lists them"),
        ("FR430", "there is no rule 'FR430', expected one like FR001: `fresco explain` lists them"),
        ("NO_DIGEST", "there is no rule 'NO_DIGEST', expected one like FR001: `fresco explain` lists them"),
    ],
)
def test_who_names_no_rule_is_told_the_one_with_that_number_or_where_all_are(text: str, words: str) -> None:
    with pytest.raises(NotFound, match=re.escape(words) + "$"):
        named.find(text)


def test_a_rule_is_found_in_large_letters_and_small() -> None:
    assert [named.find(text) for text in ("FR043", "fr043")] == [Rule.STEPS_WITHOUT_CANARY] * 2
