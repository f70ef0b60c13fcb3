"""What a repository says of itself at its top: `fresco.yaml` and `fresco.lock`. I/O: files."""

from pathlib import Path

from render import lockfile, settings
from render.document import REPOSITORY_FILE, Loaded, LoadedFile
from render.load import load_file
from render.lockfile import Digests
from schemas.lockfile import FILE_NAME
from schemas.resources import RepositorySpec


def spec(root: Path) -> RepositorySpec | None:
    """What the `fresco.yaml` of `root` says; None where it is broken or missing, which `fresco validate` explains."""
    path = root / REPOSITORY_FILE
    found = settings.read(Loaded({REPOSITORY_FILE: _loaded(path)} if path.is_file() else {}))
    return found if isinstance(found, RepositorySpec) else None


def digests(root: Path) -> Digests:
    """What the `fresco.lock` of `root` says; nothing where there is none."""
    path = root / FILE_NAME
    return lockfile.read(_loaded(path) if path.is_file() else None)


def _loaded(path: Path) -> LoadedFile:
    return load_file(path.name, path.read_bytes())
