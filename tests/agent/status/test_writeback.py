"""Writing to a real git repository over HTTP: races, refusals, epochs."""

from pathlib import Path

import pytest

from agent.local.git_server import GitServer
from agent.status.writeback import SUBJECT_CHARACTERS, Account, Outcome, Tips, WriteBack, describe
from render.errors import RemoteUnavailable
from tests.support.git import bare_repository, commit_files, git

BRANCH = "clusters/local"


def account(*reasons: str) -> Account:
    """An account of a change, at a fixed time."""
    return Account(reasons=reasons or ("fraud/scorer: Validation",), because="test", source=None, version="0", at=1e9)


@pytest.fixture
def served(repositories: Path) -> Path:
    """The served bare repository, empty."""
    return bare_repository(repositories / "models.git")


@pytest.fixture
def url(git_server: GitServer) -> str:
    """Its address."""
    return git_server.url("models.git")


def writer(directory: Path, url: str) -> WriteBack:
    """A writer with a clone of its own."""
    return WriteBack(directory=directory, url=url, main="main", branch=BRANCH)


def subjects(served: Path) -> list[str]:
    """The branch's history, newest first."""
    return git("log", "--format=%s", BRANCH, cwd=served).splitlines()


def test_the_first_commit_makes_the_branch_in_an_empty_repository(served: Path, url: str, tmp_path: Path) -> None:
    mine = writer(tmp_path / "clone", url)
    assert mine.fetch() == Tips(main=None, cluster=None)

    written = mine.write(None, {"status/repository.yaml": b"a\n"}, account())

    assert written.outcome is Outcome.WRITTEN
    assert mine.fetch() == Tips(main=None, cluster=written.commit)
    assert git("show", f"{BRANCH}:status/repository.yaml", cwd=served) == "a"
    assert git("log", "-1", "--format=%an %(trailers:key=Lease-Epoch,valueonly,separator=)", BRANCH, cwd=served) == (
        "fresco-agent 1"
    )


def test_no_change_no_commit(served: Path, url: str, tmp_path: Path) -> None:
    mine = writer(tmp_path / "clone", url)
    mine.fetch()
    first = mine.write(None, {"a": b"1"}, account())
    assert mine.write(first.commit, {"a": b"1", "b": None}, account()).outcome is Outcome.UNCHANGED
    assert len(subjects(served)) == 1


def test_a_rival_between_fetch_and_push_wins_and_is_kept(served: Path, url: str, tmp_path: Path) -> None:
    mine = writer(tmp_path / "clone", url)
    mine.fetch()
    first = mine.write(None, {"a": b"1"}, account("first"))
    _commit_by_hand(url, tmp_path / "human", {"README.md": "ours"})

    lost = mine.write(first.commit, {"a": b"2"}, account("second"))
    assert lost.outcome is Outcome.LOST_RACE
    assert subjects(served) == ["change", "first"]

    again = mine.write(mine.fetch().cluster, {"a": b"2"}, account("second"))
    assert again.outcome is Outcome.WRITTEN
    assert subjects(served) == ["second", "change", "first"]
    assert git("show", f"{BRANCH}:README.md", cwd=served) == "ours"


def test_two_that_make_the_first_commit_at_once(served: Path, url: str, tmp_path: Path) -> None:
    one, other = writer(tmp_path / "one", url), writer(tmp_path / "other", url)
    one.fetch()
    other.fetch()
    assert one.write(None, {"a": b"1"}, account("one")).outcome is Outcome.WRITTEN
    assert other.write(None, {"a": b"2"}, account("other")).outcome is Outcome.LOST_RACE
    assert subjects(served) == ["one"]


def test_a_new_leader_takes_the_next_epoch_and_the_old_one_stops(served: Path, url: str, tmp_path: Path) -> None:
    old, new = writer(tmp_path / "old", url), writer(tmp_path / "new", url)
    old.fetch()
    first = old.write(None, {"a": b"1"}, account())
    second = new.write(new.fetch().cluster, {"a": b"2"}, account())
    assert (old.epoch, new.epoch) == (1, 2)

    assert old.write(first.commit, {"a": b"3"}, account()).outcome is Outcome.LOST_RACE
    assert old.write(old.fetch().cluster, {"a": b"3"}, account()).outcome is Outcome.DEPOSED
    assert git("rev-parse", BRANCH, cwd=served) == second.commit


def test_a_commit_by_hand_does_not_reset_the_epoch(url: str, served: Path, tmp_path: Path) -> None:
    mine = writer(tmp_path / "clone", url)
    mine.fetch()
    mine.write(None, {"a": b"1"}, account())
    _commit_by_hand(url, tmp_path / "human", {"README.md": "ours"})
    assert mine.epoch_of(mine.fetch().cluster) == 1
    later = writer(tmp_path / "later", url)
    assert later.write(later.fetch().cluster, {"a": b"2"}, account()).outcome is Outcome.WRITTEN
    assert later.epoch == 2


def test_a_refusal_tells_the_servers_words(served: Path, url: str, tmp_path: Path) -> None:
    hook = served / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'GH006: protected branch' >&2\nexit 1\n")
    hook.chmod(0o755)
    mine = writer(tmp_path / "clone", url)
    mine.fetch()
    refused = mine.write(None, {"a": b"1"}, account())
    assert refused.outcome is Outcome.REFUSED
    assert "hook declined" in refused.reason
    assert "GH006: protected branch" in refused.reason
    assert mine.fetch().cluster is None


def test_a_repository_that_is_away_raises(tmp_path: Path) -> None:
    with pytest.raises(RemoteUnavailable):
        writer(tmp_path / "clone", "http://127.0.0.1:9/models.git").fetch()


def test_a_clone_that_was_begun_without_success_is_finished_later(served: Path, url: str, tmp_path: Path) -> None:
    with pytest.raises(RemoteUnavailable):
        writer(tmp_path / "clone", "http://127.0.0.1:9/models.git").fetch()
    _push_main(url, tmp_path / "human", {"fresco.yaml": "a: 1"})
    assert writer(tmp_path / "clone", url).fetch().main is not None


def test_a_message_reads_well_in_one_line() -> None:
    text = describe(account("fraud/scorer: Model Traffic Routing, 10 % to revision 2"), 3)
    assert text == (
        "fraud/scorer: Model Traffic Routing, 10 % to revision 2\n\n"
        "Source-Commit: none\nFresco-Version: 0\nLease-Epoch: 3\nReason: test\n"
    )


def test_several_changes_have_a_line_each() -> None:
    text = describe(account("fraud/a: Validation", "fraud/b: Validation", "fraud/a: Asset Preparation"), 1)
    subject, _, rest = text.partition("\n\n")
    assert subject == "3 changes: fraud/a, fraud/b"
    assert rest.startswith("- fraud/a: Validation\n- fraud/b: Validation\n- fraud/a: Asset Preparation\n\n")


def test_several_changes_of_one_resource_are_named_by_the_last() -> None:
    subject, _, rest = describe(account("fraud/a: Validation", "fraud/a: Asset Preparation"), 1).partition("\n\n")
    assert subject == "fraud/a: Asset Preparation"
    assert rest.startswith("- fraud/a: Validation\n- fraud/a: Asset Preparation\n\n")


def test_a_long_subject_is_cut_and_told_in_full_below() -> None:
    reason = "fraud/a: Rollback In Progress, " + "long " * 40
    subject, _, rest = describe(account(reason), 1).partition("\n\n")
    assert len(subject) == SUBJECT_CHARACTERS
    assert rest.startswith(f"- {reason.strip()}")


def test_what_a_report_said_cannot_forge_trailers() -> None:
    text = describe(account("fraud/a: Rollback\n\nLease-Epoch: 99"), 1)
    assert text.count("\nLease-Epoch: ") == 1


def _commit_by_hand(url: str, checkout: Path, files: dict[str, str]) -> None:
    git("clone", "--quiet", "--branch", BRANCH, url, str(checkout), cwd=checkout.parent)
    commit_files(checkout, files)
    git("push", "--quiet", "origin", BRANCH, cwd=checkout)


def _push_main(url: str, checkout: Path, files: dict[str, str]) -> None:
    checkout.mkdir()
    git("init", "--quiet", "--initial-branch=main", cwd=checkout)
    commit_files(checkout, files)
    git("push", "--quiet", url, "main", cwd=checkout)
