"""Where a repository is, and what files and folders of it a person means. I/O: looks at folders, writes nothing."""

import os
from collections.abc import Iterable
from pathlib import Path

from render.document import REPOSITORY_FILE
from render.errors import NotFound
from render.repository import shown, work_tree


def root_of(path: Path) -> Path:
    """The root of the repository that `path`, which may be a file or not exist yet, is in.

    That is the first folder upwards that holds fresco.yaml, but no further up than the top of the git work tree; where
    there is none, that top; outside of git, the folder itself.
    """
    folder = _folder(path.resolve())
    git = work_tree(folder)
    limit = git.resolve() if git is not None else None
    for one in (folder, *folder.parents):
        if (one / REPOSITORY_FILE).is_file():
            return one
        if one == limit:
            break
    return limit or folder


def inside(root: Path, paths: Iterable[Path]) -> list[str]:
    """`paths` as `Files` has them below `root`, which is called `.`. Raises NotFound for one that is elsewhere."""
    return [_inside(root.resolve(), path) for path in paths]


def shown_from(folder: Path, root: Path) -> str:
    """What the paths of files in `root` begin with for somebody in `folder`: nothing, or something that ends with `/`.

    Relative where one of the two is below the other, otherwise absolute.
    """
    here, there = folder.resolve(), root.resolve()
    if not (there.is_relative_to(here) or here.is_relative_to(there)):
        return f"{there}/"
    way = os.path.relpath(there, here)
    return "" if way == "." else f"{way}/"


def _inside(root: Path, path: Path) -> str:
    whole = path.resolve()
    if not whole.is_relative_to(root):
        raise NotFound(f"{path} is not in the repository {root}")
    return shown(whole.relative_to(root).as_posix())


def _folder(path: Path) -> Path:
    """The nearest folder that is there, `path` itself or above it."""
    return next(one for one in (path, *path.parents) if one.is_dir())
