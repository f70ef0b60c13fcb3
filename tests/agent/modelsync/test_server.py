"""What is known of the server: news of one model is not undone by an older look at all, and a restart is noticed."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.modelsync import server
from agent.modelsync.backend import Counters, IndexState, TimedOut, Unreachable
from agent.modelsync.identity import Identity, Target
from agent.modelsync.server import ServerWatch
from schemas.model_config import SmokeTest

OLD, NEW = Identity("sha256:" + "a" * 64, ""), Identity("sha256:" + "b" * 64, "")


class Scripted:
    """A backend that answers as the test says, when it says."""

    def __init__(self) -> None:
        self.models: dict[str, IndexState] = {"m": IndexState.READY}
        self.asked: asyncio.Queue[asyncio.Future[Identity | None]] = asyncio.Queue()
        self.counted: dict[str, Counters] = {}
        self.up = True

    async def live(self) -> bool:
        return self.up

    async def version(self) -> str:
        return "1"

    async def index(self) -> dict[str, IndexState]:
        if not self.up:
            raise Unreachable("down")
        return dict(self.models)

    async def proof(self, name: str) -> Identity | None:
        answer: asyncio.Future[Identity | None] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait(answer)
        return await answer

    async def statistics(self) -> Mapping[str, Counters]:
        return self.counted

    def mark(self, directory: Path, *, source: Path, name: str, target: Target) -> None:
        raise NotImplementedError

    async def load(self, name: str, *, deadline: float) -> None:
        raise NotImplementedError

    async def has_outputs(self, name: str) -> bool:
        raise NotImplementedError

    async def unload(self, name: str) -> None:
        raise NotImplementedError

    async def smoke(self, name: str, test: SmokeTest) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


async def _observed(watch: ServerWatch, backend: Scripted, answer: Identity | None) -> None:
    task = asyncio.create_task(watch.observe())
    (await backend.asked.get()).set_result(answer)
    await task


async def test_a_fresh_proof_is_not_undone_by_an_older_observation() -> None:
    backend = Scripted()
    watch = ServerWatch(backend, changed=lambda: None)
    await watch.probe()
    observation = asyncio.create_task(watch.observe())
    older = await backend.asked.get()
    proof = asyncio.create_task(watch.prove("m"))
    (await backend.asked.get()).set_result(NEW)
    await proof
    older.set_result(OLD)
    await observation
    assert watch.proven == {"m": NEW}


async def test_a_server_that_has_forgotten_its_models_is_a_new_one() -> None:
    backend = Scripted()
    watch = ServerWatch(backend, changed=lambda: None)
    await watch.probe()
    await _observed(watch, backend, OLD)
    assert (watch.generation, watch.proven) == (1, {"m": OLD})
    backend.models["m"] = IndexState.UNKNOWN
    await watch.observe()
    assert (watch.generation, watch.proven) == (2, {})


async def test_a_server_that_is_gone_proves_nothing() -> None:
    backend = Scripted()
    news: list[bool] = []
    watch = ServerWatch(backend, changed=lambda: news.append(watch.live))
    await watch.probe()
    await _observed(watch, backend, OLD)
    backend.up = False
    await watch.probe()
    await watch.observe()
    assert (watch.live, watch.proven, watch.index) == (False, {}, {})
    backend.up = True
    await watch.probe()
    assert (watch.live, watch.generation, news) == (True, 2, [True, False, True])


class Hanging(Scripted):
    """A server that answers nothing while it `hangs`. `statistics_asked`: how often it was asked for counters then."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = False
        self.statistics_asked = 0

    async def live(self) -> bool:
        if self.hangs:
            raise TimedOut("no answer")
        return True

    async def statistics(self) -> Mapping[str, Counters]:
        self.statistics_asked += self.hangs
        return {}


async def test_a_server_that_hangs_is_asked_for_nothing_else_until_it_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "PROBE_SECONDS", 0.0)
    backend, down = Hanging(), asyncio.Event()
    watch = ServerWatch(backend, changed=lambda: None if watch.live else down.set())
    await watch.probe()
    await _observed(watch, backend, OLD)
    backend.hangs = True
    running = asyncio.create_task(watch.run())
    await down.wait()
    running.cancel()
    assert backend.statistics_asked == 0
