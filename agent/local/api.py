"""The node's HTTP API on 127.0.0.1: apply a commit, and the state as a long poll. I/O: aiohttp."""

import re
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from agent.local.board import Board
from agent.local.desired import ManifestInvalid
from render.errors import NotFound

PATIENCE = 30.0  # seconds that a long poll lasts
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_BODY_BYTES = 1024


def application(board: Board, apply: Callable[[str], Awaitable[None]]) -> web.Application:
    """`POST /apply {"commit": …}` answers 204 when it is taken over, 404 when there is no such commit, 422 when its
    manifests cannot be carried out. `GET /state?after=<seq>` answers with a ClusterState."""

    async def post_apply(request: web.Request) -> web.Response:
        commit = _commit(await request.read())
        try:
            await apply(commit)
        except NotFound as error:
            return web.Response(status=404, text=str(error))
        except ManifestInvalid as error:
            return web.Response(status=422, text=str(error))
        return web.Response(status=204)

    async def get_state(request: web.Request) -> web.Response:
        state = await board.after(_seq(request), patience=PATIENCE)
        return web.Response(body=msgspec.json.encode(state), content_type="application/json")

    result = web.Application(client_max_size=_BODY_BYTES)
    result.add_routes([web.post("/apply", post_apply), web.get("/state", get_state)])
    return result


class _Apply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    commit: str


def _commit(body: bytes) -> str:
    try:
        commit = msgspec.json.decode(body, type=_Apply).commit
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=f'expected {{"commit": "<id>"}}: {error}') from error
    if not _COMMIT.fullmatch(commit):
        raise web.HTTPBadRequest(text=f"commit: expected a full id in hex, got {commit[:80]!r}")
    return commit


def _seq(request: web.Request) -> int:
    given = request.query.get("after", "-1")
    try:
        return int(given)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"after: expected a number, got {given[:80]!r}") from error
