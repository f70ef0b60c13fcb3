"""Where a repository begins, and what it says of itself there. I/O: files."""

from pathlib import Path

from render import lockfile, settings
from render.document import REPOSITORY_FILE, Loaded, LoadedFile
from render.load import load_file
from render.lockfile import Digests
from schemas.lockfile import FILE_NAME
from schemas.resources import RepositorySpec


def find(path: Path) -> Path | None:
    """The nearest folder at or above `path` that has a `fresco.yaml`."""
    absolute = path.resolve()
    return next((folder for folder in (absolute, *absolute.parents) if (folder / REPOSITORY_FILE).is_file()), None)


def spec(root: Path) -> RepositorySpec | None:
    """What the `fresco.yaml` of `root` says; None where it is broken, which `fresco validate` explains."""
    found = settings.read(Loaded({REPOSITORY_FILE: _loaded(root / REPOSITORY_FILE)}))
    return found if isinstance(found, RepositorySpec) else None


def digests(root: Path) -> Digests:
    """What the `fresco.lock` of `root` says; nothing where there is none."""
    path = root / FILE_NAME
    return lockfile.read(_loaded(path) if path.is_file() else None)


def _loaded(path: Path) -> LoadedFile:
    return load_file(path.name, path.read_bytes())
