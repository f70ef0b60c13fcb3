"""Files that are whole or not there at all. I/O: small local files."""

import contextlib
import json
from pathlib import Path
from typing import Any
from uuid import uuid4


def put(path: Path, content: bytes) -> None:
    """Writes `content` beside `path` and renames it there: a reader, or a start after a crash, sees old or new."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def put_json(path: Path, value: object) -> None:
    """As `put`, JSON for people to read too."""
    put(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")


def get_json(path: Path) -> Any:
    """What `put_json` wrote, or None where there is nothing, or nothing whole."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def swap(directory: Path, files: dict[str, str]) -> bool:
    """Makes `files` the content of `directory` in one step, the way the kubelet refreshes a mounted ConfigMap.

    The files lie in a directory of their own, `..data` is a link to it that is replaced by rename, and each visible
    name is a link through `..data`. Returns whether anything changed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    data = directory / "..data"
    if data.is_dir() and _content(data) == files:
        return False
    fresh = directory / f"..{uuid4().hex[:12]}"
    fresh.mkdir()
    for name, text in files.items():
        (fresh / name).write_text(text, "utf-8")
    link = directory / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.replace(data)
    _relink(directory, set(files))
    _remove_all_but(directory, fresh)
    return True


def _content(data: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in data.iterdir()}


def _relink(directory: Path, names: set[str]) -> None:
    for path in directory.iterdir():
        if not path.name.startswith("..") and path.name not in names:
            path.unlink()
    for name in names:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(Path("..data") / name)


def _remove_all_but(directory: Path, current: Path) -> None:
    """Older content, and what a swap that was cut short left."""
    for old in directory.glob("..*"):
        if old.is_dir() and not old.is_symlink() and old != current:
            for path in old.iterdir():
                path.unlink()
            old.rmdir()
