"""The agent's web port."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from agent.local.git_server import GitServer
from agent.status.web import application
from schemas.status import Stage
from tests.support.harness import Harness, deployment, harness, repository, server


@pytest.fixture
async def scene(git_server: GitServer, repositories: Path, tmp_path: Path) -> AsyncIterator[Harness]:
    """A repository and a cluster."""
    async with harness(git_server, repositories, tmp_path) as made:
        yield made


async def test_it_tells_what_it_does(scene: Harness) -> None:
    scene.commit({"fresco.yaml": repository(), "server.yaml": server(), "scorer.yaml": deployment(1)})
    agent = await scene.start()
    async with TestClient(TestServer(application(agent))) as client:
        await scene.until_at(Stage.ROLLOUT_COMPLETE, 1)
        assert (await client.get("/livez")).status == 200
        assert (await client.get("/readyz")).status == 200
        told = await (await client.get("/")).json()
        assert told["deployments"]["fraud/scorer"]["stage"] == "Rollout Complete"
        assert told["deployments"]["fraud/scorer"]["current"] == "1"
        assert told["troubles"] == {}
        metrics = await (await client.get("/metrics")).text()
    assert "fresco_commits_total" in metrics


async def test_a_word_makes_it_look_at_main_at_once(scene: Harness) -> None:
    scene.commit({"fresco.yaml": repository(), "server.yaml": server(), "scorer.yaml": deployment(1)})
    agent = await scene.start(poll=3600.0)
    await scene.until_at(Stage.ROLLOUT_COMPLETE, 1)
    agent_in_reach, scene.agent = scene.agent, None  # so that the harness tells nobody
    scene.commit({"scorer.yaml": deployment(2)})
    scene.agent = agent_in_reach
    async with TestClient(TestServer(application(agent))) as client:
        assert (await client.get("/refresh")).status == 405
        assert (await client.post("/refresh")).status == 202
        await scene.until_at(Stage.ROLLOUT_COMPLETE, 2)


async def test_it_is_not_ready_without_its_repository(scene: Harness) -> None:
    scene.served.rename(scene.served.with_name("away.git"))
    agent = await scene.start()
    async with TestClient(TestServer(application(agent))) as client:
        await scene.until(lambda: bool(agent.health.troubles), "a word on it")
        answer = await client.get("/readyz")
        assert answer.status == 503
        assert "repository: cannot fetch" in await answer.text()
        assert (await client.get("/livez")).status == 200
