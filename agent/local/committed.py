"""The manifests of a commit, from a local clone: read anew only where they changed. I/O: git objects."""

from pathlib import Path
from typing import Any

import yaml

from agent.local.desired import Desired, ManifestInvalid, desired
from render.repository import Repository

FOLDER = "manifests"


class Committed:
    """Reads commits of the clone at `path`, which may not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._repository: Repository | None = None
        self._parsed: dict[str, dict[str, Any]] = {}

    def desired(self, commit: str) -> Desired:
        """What `commit` asks for. Raises ManifestInvalid, or NotFound when there is no such commit."""
        if self._repository is None:
            self._repository = Repository.open(self._path)
        files = self._repository.files(commit, FOLDER)
        self._parsed = {blob: self._manifest(path, blob) for path, blob in files.items()}
        return desired(self._parsed[blob] for blob in files.values())

    def _manifest(self, path: str, blob: str) -> dict[str, Any]:
        if blob in self._parsed:
            return self._parsed[blob]
        assert self._repository is not None
        try:
            # As Kubernetes reads them: these are manifests, not what people write.
            manifest = yaml.load(self._repository.read(blob), Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:
            raise ManifestInvalid(f"{path}: not YAML: {error}") from error
        if not isinstance(manifest, dict):
            raise ManifestInvalid(f"{path}: expected one Kubernetes object, got {type(manifest).__name__}")
        return manifest
