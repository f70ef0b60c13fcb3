"""Where artifacts come from: one module per kind of storage, chosen by a URI's scheme. For model-sync and `lock`.

An artifact is the content of one model's own directory (`config.pbtxt`, `1/`, …). A storage writes it into an empty
directory, hashing while it writes; what it is then worth is the caller's to decide, by the digest.
Modules are imported when their scheme is first met, so that a laptop needs only the clients that it uses.
"""

from importlib import import_module
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from schemas.digest import FileEntry


class StorageError(Exception):
    """A download failed. The message is one line for people, without the query of any URL. Trying again may help."""


class ArtifactNotFound(StorageError):
    """Nothing is there, or it may not be read. It may still come: uploads and commits race."""


class ArtifactInvalid(StorageError):
    """What is there can never be an artifact: hostile, broken, or of an unknown kind. Trying again cannot help."""


class InsufficientDisk(StorageError):
    """There is no room for it here."""


class Watch(Protocol):
    """Follows a download. Its methods may be called from another thread, and end the download by raising."""

    def expect(self, total: int | None) -> None:
        """The bytes to come, or None where the source does not tell. Called once, before the first byte."""
        ...

    def advance(self, count: int) -> None:
        """`count` more bytes have been read from the source."""
        ...


class Storage(Protocol):
    """One artifact at its place."""

    async def download(self, into: Path, *, watch: Watch) -> list[FileEntry]:
        """Writes the artifact's files into the empty directory `into` and returns what it wrote, each file fsynced.

        Raises StorageError, or what `watch` raises; `into` then holds something partial.
        """
        ...


# Scheme -> module with a function `storage(uri) -> Storage`.
_MODULES = {
    "": "agent.storage.local",
    "file": "agent.storage.local",
    "http": "agent.storage.http",
    "https": "agent.storage.http",
}


def open_uri(uri: str) -> Storage:
    """The storage for `uri`; a plain path counts as `file`. Touches nothing yet.

    Raises ArtifactInvalid for a scheme that is not known, or a URI that its storage cannot read.
    """
    try:
        scheme = urlsplit(uri).scheme
    except ValueError as error:
        raise ArtifactInvalid(f"{public(uri)}: not a URL that can be read") from error
    if scheme not in _MODULES:
        known = ", ".join(name for name in _MODULES if name)
        raise ArtifactInvalid(f"{public(uri)}: no storage for {scheme}://, only for {known}")
    storage: Storage = import_module(_MODULES[scheme]).storage(uri)
    return storage


def public(uri: str) -> str:
    """`uri` as it may stand in a log or a report: without user, password, query and fragment, which can be secrets; of
    what is no URL only the scheme."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return f"{uri.partition(':')[0]}:…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
