"""The two sides of a change, read: a commit, and what is there now or in another one. I/O through what it is handed."""

from render.document import Loaded, LoadedFile
from render.files import Files
from render.load import is_yaml, load, load_file
from render.repository import CommitFiles, blob_id


def load_both(base: CommitFiles, head: Files) -> tuple[Loaded, Loaded]:
    """What `base` and `head` hold. A file that is the same on both is read as YAML once, and is one object."""
    after = load(head)
    before = {path: _of_base(path, base, head, after) for path in base.paths() if is_yaml(path)}
    return Loaded.of(before), after


def _of_base(path: str, base: CommitFiles, head: Files, after: Loaded) -> LoadedFile:
    file = after.files.get(path)
    if file is not None and not file.findings and blob_id(head.read(path)) == base.blobs[path]:
        return file
    return load_file(path, base.read(path))
