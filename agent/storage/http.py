"""Artifacts behind http:// and https://: an archive, unpacked while it streams (a zip from a temporary file). I/O.

aiohttp and not obstore: obstore's HTTP store drops a URL's query, which is where signed URLs keep their signature, and
follows redirects unseen, while each hop must be checked: a redirect may not fall back to plain http, and no hop may
reach a link-local address, where clouds keep credentials for whoever asks.
"""

import asyncio
import ipaddress
import socket
import tempfile
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from agent.storage import ArtifactInvalid, ArtifactNotFound, Storage, StorageError, Watch, archive, public
from agent.storage.files import CHUNK, disk_error
from schemas.digest import FileEntry

MAX_REDIRECTS: Final = 5
CONNECT_SECONDS: Final = 10.0
STALL_SECONDS: Final = 60.0
_ABSENT = (401, 403, 404, 410)
_REDIRECTS = (301, 302, 303, 307, 308)


def storage(uri: str) -> Storage:
    """The archive at `uri`. Raises ArtifactInvalid for a URL without a host."""
    if not urlsplit(uri).hostname:
        raise ArtifactInvalid(f"{public(uri)}: no host in the URL")
    return HttpStorage(uri)


@dataclass(frozen=True)
class HttpStorage:
    """An archive at `url`, which may carry secrets in its query: messages show it without."""

    url: str

    async def download(self, into: Path, *, watch: Watch) -> list[FileEntry]:
        """See `Storage.download`."""
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=STALL_SECONDS)
        connector = aiohttp.TCPConnector(resolver=_NoLinkLocal())
        try:
            async with aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False, trust_env=True, read_bufsize=CHUNK
            ) as session:
                return await self._follow(session, into, watch)
        except aiohttp.InvalidURL as error:  # its own words are the whole URL
            raise ArtifactInvalid(
                f"{public(self.url)}: not a URL that can be asked for, or redirected to one"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise StorageError(f"{public(self.url)}: {_said(error)}") from error

    async def _follow(self, session: aiohttp.ClientSession, into: Path, watch: Watch) -> list[FileEntry]:
        url = self.url
        for _ in range(MAX_REDIRECTS + 1):
            _refuse_link_local(url)
            async with session.get(url, allow_redirects=False, headers={"Accept-Encoding": "identity"}) as response:
                if response.status not in _REDIRECTS:
                    _check(response)
                    return await _receive(response, into, watch)
                url = _next(url, response.headers.get("Location", ""))
        raise StorageError(f"{public(self.url)}: more than {MAX_REDIRECTS} redirects")


def _check(response: aiohttp.ClientResponse) -> None:
    if response.status == 200:
        return
    message = f"{public(str(response.url))}: HTTP {response.status} {response.reason or ''}".rstrip()
    raise ArtifactNotFound(message) if response.status in _ABSENT else StorageError(message)


def _next(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        before, after = urlsplit(url), urlsplit(target)
    except ValueError as error:
        raise ArtifactInvalid(f"{public(url)}: redirected to what is no URL") from error
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http") or not location:
        raise ArtifactInvalid(f"{public(url)}: redirected to {public(target)}, which is refused")
    return target


async def _receive(response: aiohttp.ClientResponse, into: Path, watch: Watch) -> list[FileEntry]:
    watch.expect(response.content_length)
    reader = _BodyReader(response.content, watch, asyncio.get_running_loop())
    try:
        return await asyncio.to_thread(_unpack, reader, into)
    finally:
        reader.abandon()


def _unpack(reader: "_BodyReader", into: Path) -> list[FileEntry]:
    if not archive.is_zip(reader.peek(archive.MAGIC_BYTES)):
        return archive.unpack_tar(reader, into)
    with tempfile.NamedTemporaryFile(dir=into.parent, suffix=".zip") as file:
        try:
            _spool(reader, file.file)
        except OSError as error:
            raise disk_error(error) from error
        return archive.unpack_zip(Path(file.name), into)


def _spool(reader: "_BodyReader", file: IO[bytes]) -> None:
    while chunk := reader.read(CHUNK):
        file.write(chunk)
    file.flush()


class _BodyReader:
    """A response's body for a thread that unpacks it: each read asks the event loop, so the thread sets the pace."""

    def __init__(self, body: aiohttp.StreamReader, watch: Watch, loop: asyncio.AbstractEventLoop) -> None:
        self._body, self._watch, self._loop = body, watch, loop
        self._ahead = b""
        self._abandoned = False

    def peek(self, size: int) -> bytes:
        while len(self._ahead) < size and (chunk := self._fetch()):
            self._ahead += chunk
        return self._ahead[:size]

    def read(self, size: int, /) -> bytes:
        if not self._ahead:
            self._ahead = self._fetch()
        chunk, self._ahead = self._ahead[:size], self._ahead[size:]
        return chunk

    def abandon(self) -> None:
        """The download is over, by its end, an error or a cancellation: the thread's next read fails."""
        self._abandoned = True

    def _fetch(self) -> bytes:
        if self._abandoned:
            raise StorageError("the download was ended")
        try:
            chunk = asyncio.run_coroutine_threadsafe(self._body.readany(), self._loop).result()
        except (aiohttp.ClientError, TimeoutError, CancelledError) as error:
            raise StorageError(f"the download broke off: {_said(error)}") from error
        self._watch.advance(len(chunk))
        return chunk


class _NoLinkLocal(AbstractResolver):
    """Resolves names, but to no link-local address."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        allowed = [result for result in found if not _is_link_local(result["host"])]
        if found and not allowed:
            raise ArtifactInvalid(f"{host}: a link-local address, which is refused")
        return allowed

    async def close(self) -> None:
        await self._resolver.close()


def _refuse_link_local(url: str) -> None:
    """For hosts that are addresses already, which aiohttp does not resolve."""
    host = urlsplit(url).hostname or ""
    if _is_link_local(host):
        raise ArtifactInvalid(f"{host}: a link-local address, which is refused")


def _is_link_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_link_local


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
