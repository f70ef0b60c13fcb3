"""The digest of what a URI holds: what `fresco lock` writes into a Deployment. I/O."""

import tempfile
from pathlib import Path

from agent.storage import ArtifactInvalid, Watch, open_uri, public
from schemas.digest import digest


async def digest_of(uri: str, watch: Watch | None = None) -> str:
    """Reads the whole artifact at `uri`, through a temporary directory, and returns its digest, `sha256:<hex>`.

    `watch` follows the download.

    Raises StorageError; ArtifactInvalid among it, for something that no sidecar would accept either.
    """
    with tempfile.TemporaryDirectory(prefix="fresco-lock-") as directory:
        into = Path(directory, "artifact")
        into.mkdir()
        entries = await open_uri(uri).download(into, watch=watch or _Unwatched())
    try:
        return digest(entries)
    except ValueError as error:
        raise ArtifactInvalid(f"{public(uri)}: {error}") from error


class _Unwatched:
    """Follows nothing: the temporary directory's disk says when it is full."""

    def expect(self, total: int | None) -> None:
        """See `Watch.expect`."""

    def advance(self, count: int) -> None:
        """See `Watch.advance`."""
