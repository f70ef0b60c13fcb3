"""Reading, writing and pushing with real git, over real HTTP."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.local.git_server import serving
from render.errors import NotFound, RemoteUnavailable
from render.repository import Author, CommitFiles, PushOutcome, Repository, WorkingTree, blob_id, message
from tests.support.git import bare_repository, commit_files
from tests.support.git import git as run_git

AUTHOR = Author("Fresco", "fresco@example.com", 1_700_000_000)
BRANCH = "refs/heads/clusters/local"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return bare_repository(tmp_path / "served" / "repo.git")


@pytest.fixture
def url(bare: Path) -> Iterator[str]:
    with serving(bare.parent) as server:
        yield server.url(bare.name)


def clone(tmp_path: Path, name: str, url: str) -> Repository:
    return Repository.open_or_clone(tmp_path / name, url)


def git(path: Path, *args: str) -> str:
    return run_git(*args, cwd=path)


def test_a_commit_costs_and_changes_only_what_it_names(tmp_path: Path, url: str) -> None:
    repository = clone(tmp_path, "a", url)
    first = repository.commit_tree(None, {"a/b/c.yaml": b"1", "a/d.yaml": b"2", "x/y": b"3"}, "first", AUTHOR)
    second = repository.commit_tree(first, {"a/b/c.yaml": None, "a/d.yaml": b"4"}, "second", AUTHOR)
    assert list(repository.files(first)) == ["a/b/c.yaml", "a/d.yaml", "x/y"]
    assert repository.files(second) == {"a/d.yaml": blob_id(b"4"), "x/y": blob_id(b"3")}
    assert repository.files(second, "a/") == {"a/d.yaml": blob_id(b"4")}
    assert repository.files(second, "absent") == {}
    assert repository.read(repository.files(second)["a/d.yaml"]) == b"4"
    assert repository.parents(second) == [first]


def test_differences_name_what_is_new_other_or_gone(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "--quiet")
    first = commit_files(folder, {"same/a": "1", "x/b": "2", "x/c": "3", "becomes-a-link": "4"})
    for gone in ("x/c", "becomes-a-link"):
        (folder / gone).unlink()
    (folder / "becomes-a-link").symlink_to("x/b")
    second = commit_files(folder, {"x/b": "5", "ü": "6"})
    repository = Repository.open(folder)
    expected = {"x/b": blob_id(b"5"), "x/c": None, "becomes-a-link": None, "ü": blob_id(b"6")}
    assert repository.differences(first, second) == expected
    assert repository.differences(None, second) == repository.files(second)
    assert repository.differences(second, second) == {}


def test_a_line_of_commits_goes_by_the_first_parents(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commits = [commit_files(folder, {"a": text}) for text in "12"]
    git(folder, "checkout", "--quiet", "-b", "other", commits[0])
    other = commit_files(folder, {"b": "1"})
    git(folder, "checkout", "--quiet", "main")
    git(folder, "merge", "--quiet", "--no-edit", "other")
    repository = Repository.open(folder)
    merge = repository.resolve("main") or ""
    assert repository.line(merge) == [*commits, merge]
    assert repository.line(merge, commits[0]) == [commits[1], merge]
    assert repository.line(merge, merge) == []
    with pytest.raises(NotFound, match="was not made on top of"):
        repository.line(merge, other)


def test_a_commit_tells_who_wrote_it(tmp_path: Path, url: str) -> None:
    repository = clone(tmp_path, "a", url)
    commit = repository.commit_tree(None, {"a": b"1"}, "first", AUTHOR)
    assert repository.writers_of(commit) == (AUTHOR, AUTHOR)


def test_no_change_gives_the_parent_and_the_last_file_can_go(tmp_path: Path, url: str) -> None:
    repository = clone(tmp_path, "a", url)
    first = repository.commit_tree(None, {"a": b"1"}, "first", AUTHOR)
    assert repository.commit_tree(first, {"a": b"1", "gone/b": None}, "same", AUTHOR) == first
    assert repository.files(repository.commit_tree(first, {"a": None}, "empty", AUTHOR)) == {}


def test_a_file_may_become_a_folder_and_a_folder_a_file(tmp_path: Path, url: str) -> None:
    repository = clone(tmp_path, "a", url)
    first = repository.commit_tree(None, {"a": b"1", "b/c": b"2"}, "first", AUTHOR)
    second = repository.commit_tree(first, {"a/d": b"3", "b": b"4"}, "second", AUTHOR)
    assert list(repository.files(second)) == ["a/d", "b"]
    assert git(tmp_path / "a", "fsck", "--strict", "--no-dangling") == ""


def test_a_push_arrives_and_is_fetched_by_another(tmp_path: Path, bare: Path, url: str) -> None:
    ours, theirs = clone(tmp_path, "a", url), clone(tmp_path, "b", url)
    commit = ours.commit_tree(None, {"a": b"1"}, message("Subject", "Body.", {"Reason": "two\nlines"}), AUTHOR)
    assert ours.push(url, commit, BRANCH).outcome is PushOutcome.OK
    assert git(bare, "rev-parse", BRANCH) == commit
    theirs.fetch(url)
    assert theirs.resolve("refs/remotes/origin/clusters/local") == commit
    assert theirs.trailers_of(commit) == {"Reason": "two lines"}
    assert theirs.time_of(commit) == AUTHOR.time
    assert theirs.message_of(commit).startswith("Subject\n\nBody.\n\n")


def test_a_rival_push_is_a_lost_race_and_nothing_is_lost(tmp_path: Path, bare: Path, url: str) -> None:
    ours, theirs = clone(tmp_path, "a", url), clone(tmp_path, "b", url)
    base = ours.commit_tree(None, {"a": b"1"}, "base", AUTHOR)
    assert ours.push(url, base, BRANCH).outcome is PushOutcome.OK
    theirs.fetch(url)
    rival = theirs.commit_tree(base, {"a": b"2"}, "rival", AUTHOR)
    assert theirs.push(url, rival, BRANCH).outcome is PushOutcome.OK
    late = ours.commit_tree(base, {"a": b"3"}, "late", AUTHOR)
    assert ours.push(url, late, BRANCH).outcome is PushOutcome.LOST_RACE
    ours.fetch(url)
    assert ours.push(url, late, BRANCH).outcome is PushOutcome.LOST_RACE
    assert git(bare, "rev-parse", BRANCH) == rival
    assert ours.is_ancestor(ancestor=base, commit=rival)
    assert not ours.is_ancestor(ancestor=late, commit=rival)


@pytest.mark.parametrize(
    ("words", "outcome"),
    [("GH006: Protected branch update failed", PushOutcome.REFUSED), ("cannot lock ref", PushOutcome.LOST_RACE)],
)
def test_what_the_server_says_decides(tmp_path: Path, bare: Path, url: str, words: str, outcome: PushOutcome) -> None:
    ours = clone(tmp_path, "a", url)
    hook = bare / "hooks" / "update"
    hook.write_text(
        f"#!/bin/sh\necho '{words}' >&2\nexit 1\n" if outcome is PushOutcome.REFUSED else "#!/bin/sh\nexit 0\n"
    )
    hook.chmod(0o755)
    if outcome is PushOutcome.LOST_RACE:
        (bare / (BRANCH + ".lock")).parent.mkdir(parents=True)
        (bare / (BRANCH + ".lock")).touch()
    commit = ours.commit_tree(None, {"a": b"1"}, "base", AUTHOR)
    result = ours.push(url, commit, BRANCH)
    assert result.outcome is outcome
    assert result.reason


def test_a_branch_deleted_at_the_remote_goes_here(tmp_path: Path, bare: Path, url: str) -> None:
    ours = clone(tmp_path, "a", url)
    ours.push(url, ours.commit_tree(None, {"a": b"1"}, "base", AUTHOR), BRANCH)
    ours.fetch(url)
    assert ours.resolve("refs/remotes/origin/clusters/local") is not None
    git(bare, "update-ref", "-d", BRANCH)
    ours.fetch(url)
    assert ours.resolve("refs/remotes/origin/clusters/local") is None


_LEFT = (
    "HEAD.lock",
    "config.lock",
    "packed-refs.lock",
    "refs/heads/a/b.lock",
    f"{BRANCH}.lock",
    "objects/ab/tmp_git2_1",
)


@pytest.mark.parametrize("left", [*_LEFT, "objects/pack/pack_git2_x1", "objects/tmp_object_git2_x2"])
def test_what_a_killed_process_has_left_stops_nobody(tmp_path: Path, url: str, left: str) -> None:
    repository = clone(tmp_path, "a", url)
    commit = repository.commit_tree(None, {"a": b"1"}, "first", AUTHOR)
    (tmp_path / "a" / left).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "a" / left).touch()
    repository = clone(tmp_path, "a", url)
    repository.set_reference(BRANCH, commit)
    assert repository.push(url, commit, BRANCH).outcome is PushOutcome.OK
    repository.fetch(url, (f"+{BRANCH}:{BRANCH}",))
    assert clone(tmp_path, "a", url).resolve(BRANCH) == commit
    assert not (tmp_path / "a" / left).exists()


@pytest.mark.parametrize("missing", ["HEAD", "config", "refs", "objects", "description"])
def test_a_clone_that_was_made_in_part_is_made_to_its_end(tmp_path: Path, url: str, missing: str) -> None:
    clone(tmp_path, "a", url)  # of a repository with nothing in it yet
    person = clone(tmp_path, "person", url)
    person.push(url, person.commit_tree(None, {"a": b"1"}, "first", AUTHOR), "refs/heads/main")
    place = tmp_path / "a" / missing
    if place.is_dir():
        shutil.rmtree(place)
    elif place.exists():
        place.unlink()
    repository = clone(tmp_path, "a", url)
    repository.fetch(url)
    assert repository.resolve("refs/remotes/origin/main") is not None


def test_errors_name_what_is_missing(tmp_path: Path, url: str) -> None:
    ours = clone(tmp_path, "a", url)
    commit = ours.commit_tree(None, {"a": b"1"}, "base", AUTHOR)
    with pytest.raises(RemoteUnavailable):
        ours.fetch("http://127.0.0.1:1/none.git")
    with pytest.raises(RemoteUnavailable):
        ours.push(f"{url}-none", commit, BRANCH)
    with pytest.raises(NotFound):
        Repository.open(tmp_path / "nothing")
    with pytest.raises(NotFound):
        ours.read("0" * 40)
    with pytest.raises(NotFound):
        ours.files("0" * 40)
    with pytest.raises(NotFound):
        WorkingTree(tmp_path / "nothing")
    assert ours.resolve("refs/heads/none") is None
    assert ours.resolve("") is None


def test_a_working_tree_is_read_without_what_git_ignores(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "sub").mkdir()
    (tmp_path / "ignored").mkdir()
    for name in ("a.yaml", "sub/b.yaml", "ignored/c.yaml"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".gitignore").write_text("ignored/\n")
    (tmp_path / "link.yaml").symlink_to("/etc/passwd")
    files = WorkingTree(tmp_path)
    assert list(files.paths()) == [".gitignore", "a.yaml", "sub/b.yaml"]
    assert files.read("sub/b.yaml") == b"sub/b.yaml"
    assert list(WorkingTree(tmp_path / "sub").paths()) == ["b.yaml"]


def test_links_and_names_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.yaml").write_text("a")
    (tmp_path / "link.yaml").symlink_to("a.yaml")
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.yaml")).write_text("b")
    commit_files(tmp_path, {})
    repository = Repository.open(tmp_path)
    commit = repository.resolve("HEAD")
    assert commit is not None
    files = CommitFiles(repository, commit)
    assert list(files.paths()) == ["\\xff.yaml", "a.yaml"]
    assert files.read("\\xff.yaml") == b"b"


def test_a_file_is_called_the_same_among_all_and_among_what_differs(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for name in (b"a\nb.yaml", rb"a\nb.yaml", b"\xff.yaml"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(name)
    commit_files(tmp_path, {})
    repository = Repository.open(tmp_path)
    commit = repository.resolve("HEAD")
    assert commit is not None
    assert repository.differences(None, commit) == repository.files(commit)
