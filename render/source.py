"""The humans' files, of one commit after the other. I/O: a git repository."""

from render.document import Loaded, LoadedFile
from render.load import is_yaml, load_file
from render.repository import Repository


class Source:
    """The humans' files of the commit that was read last, with their blob ids: unchanged files come from memory."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, LoadedFile]] = {}

    def read(self, repository: Repository, commit: str) -> Loaded:
        """What `commit` holds. Costs a look at each folder, and the files that differ from the commit before."""
        blobs = {path: blob for path, blob in repository.files(commit).items() if is_yaml(path)}
        self._files = {path: (blob, self._file(repository, path, blob)) for path, blob in blobs.items()}
        return Loaded.of({path: file for path, (_, file) in self._files.items()})

    def _file(self, repository: Repository, path: str, blob: str) -> LoadedFile:
        known = self._files.get(path)
        return known[1] if known is not None and known[0] == blob else load_file(path, repository.read(blob))
