"""What is said of a whole repository: both places of a finding about two, and what concerns some of its files."""

import time
from pathlib import Path

import pytest

from render import report
from render.check import Checked, check
from render.files import Replaced
from render.known import Known
from render.repository import WorkingTree
from schemas.status import Finding, OtherPlace

BAD = Path(__file__).parents[1] / "cases" / "bad"
GATEWAY = "      gateway: {name: public, namespace: gateway}\n"


def shown(one: Finding | OtherPlace | None) -> str:
    return f"{one.file}:{one.line}:{one.column}" if one is not None else ""


@pytest.mark.parametrize(
    ("case", "rule", "places"),
    [
        ("duplicate-resource", "FR020", {"copy.yaml:3:18": "scorer.yaml:3:18", "scorer.yaml:3:18": "copy.yaml:3:18"}),
        ("slice-name-taken", "FR020", {"other.yaml:3:18": "server.yaml:3:18"}),
        ("missing-server", "FR021", {"scorer.yaml:5:11": "server.yaml:3:18"}),
        ("invalid-server", "FR021", {"scorer.yaml:5:11": "server.yaml:3:18"}),
        ("other-backend", "FR021", {"scorer.yaml:5:11": "server.yaml:3:18"}),
        ("duplicate-model", "FR022", {"copy.yaml:10:11": "scorer.yaml:6:3"}),
        ("duplicate-route", "FR023", {"b.yaml:10:19": "a.yaml:10:19"}),
        ("two-base-models", "FR028", {"code.yaml:10:11": "chat.yaml:10:11"}),
        (
            "adapter-without-base",
            "FR029",
            dict.fromkeys(("german.yaml:7:5", "french.yaml:10:11"), "server.yaml:3:18"),
        ),
        ("memory", "FR046", {"b.yaml:10:13": "server.yaml:8:14"}),
        ("vllm-memory", "FR046", {"italian.yaml:11:13": "server.yaml:8:14"}),
        ("two-repositories", "FR051", {"fresco.yaml:13:1": "fresco.yaml:1:1"}),
        ("no-digest", "FR040", {"scorer.yaml:7:5": ""}),
    ],
)
def test_a_finding_about_two_places_names_both(case: str, rule: str, places: dict[str, str]) -> None:
    found = check(WorkingTree(BAD / case / "repo")).findings
    assert {shown(one): shown(one.other) for one in found if one.rule == rule} == places


def test_what_two_clusters_refuse_is_said_once_with_the_place_of_the_first() -> None:
    repository = BAD / "file-outside-local" / "repo"
    cluster = "    - name: prod\n"
    both = (repository / "fresco.yaml").read_text().replace(cluster, f"{cluster}{GATEWAY}    - name: stage\n")
    found = check(Replaced(WorkingTree(repository), "fresco.yaml", both.encode())).findings
    assert [(one.rule, shown(one.other)) for one in found] == [("FR035", "fresco.yaml:5:7")]


def test_findings_that_differ_in_their_hints_alone_have_an_order() -> None:
    findings = [Finding(file="a.yaml", line=1, column=1, rule="FR021", message="odd", hint=one) for one in "abcdefgh"]
    assert report.in_order(reversed(findings)) == findings


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["."], True),
        (["copy.yaml"], True),
        (["scorer.yaml"], True),
        (["fresco.yaml"], False),
        (["copy.yaml", "fresco.yaml"], True),
        (["cop"], False),
        ([], False),
    ],
)
def test_a_finding_concerns_the_files_of_both_its_places(paths: list[str], expected: bool) -> None:
    checked = check(WorkingTree(BAD / "duplicate-model" / "repo"))
    assert bool(checked.among(paths)) == expected


def test_many_findings_among_many_files_cost_no_more_than_each_once() -> None:
    one = Finding(file="a/b.yaml", line=1, column=1, rule="FR001", message="odd")
    checked = Checked((one,) * 20_000, read=1, is_whole=True, known=Known())

    paths = [f"c/{number}.yaml" for number in range(20_000)]
    before = time.process_time()
    assert checked.among(paths) == ()
    assert time.process_time() - before < 1  # looks at each of them for each finding take many


def test_a_server_of_another_namespace_is_not_suggested() -> None:
    repository = BAD / "missing-server" / "repo"
    server = (repository / "server.yaml").read_text().replace("namespace: fraud", "namespace: other")
    (finding,) = [
        one
        for one in check(Replaced(WorkingTree(repository), "server.yaml", server.encode())).findings
        if one.rule == "FR021"
    ]
    assert (finding.hint, finding.other) == (None, None)
