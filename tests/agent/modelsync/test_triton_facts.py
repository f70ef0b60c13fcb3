"""What Triton really does, and model-sync counts on: if a newer Triton does otherwise, this says so first."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from agent.modelsync.backend import IndexState, Refused, TimedOut, Unreachable
from agent.modelsync.identity import Target
from agent.modelsync.triton import TritonBackend
from tests.support.models import model
from tests.support.triton import TritonServer, running_triton

SECONDS = 60.0
RAISES = "raise RuntimeError('as asked')"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """One server for all of these."""
    with running_triton(tmp_path_factory.mktemp("triton")) as running:
        yield running


def _marked(server: TritonServer, name: str, directory: Path, letter: str, *, initialize: str = "pass") -> Target:
    """A model that proves `letter`, at `directory`; not yet where the server looks."""
    target = Target("sha256:" + letter * 64, {})
    source = model(directory, letter, initialize=initialize)
    TritonBackend(server.grpc).mark(directory, source=source, name=name, target=target)
    return target


def _link(server: TritonServer, name: str, directory: Path) -> None:
    temporary = server.repository.parent / f"{name}.link"
    temporary.symlink_to(directory)
    temporary.replace(server.repository / name)


async def _keeps_newer(server: TritonServer, name: str, tmp_path: Path) -> bool:
    """Whether the server, told to load an older directory, says yes and goes on with the newer one."""
    backend = TritonBackend(server.grpc)
    old, new = (_marked(server, name, tmp_path / f"{name}-{letter}", letter) for letter in "ab")
    past = time.time() - 3600
    for path in (tmp_path / f"{name}-a", *(tmp_path / f"{name}-a").rglob("*")):
        os.utime(path, (past, past))
    for letter in "ba":
        _link(server, name, tmp_path / f"{name}-{letter}")
        await backend.load(name, deadline=SECONDS)
    kept = await backend.proof(name) == new.identity
    # The same files in a fresh directory are loaded, whatever happened before.
    shutil.copytree(tmp_path / f"{name}-a", tmp_path / f"{name}-c", copy_function=shutil.copyfile)
    _link(server, name, tmp_path / f"{name}-c")
    await backend.load(name, deadline=SECONDS)
    assert await backend.proof(name) == old.identity
    await backend.close()
    return kept


async def test_an_older_directory_is_not_loaded_though_the_server_says_so(server: TritonServer, tmp_path: Path) -> None:
    """Why each publication is a fresh directory, and why an answered load call proves nothing.

    On a machine under heavy load the server was once seen to load the older one: it is not to be relied on either way.
    """
    for number in range(4):
        if await _keeps_newer(server, f"trap{number}", tmp_path):
            return
    pytest.fail("the older directory was loaded each time")


async def test_unload_returns_before_it_is_done_and_a_deleted_directory_hides_the_model(
    server: TritonServer, tmp_path: Path
) -> None:
    backend = TritonBackend(server.grpc)
    _marked(server, "gone", tmp_path / "a", "a")
    _link(server, "gone", tmp_path / "a")
    await backend.load("gone", deadline=SECONDS)
    (server.repository / "gone").unlink()
    assert "gone" not in await backend.index(), "it is hidden"
    assert await backend.proof("gone") is not None, "and serves"
    _link(server, "gone", tmp_path / "a")
    await backend.unload("gone")
    seen = [(await backend.index())["gone"]]
    while seen[-1] is not IndexState.DOWN:
        await asyncio.sleep(0.02)
        seen.append((await backend.index())["gone"])
    assert seen[0] is IndexState.UNLOADING
    assert await backend.proof("gone") is None
    await backend.close()


async def test_a_replacement_under_way_does_not_show_in_the_index(server: TritonServer, tmp_path: Path) -> None:
    """Why a sidecar that was killed in mid-load cannot know whether its load goes on."""
    backend = TritonBackend(server.grpc)
    _marked(server, "swap", tmp_path / "a", "a")
    _link(server, "swap", tmp_path / "a")
    await backend.load("swap", deadline=SECONDS)
    target = _marked(server, "swap", tmp_path / "b", "b")
    text = (tmp_path / "b" / "1" / "model.py").read_text().replace("pass", "time.sleep(2)")
    (tmp_path / "b" / "1" / "model.py").write_text(text)
    _link(server, "swap", tmp_path / "b")
    load = asyncio.create_task(backend.load("swap", deadline=SECONDS))
    await asyncio.sleep(0.5)
    assert not load.done()
    assert (await backend.index())["swap"] is IndexState.READY
    await load
    assert await backend.proof("swap") == target.identity
    await backend.close()


async def test_a_load_that_passes_its_deadline_goes_on_and_switches_later(server: TritonServer, tmp_path: Path) -> None:
    """Why only a restart of the server ends it: putting the files back does not."""
    backend = TritonBackend(server.grpc)
    old, new = (_marked(server, "late", tmp_path / letter, letter) for letter in "ab")
    _link(server, "late", tmp_path / "a")
    await backend.load("late", deadline=SECONDS)
    text = (tmp_path / "b" / "1" / "model.py").read_text().replace("pass", "time.sleep(3)")
    (tmp_path / "b" / "1" / "model.py").write_text(text)
    _link(server, "late", tmp_path / "b")
    with pytest.raises(TimedOut):
        await backend.load("late", deadline=0.5)
    _link(server, "late", tmp_path / "a")
    assert await backend.proof("late") == old.identity
    proofs = [await backend.proof("late")]
    while proofs[-1] != new.identity:
        assert len(proofs) < 20 * SECONDS
        proofs.append(await backend.proof("late"))
        await asyncio.sleep(0.05)
    await backend.close()


async def test_refusals_have_their_kinds(server: TritonServer, tmp_path: Path) -> None:
    backend = TritonBackend(server.grpc)
    with pytest.raises(Refused) as absent:
        await backend.load("absent", deadline=SECONDS)
    assert absent.value.invalid
    await backend.unload("absent")  # This is not refused.
    assert await backend.proof("absent") is None
    nobody = TritonBackend("127.0.0.1:9")
    assert await nobody.live() is False
    with pytest.raises(Unreachable):
        await nobody.index()
    for each in (backend, nobody):
        await each.close()


@pytest.mark.parametrize(
    ("policy", "refused"),
    [
        ("", True),
        ("version_policy { latest { num_versions: 2 } }", True),
        ("version_policy { all {} }", True),
        ("version_policy { specific { versions: 1 } }", False),
    ],
)
async def test_only_versions_that_would_be_loaded_need_their_file(tmp_path: Path, policy: str, refused: bool) -> None:
    """A Python model without its file would never answer the load call; so it is found before it is made."""
    source = model(tmp_path / "a", "a", config=f'backend: "python" {policy}')
    (source / "2").mkdir()
    backend = TritonBackend("127.0.0.1:9")
    target = Target("sha256:" + "a" * 64, {})
    if refused:
        with pytest.raises(Refused, match=r"2/model\.py"):
            backend.mark(source, source=source, name="m", target=target)
    else:
        backend.mark(source, source=source, name="m", target=target)
    await backend.close()


async def test_an_ensemble_gets_the_version_directory_that_storage_lost(tmp_path: Path) -> None:
    source = tmp_path / "pipeline"
    source.mkdir()
    (source / "config.pbtxt").write_text('name: "other" platform: "ensemble"')
    backend = TritonBackend("127.0.0.1:9")
    target = Target("sha256:" + "a" * 64, {"key": 'va"lue'})
    backend.mark(source, source=source, name="pipeline", target=target)
    text = (source / "config.pbtxt").read_text()
    assert (source / "1").is_dir()
    assert 'name: "pipeline"' in text
    assert 'string_value: "va\\"lue"' in text
    await backend.close()


async def _ready(server: TritonServer) -> bool:
    """What the server's own readiness probe would be told."""
    url = f"http://127.0.0.1:{server.http_port}/v2/health/ready"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status == 200


@pytest.mark.parametrize("strict", [True, False])
async def test_with_strict_readiness_one_failed_model_takes_the_whole_pod_out(tmp_path: Path, strict: bool) -> None:
    with running_triton(tmp_path, flags=[f"--strict-readiness={str(strict).lower()}"]) as server:
        backend = TritonBackend(server.grpc)
        _marked(server, "good", tmp_path / "good", "a")
        _link(server, "good", tmp_path / "good")
        await backend.load("good", deadline=SECONDS)
        assert await _ready(server)
        _marked(server, "bad", tmp_path / "bad", "b", initialize=RAISES)
        _link(server, "bad", tmp_path / "bad")
        with pytest.raises(Refused):
            await backend.load("bad", deadline=SECONDS)
        assert await _ready(server) is not strict
        await backend.close()


async def test_a_replacement_that_fails_leaves_the_old_one_serving(server: TritonServer, tmp_path: Path) -> None:
    backend = TritonBackend(server.grpc)
    old = _marked(server, "kept", tmp_path / "old", "a")
    _link(server, "kept", tmp_path / "old")
    await backend.load("kept", deadline=SECONDS)
    _marked(server, "kept", tmp_path / "new", "b", initialize=RAISES)
    _link(server, "kept", tmp_path / "new")
    with pytest.raises(Refused) as refused:
        await backend.load("kept", deadline=SECONDS)
    assert not refused.value.invalid
    assert (await backend.index())["kept"] is IndexState.READY
    # The server tells the config of what it serves, not of what it could not load.
    assert await backend.proof("kept") == old.identity
    await backend.close()
