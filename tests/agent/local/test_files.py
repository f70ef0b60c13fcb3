"""Files that are whole or not there, and configs that change in one step."""

import threading
from pathlib import Path

from agent.local import files


def test_a_config_is_never_seen_half(tmp_path: Path) -> None:
    files.swap(tmp_path, {"a": "0" * 5000, "b": "0" * 5000})
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            # As a reader that wants several files of one state does it.
            try:
                data = (tmp_path / "..data").resolve(strict=True)
                seen.add((data / "a").read_text() == (data / "b").read_text() and len((data / "a").read_text()) == 5000)
            except FileNotFoundError:
                continue  # an older state was removed meanwhile

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 200):
        assert files.swap(tmp_path, {"a": f"{number % 10}" * 5000, "b": f"{number % 10}" * 5000})
    stop.set()
    reader.join()
    assert seen == {True}


def test_equal_content_changes_nothing(tmp_path: Path) -> None:
    assert files.swap(tmp_path, {"a": "1"})
    assert not files.swap(tmp_path, {"a": "1"})


def test_files_come_and_go_and_a_swap_that_was_cut_short_leaves_nothing(tmp_path: Path) -> None:
    files.swap(tmp_path, {"a": "1", "b": "1"})
    (tmp_path / "..data_tmp").symlink_to("nowhere")
    (tmp_path / "..0123").mkdir()
    (tmp_path / "..0123" / "a").write_text("half")
    files.swap(tmp_path, {"b": "2", "c": "2"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.name[:2] != ".."} == {"b": "2", "c": "2"}
    assert len(list(tmp_path.glob("..*"))) == 2


def test_what_is_not_whole_is_not_there(tmp_path: Path) -> None:
    files.put_json(tmp_path / "x.json", {"a": 1})
    assert files.get_json(tmp_path / "x.json") == {"a": 1}
    (tmp_path / "x.json").write_text('{"a": ')
    assert files.get_json(tmp_path / "x.json") is None
    assert files.get_json(tmp_path / "absent.json") is None
