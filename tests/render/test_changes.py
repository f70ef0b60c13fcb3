"""What is odd about a change is said before it is committed."""

import pytest

from render.changes import findings
from render.document import Loaded
from render.load import load_file
from render.rules.explained import BASE

SCORER = BASE["scorer.yaml"]
OTHER_DIGEST = SCORER.replace("9f", "7c")
OTHER_REVISION = SCORER.replace('"1"', '"2"')


def files(text: str, path: str = "prod/scorer.yaml") -> Loaded:
    return Loaded({path: load_file(path, text.encode())})


@pytest.mark.parametrize(
    ("after", "rules"),
    [
        (SCORER, []),
        (OTHER_DIGEST, ["FR063"]),
        (OTHER_REVISION, ["FR064"]),
        (OTHER_REVISION.replace("9f", "7c"), []),
        (OTHER_DIGEST.replace("name: scorer", "name: another"), []),
        (OTHER_DIGEST.replace("server: gpu-a", "srever: gpu-a"), []),
        (SCORER.replace("    digest", "    # digest"), []),
    ],
)
def test_revision_and_digest_change_together(after: str, rules: list[str]) -> None:
    found = findings(files(SCORER), files(after), "prod")
    assert [one.rule for one in found] == rules
    assert {one.severity for one in found} <= {"warning"}


def test_a_file_that_was_moved_is_compared() -> None:
    assert [one.rule for one in findings(files(SCORER), files(OTHER_DIGEST, "prod/moved.yaml"), "prod")] == ["FR063"]


def test_clusters_are_compared_each_for_itself() -> None:
    assert findings(files(SCORER, "stage/scorer.yaml"), files(OTHER_DIGEST, "prod/scorer.yaml"), "prod") == []
    assert findings(files(SCORER), files(OTHER_DIGEST), "stage") == []
