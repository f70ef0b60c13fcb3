"""How amounts, values and texts from files are shown."""

import msgspec
import pytest

from render.diff import words
from render.diff.fields import differences
from render.diff.markdown import LIMIT, code, markdown, prose
from render.diff.text import text
from schemas.base import duration
from schemas.change import Action, Change, ClusterChange, DeploymentChange, ObjectChange, Objects, Served, What


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0"), (1, "1"), (2 << 30, "2Gi"), (1536 << 20, "1536Mi"), (2 * 10**9, "2G"), (1025, "1025"), (1 << 40, "1Ti")],
)
def test_memory_is_shown_in_the_units_in_which_people_write_it(count: int, shown: str) -> None:
    assert words.quantity(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.05, "50ms"),
        (8, "8s"),
        (90, "1m30s"),
        (3600, "1h"),
        (5400, "1h30m"),
        (86401, "1d1s"),
        (2.5, "2.5s"),
    ],
)
def test_times_are_shown_as_people_write_them(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_long_values_show_where_they_differ() -> None:
    before, after = words.pair("a" * 100 + "b" * 100, "a" * 100 + "c" * 100)
    assert before is not None
    assert after is not None
    assert before.startswith("…a")
    assert "b" in before
    assert "c" in after
    assert len(before) == len(after) == 60


def test_items_with_names_are_compared_by_name_and_others_by_place() -> None:
    before = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["--a", "--b"]}
    after = {"env": [{"name": "B", "value": "3"}, {"name": "A", "value": "1"}], "args": ["--a"]}
    found = [(one.path, one.before, one.after) for one in differences(before, after).shown]
    assert found == [("env[B].value", "2", "3"), ("args[1]", "--b", None)]


def test_text_of_json_is_compared_by_its_fields() -> None:
    (found,) = differences({"data": {"a.json": '{"x": {"y": 1}}'}}, {"data": {"a.json": '{"x": {"y": 2}}'}}).shown
    assert (found.path, found.before, found.after) == ('data["a.json"].x.y', "1", "2")


def test_hashes_of_what_differs_besides_are_not_told() -> None:
    before = {"serving.fresco.dev/content": "1", "checksum": "1", "replicas": 1}
    after = {"serving.fresco.dev/content": "2", "checksum": "2", "replicas": 2}
    assert [one.path for one in differences(before, after).shown] == ["replicas"]


@pytest.mark.parametrize("text", ["plain", "a `b` c", "``", "`", "", " ", "@team", "<img src=x>", "a\nb", "|"])
def test_code_is_closed_by_a_fence_that_it_does_not_hold(text: str) -> None:
    shown = code(text)
    fence = shown[: len(shown) - len(shown.lstrip("`"))]
    assert shown.endswith(fence)
    inside = shown[len(fence) : -len(fence)]
    assert fence not in inside.split(" ")
    assert "\n" not in shown
    assert inside.strip() == " ".join(text.split())


@pytest.mark.parametrize(
    "text", ["see GH-12", "as %4 says", "since 91669b8", "www.example.com", "s3://m/x", "@team", "#1"]
)
def test_words_that_a_host_makes_a_link_of_stand_in_code(text: str) -> None:
    assert prose(text) == f"`{text}`"


@pytest.mark.parametrize("text", ["rollout.paused holds it", "revision 2 → 3, 10 % of it", "begins in 1m30s"])
def test_other_words_stand_as_they_are(text: str) -> None:
    assert prose(text) == text


def changed(revision: str, objects: int = 0) -> Change:
    """A change whose texts come from a file."""
    served = Served(revision, "gpu-a", "scorer")
    deployment = DeploymentChange("fraud/scorer", What.FIRST, after=served, notes=(revision,))
    changes = tuple(
        ObjectChange(f"manifests/{number}.yaml", "Service", "fraud", f"object-{number}", Action.CREATED)
        for number in range(objects)
    )
    cluster = ClusterChange("prod", "main", objects=Objects(changes, 0), deployments=(deployment,))
    return Change(schema_version=1, base="a", head="b", clusters=(cluster,))


def test_a_table_keeps_its_columns_whatever_stands_in_it() -> None:
    lines = markdown(changed("a | b ` | @team")).splitlines()
    (row,) = (line for line in lines if line.startswith("| `fraud/scorer`"))
    assert row.replace("\\|", "").count("|") == 6


def test_an_empty_line_ends_what_is_folded() -> None:
    """Without one a host takes what comes next, the heading of the second cluster, for HTML, and shows its `####`."""
    change = changed("1", objects=1)
    (cluster,) = change.clusters
    lines = markdown(msgspec.structs.replace(change, clusters=(cluster, cluster))).splitlines()
    folds = [index for index, line in enumerate(lines) if line == "</details>"]
    assert [lines[index + 1 : index + 3] for index in folds] == [["", "#### Cluster prod"], []]


def test_a_comment_is_never_longer_than_its_limit_and_says_what_is_left_out() -> None:
    shown = markdown(changed("ä", objects=5000))
    assert LIMIT - 1000 < len(shown.encode()) <= LIMIT
    assert shown.count("<details>") == shown.count("</details>") == 1
    told = shown.count("- created")
    assert f"{5000 - told:,} lines left out" in shown


def test_a_terminal_obeys_nothing_that_stands_in_a_file() -> None:
    shown = text(changed("\x1b[2J\u202eevil"), color=False)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\ufffd[2J\ufffdevil" in shown


def test_color_is_given_only_where_it_is_asked_for() -> None:
    assert "\x1b[33m" in text(changed("1"), color=True)
    assert "\x1b" not in text(changed("1"), color=False)
