"""LocalCluster over the real API of a node, without the rest of a node."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace

from agent.local import api, files
from agent.local.board import Board
from agent.local.desired import ManifestInvalid
from agent.local.ports import Pool
from agent.status.cluster import Cluster, ClusterState, ClusterUnavailable
from agent.status.local_cluster import ADDRESSES, LocalCluster

COMMIT = "ab" * 20


@asynccontextmanager
async def node(directory: Path, board: Board, applied: list[str]) -> AsyncIterator[None]:
    """The API of a node on a port of its own, its address written down."""

    async def apply(commit: str) -> None:
        if commit != COMMIT:
            raise ManifestInvalid("Deployment fraud/x: no")
        applied.append(commit)

    runner = web.AppRunner(api.application(board, apply), shutdown_timeout=0.1)
    await runner.setup()
    port = Pool().take(1)[0]
    await web.TCPSite(runner, "127.0.0.1", port).start()
    files.put_json(directory / ADDRESSES, {"api": f"127.0.0.1:{port}", "gateway": ""})
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster whose node's directory is the test's."""
    async with aiohttp.ClientSession() as http:
        yield LocalCluster(tmp_path, http)


async def next_of(watch: AsyncIterator[ClusterState]) -> ClusterState:
    """The next state that it tells."""
    return await anext(watch)


async def test_watch_tells_each_change_and_goes_on_over_restarts(cluster: Cluster, tmp_path: Path) -> None:
    board = Board(seq=7)
    watch = cluster.watch()
    assert isinstance(watch, AsyncGenerator)
    async with aclosing(watch):
        told = asyncio.create_task(next_of(watch))
        async with node(tmp_path, board, []):
            assert await told == ClusterState(seq=7)
            told = asyncio.create_task(next_of(watch))
            board.publish(replace(board.state, applied=COMMIT))
            assert await told == ClusterState(seq=8, applied=COMMIT)
            told = asyncio.create_task(next_of(watch))
        async with node(tmp_path, Board(seq=100), []):
            assert await told == ClusterState(seq=100)


async def test_apply_tells_the_node(cluster: Cluster, tmp_path: Path) -> None:
    applied: list[str] = []
    with pytest.raises(ClusterUnavailable, match="no node has started"):
        await cluster.apply(COMMIT)
    async with node(tmp_path, Board(seq=1), applied):
        await cluster.apply(COMMIT)
        with pytest.raises(ClusterUnavailable, match="Deployment fraud/x: no"):
            await cluster.apply("cd" * 20)
    with pytest.raises(ClusterUnavailable, match="does not answer"):
        await cluster.apply(COMMIT)
    assert applied == [COMMIT]


async def test_the_lease_is_what_was_renewed_last(cluster: Cluster, tmp_path: Path) -> None:
    assert (await cluster.lease()).last_renewal is None
    await cluster.renew(1000.5)
    await cluster.renew(1001.5)
    assert (await cluster.lease()).last_renewal == 1001.5
    assert [path.name for path in tmp_path.iterdir()] == ["lease"]


async def test_the_board_publishes_only_what_differs() -> None:
    board = Board(seq=1)
    assert not board.publish(ClusterState(seq=0))
    assert board.publish(ClusterState(seq=0, applied=COMMIT))
    assert (await board.after(1, patience=30.0)).seq == 2
    assert (await board.after(2, patience=0.01)).seq == 2
