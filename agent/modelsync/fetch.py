"""Bringing one artifact into the store: download, hash, compare, move. All or nothing. I/O."""

import asyncio
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.modelsync.errors import Failed
from agent.modelsync.layout import Layout
from agent.storage import ArtifactInvalid, ArtifactNotFound, InsufficientDisk, StorageError, open_uri, public
from agent.storage.files import disk_error
from schemas.digest import digest
from schemas.model_config import ConfigRevision
from schemas.report import Progress, Reason

SPARE_BYTES: Final = 64 << 20  # room that a download leaves on the volume
_REASONS: Final = {
    ArtifactNotFound: Reason.ARTIFACT_NOT_FOUND,
    ArtifactInvalid: Reason.ARTIFACT_INVALID,
    InsufficientDisk: Reason.INSUFFICIENT_DISK,
    StorageError: Reason.DOWNLOAD_FAILED,
}
_LOG = logging.getLogger(__name__)


@dataclass
class Download:
    """The progress of one download, and the means to end it: a `storage.Watch`."""

    free_bytes: int
    done: int = 0
    total: int | None = None
    ended: bool = False

    def expect(self, total: int | None) -> None:
        """See `Watch.expect`. Raises InsufficientDisk."""
        self.total = total
        if (total or 0) + SPARE_BYTES > self.free_bytes:
            raise InsufficientDisk(f"{total or 0} bytes to download, {self.free_bytes} free on the models volume")

    def advance(self, count: int) -> None:
        """See `Watch.advance`."""
        if self.ended:
            raise StorageError("nothing wants it any longer")
        self.done += count

    @property
    def progress(self) -> Progress:
        """What to report."""
        return Progress(done=self.done, total=self.total)


async def fetch(revision: ConfigRevision, layout: Layout, download: Download) -> None:
    """Puts the artifact of `revision` into the store, if it is what its digest says. Raises Failed."""
    temporary = _new_temporary(revision, layout)
    try:
        found = await _download(revision, layout, download, temporary.name)
        if found != revision.digest:
            raise Failed(
                Reason.DIGEST_MISMATCH,
                f"{public(revision.uri)} holds {found}, the config says {revision.digest}",
                permanent=True,
            )
        await asyncio.to_thread(layout.adopt, temporary, revision.digest)
    except StorageError as error:
        raise _failed(revision, error) from error
    except OSError as error:
        raise _failed(revision, disk_error(error)) from error
    except Failed:
        raise
    except Exception as error:
        _LOG.exception("unexpected: %s", revision.digest)
        raise Failed(Reason.DOWNLOAD_FAILED, f"{public(revision.uri)}: {type(error).__name__}") from error
    finally:
        # A thread may still be writing there after a cancellation; the next start removes what it leaves.
        download.ended = True
        await asyncio.to_thread(shutil.rmtree, temporary, ignore_errors=True)
    _LOG.info("staged %s of %s from %s", revision.digest, revision.deployment, public(revision.uri))


def _new_temporary(revision: ConfigRevision, layout: Layout) -> Path:
    try:
        return layout.new_temporary()
    except OSError as error:
        raise _failed(revision, disk_error(error)) from error


async def _download(revision: ConfigRevision, layout: Layout, download: Download, name: str) -> str:
    entries = await open_uri(revision.uri).download(layout.temporary / name, watch=download)
    try:
        return digest(entries)
    except ValueError as error:
        raise ArtifactInvalid(str(error)) from error


def _failed(revision: ConfigRevision, error: StorageError) -> Failed:
    reason = _REASONS.get(type(error), Reason.DOWNLOAD_FAILED)
    message = str(error)
    place = public(revision.uri)
    return Failed(
        reason,
        message if place in message else f"{place}: {message}",
        permanent=reason is Reason.ARTIFACT_INVALID,
    )
