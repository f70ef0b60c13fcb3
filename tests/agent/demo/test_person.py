"""A person's work: real git, over HTTP, and edits that change the lines they are about and no other byte."""

from pathlib import Path

import pytest

from agent.demo import person
from agent.demo.person import GitFailed, Person, git, with_fields
from agent.local.git_server import GitServer

DEPLOYMENT = """\
spec:
  model:
    revision: "1" # a label
    digest: sha256:00
  rollout:
    steps: [{weight: 10}]
"""


def test_fields_are_changed_in_place() -> None:
    """One line each."""
    changed = with_fields(DEPLOYMENT, {"revision": '"2"', "digest": "sha256:11"})
    assert changed == DEPLOYMENT.replace('"1" # a label', '"2"').replace("sha256:00", "sha256:11")


@pytest.mark.parametrize("field", ["uri", "weight"])
def test_a_field_without_a_line_of_its_own_is_a_mistake(field: str) -> None:
    """Better than a commit that changes nothing."""
    with pytest.raises(ValueError, match=field):
        with_fields(DEPLOYMENT, {field: "x"})


@pytest.fixture
def ada(tmp_path: Path, repositories: Path, git_server: GitServer) -> Person:
    """Somebody with a clone of a new repository."""
    person.bare_repository(repositories / "models.git")
    return Person(tmp_path / "clone", git_server.url("models.git"))


def test_commits_arrive(ada: Person, repositories: Path) -> None:
    """Written, changed back, deleted: each is a commit on main."""
    bare = repositories / "models.git"
    ada.write("fraud/scorer.yaml", "one\n")
    first = ada.commit("Serve one")
    assert git("rev-parse", "main", cwd=bare) == first
    ada.write("fraud/scorer.yaml", "two\n")
    ada.commit("Serve two")
    ada.revert("Go back to one")
    assert git("show", "main:fraud/scorer.yaml", cwd=bare) == "one"
    ada.delete("fraud/scorer.yaml")
    ada.commit("Delete it")
    assert git("ls-tree", "--name-only", "main", cwd=bare) == ""
    assert git("log", "--format=%an: %s", "main", cwd=bare).splitlines() == [
        "Ada Example: Delete it",
        "Ada Example: Go back to one",
        "Ada Example: Serve two",
        "Ada Example: Serve one",
    ]


def test_a_failure_of_git_says_what_git_said(ada: Person) -> None:
    """There is nothing to commit."""
    with pytest.raises(GitFailed, match="git revert"):
        ada.revert("Go back")
