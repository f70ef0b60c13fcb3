"""The models volume: after a crash between any two steps the next start finds only what is whole."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.modelsync.errors import Failed
from agent.modelsync.identity import Target
from agent.modelsync.journal import Journal, LoadNote
from agent.modelsync.layout import CONFIG, Layout, Publication
from schemas.report import Reason
from tests.support.models import digest_of_directory, model


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty volume."""
    made = Layout(tmp_path / "models")
    made.recover()
    return made


def _stage(layout: Layout, answer: str) -> Target:
    temporary = layout.new_temporary()
    temporary.rmdir()
    model(temporary, answer)
    digest = digest_of_directory(temporary)
    layout.adopt(temporary, digest)
    return Target(digest, {"depth": "1"})


def _publish(layout: Layout, name: str, target: Target) -> Publication:
    publication = layout.prepare(name, target)
    (layout.path(publication) / CONFIG).write_text("")
    layout.switch(publication)
    return publication


def _tree(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def test_a_publication_has_real_directories_and_linked_files(layout: Layout) -> None:
    target = _stage(layout, "a")
    publication = _publish(layout, "scorer", target)
    seen = layout.repository / "scorer"
    assert layout.linked() == {"scorer": publication}
    assert publication.target == target
    assert (seen / "1").is_dir()
    assert not (seen / "1").is_symlink()
    assert (seen / "1" / "model.py").is_symlink()
    assert (seen / "1" / "model.py").read_text() == (layout.artifact(target.digest) / "1" / "model.py").read_text()
    assert not (seen / CONFIG).is_symlink(), "the artifact's own is never written to"


def test_links_hold_where_the_volume_is_mounted_elsewhere(layout: Layout, tmp_path: Path) -> None:
    _publish(layout, "scorer", _stage(layout, "a"))
    layout.root.rename(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "repository" / "scorer" / "1" / "model.py").is_file()


def test_each_publication_is_fresh_and_the_one_before_can_be_put_back(layout: Layout) -> None:
    first, second = (_publish(layout, "scorer", _stage(layout, name)) for name in "ab")
    assert first.directory != second.directory
    layout.put_back("scorer", first)
    assert layout.linked() == {"scorer": first}
    layout.tidy("scorer")
    assert _tree(layout.live) & {first.directory, second.directory} == {first.directory}
    assert layout.prepare("scorer", first.target).number > second.number


def test_tidying_one_name_leaves_those_that_begin_like_it(layout: Layout) -> None:
    target = _stage(layout, "a")
    kept = [_publish(layout, name, target) for name in ("a-1", "a-1-2", "a")]
    for name in ("a", "a-1", "a-1-2"):
        layout.tidy(name)
    layout.remove("a-1")
    assert layout.linked() == {"a-1-2": kept[1], "a": kept[2]}
    assert layout.path(kept[1]).is_dir()


def test_two_revisions_with_one_content_share_it(layout: Layout) -> None:
    assert _stage(layout, "a") == _stage(layout, "a")
    assert len(list(layout.store.iterdir())) == 1


class Crash(BaseException):
    """The program ends here."""


# Everything that changes the disk, as the code under test calls it.
_CALLS = ("mkdir", "rename", "replace", "symlink_to", "unlink", "write_text")


def _crash_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Ends the program at the `step`th change of the disk; returns how many there were so far."""
    count = 0

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == step:
                raise Crash
            return original(*arguments, **options)

        return call

    for name in _CALLS:
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    return lambda: count


def _change(layout: Layout, target: Target) -> None:
    """What the engine does to the disk for a load that fails."""
    previous = layout.linked()["scorer"]
    layout.tidy("scorer")
    _publish(layout, "scorer", target)
    layout.put_back("scorer", previous)
    layout.tidy("scorer")


def test_a_crash_between_any_two_steps_leaves_a_whole_publication(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = _stage(layout, "old"), _stage(layout, "new")
    _publish(layout, "scorer", old)
    for step in range(1, 100):
        with monkeypatch.context() as patch:
            steps = _crash_at(step, patch)
            try:
                _change(layout, new)
            except Crash:
                pass
            else:
                assert steps() < step
                break
        again = Layout(layout.root)
        again.recover()
        publication = again.linked()["scorer"]
        assert publication.target in (old, new), f"after step {step}"
        text = (again.repository / "scorer" / "1" / "model.py").read_text()
        assert ("new" in text) == (publication.target == new)
        assert list(again.temporary.iterdir()) == []
        assert {path.name.removesuffix(".json") for path in again.live.iterdir()} == {publication.directory}
        again.put_back("scorer", _publish(again, "scorer", old))
        layout = again
    else:
        pytest.fail("the change never ended")


def test_a_start_removes_downloads_and_links_that_are_not_whole(layout: Layout) -> None:
    (layout.new_temporary() / "half").write_text("?")
    (layout.repository / "ghost").symlink_to("../live/ghost-7")
    layout.recover()
    assert _tree(layout.root) == {"store", "live", "repository", "tmp"}


def test_a_directory_that_a_load_is_at_survives_a_start(layout: Layout) -> None:
    target = _stage(layout, "a")
    publication = layout.prepare("scorer", target)
    layout.recover(keep=frozenset([publication.directory]))
    assert layout.path(publication).is_dir()


def test_eviction_takes_an_artifact_away(layout: Layout) -> None:
    target = _stage(layout, "a")
    assert layout.staged() == {target.digest}
    layout.evict(target.digest)
    assert layout.staged() == frozenset()


def test_the_journal_survives_a_start(layout: Layout) -> None:
    target = _stage(layout, "a")
    note = LoadNote(_publish(layout, "scorer", target), None, attempt=2)
    error = Failed(Reason.QUARANTINED, "died", permanent=True).error(digest=target.digest, attempt=2)
    journal = Journal(layout.root)
    journal.begin(note)
    journal.suspect(note.key)
    journal.quarantine(note.key, error)
    journal.set_ready(True)
    journal.stop()
    again = Journal(layout.root)
    assert again.loading == {"scorer": note}
    assert again.crashes(note.key) == 1
    assert [(item.key, item.error) for item in again.quarantined] == [(note.key, error)]
    assert again.was_ready
    assert again.take_stopped()
    again.end("scorer")
    again.acquit(note.key)
    last = Journal(layout.root)
    assert (last.loading, last.crashes(note.key), last.take_stopped()) == ({}, 0, False)


def test_a_journal_that_the_disk_lost_is_begun_again(layout: Layout) -> None:
    (layout.root / "journal.json").write_bytes(b"\0\0\0")
    assert Journal(layout.root).loading == {}
