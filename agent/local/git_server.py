"""The real git over HTTP on a loopback port: `git http-backend` behind aiohttp. For the demo and the tests.

Pushing to a path would not do: libgit2 runs no hooks there and loses races without a word. Here git's own rules hold.
Nothing is authenticated, so the server listens on the loopback address alone.
"""

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web

log = logging.getLogger(__name__)

_CHUNK_BYTES = 64 * 1024
_LONGEST_STOP_SECONDS = 2.0
_NO_HOUSEKEEPING = {"receive.autogc": "false", "maintenance.auto": "false", "gc.auto": "0"}
"""A push would otherwise leave a `git gc` behind in the background, which outlives the server."""


class GitServer:
    """Serves every bare repository below `root`, for reading and pushing, while it is started.

    Use it as an asynchronous context manager, or from code without an event loop as `with serving(root) as server`.
    """

    def __init__(self, root: Path, *, port: int = 0) -> None:
        """`port` 0 takes a free one."""
        self._root = root.resolve()
        self._port = port
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        # git inflates compressed requests itself, and wants to be told that they are.
        self._runner = web.AppRunner(application, auto_decompress=False, shutdown_timeout=_LONGEST_STOP_SECONDS)

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Requests in flight get a moment to end; then their git is killed."""
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def url(self, repository: str) -> str:
        """The address of a repository, e.g. `models.git`, once the server is started."""
        return f"http://127.0.0.1:{self._port}/{repository}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        async with _http_backend(_cgi(request, self._root)) as (stdin, stdout):
            feeding = asyncio.create_task(_feed(request.content, stdin))
            try:
                return await _relay(request, stdout)
            finally:
                # git may answer without reading all it was sent, and a client may go away in the middle.
                feeding.cancel()
                await asyncio.wait([feeding])
                _report(feeding)


@contextlib.contextmanager
def serving(root: Path) -> Iterator[GitServer]:
    """A started server, run by a thread of its own: for code that has no event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="git-server")
    thread.start()

    def run(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result()

    server = GitServer(root)
    try:
        run(server.start())
        yield server
    finally:
        run(server.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _cgi(request: web.Request, root: Path) -> dict[str, str]:
    """The environment that CGI and git-http-backend(1) ask for. A GIT_DIR that we inherited would redirect it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables = {
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REMOTE_USER": "fresco",  # a known user may push
        "REMOTE_ADDR": request.remote or "",
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.rel_url.raw_query_string,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "HTTP_GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        **_settings(_NO_HOUSEKEEPING),
    }
    if request.content_length is not None:  # else git reads to the end of the input
        variables["CONTENT_LENGTH"] = str(request.content_length)
    return inherited | variables


def _settings(settings: dict[str, str]) -> dict[str, str]:
    """Settings of git as the environment variables that carry them."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


@contextlib.asynccontextmanager
async def _http_backend(
    environment: dict[str, str],
) -> AsyncIterator[tuple[asyncio.StreamWriter, asyncio.StreamReader]]:
    """One run of `git http-backend`, as its input and output; it does not outlive the block."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "git", "http-backend", stdin=pipe, stdout=pipe, env=environment, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdin, process.stdout
    finally:
        if not process.stdout.at_eof():  # the client is gone: end git and what git has started
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _feed(body: aiohttp.StreamReader, stdin: asyncio.StreamWriter) -> None:
    """The request's body to git, piece by piece: a push may be larger than memory."""
    try:
        async for piece in body.iter_chunked(_CHUNK_BYTES):
            stdin.write(piece)
            await stdin.drain()
    finally:
        stdin.close()


async def _relay(request: web.Request, stdout: asyncio.StreamReader) -> web.StreamResponse:
    """git's answer to the client, piece by piece."""
    status, headers = await _head(stdout)
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    try:
        while piece := await stdout.read(_CHUNK_BYTES):
            await response.write(piece)
        await response.write_eof()
    except ConnectionResetError:
        log.debug("the client did not wait for the end of the answer")  # libgit2 often has all it wants before
    return response


async def _head(stdout: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers of a CGI answer. An answer without any is a failure of git: 500."""
    headers = {}
    while line := (await stdout.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    status = headers.pop("Status", "200 OK" if headers else "500 no answer")
    return int(status.split()[0]), headers


def _report(feeding: asyncio.Task[None]) -> None:
    """The end of a request's body matters to nobody who has the answer, but it is said."""
    if not feeding.cancelled() and (error := feeding.exception()):
        log.debug("the body of a request was not passed on whole: %s", error)
