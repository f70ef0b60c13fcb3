"""What a repository says of itself at its top: `fresco.yaml` and `fresco.lock`. I/O: files."""

from pathlib import Path

from render import lockfile, settings
from render.document import REPOSITORY_FILE, LoadedFile
from render.load import load_file
from render.lockfile import Digests
from schemas.lockfile import FILE_NAME
from schemas.resources import RepositorySpec


def spec(root: Path) -> RepositorySpec | None:
    """What the `fresco.yaml` of `root` says; None where it is broken or missing, which `fresco validate` explains."""
    found = settings.of_file(_loaded(root / REPOSITORY_FILE))
    return found if isinstance(found, RepositorySpec) else None


def digests(root: Path) -> Digests:
    """What the `fresco.lock` of `root` says; nothing where there is none."""
    return lockfile.read(_loaded(root / FILE_NAME))


def _loaded(path: Path) -> LoadedFile | None:
    return load_file(path.name, path.read_bytes()) if path.is_file() else None
