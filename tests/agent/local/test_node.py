"""The node as the process it is, with real tritonservers behind a real Envoy."""

import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.local.ports import is_free
from schemas.model_config import ConfigEntry
from tests.e2e import artifacts
from tests.support import manifests
from tests.support.backends import load
from tests.support.eventually import eventually
from tests.support.local_node import LocalNode, local_node, model, serve, whole


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[LocalNode]:
    """A node of the test's own, without anything applied."""
    async with local_node(tmp_path) as node:
        yield node


async def test_a_server_that_is_killed_fails_no_request_and_comes_back(node: LocalNode) -> None:
    await serve(node)
    async with load(node.url, body=artifacts.QUESTION, clients=8, pause=0) as sent:
        for pod in await node.ready(2):
            await sent.more(100)
            os.kill(node.pid(pod.name, "server"), signal.SIGKILL)
            await node.until(lambda state: not all(pod.ready for pod in state.pods), what="the pod is not ready")
            await sent.more(100)
            await node.ready(2)
    assert sent.failed == 0


async def test_a_server_whose_load_hangs_leaves_traffic_and_is_started_again(node: LocalNode) -> None:
    made = whole(node, replicas=2, load_deadline=10.0)
    await node.apply(node.commit(made))
    pod = (await node.ready(2))[0]
    before = node.pid(pod.name, "server")
    good, hanging = model(node, "one"), model(node, "hanging", artifacts.HANGS)
    entry = ConfigEntry(serve=manifests.revision(good), candidate=manifests.candidate(hanging, pod.name), gate=True)
    kept = [manifest for manifest in made if manifest["kind"] != "ConfigMap"]
    await node.until(lambda state: bool(state.routes), what="the route")
    async with load(node.url, body=artifacts.QUESTION) as sent:
        await node.apply(node.commit([*kept, manifests.config(entry)]))
        await node.until(lambda state: not all(pod.ready for pod in state.pods), what="the pod is not ready")
        await eventually(lambda: node.pid(pod.name, "server") not in (0, before), what="another server")
        await node.ready(2)
        await sent.more(50)
    assert sent.failed == 0


async def test_a_sidecar_that_is_killed_or_silent_changes_nothing_for_the_server(node: LocalNode) -> None:
    await serve(node, replicas=1)
    (pod,) = await node.ready(1)
    server, sidecar = node.pid(pod.name, "server"), node.pid(pod.name, "model-sync")
    before = set(node.processes())
    async with load(node.url, body=artifacts.QUESTION) as sent:
        os.kill(sidecar, signal.SIGKILL)
        await eventually(lambda: bool(set(node.processes()) - before), what="another sidecar")
        await node.until(lambda state: state.pods[0].live is True, what="it answers")
        os.kill(node.pid(pod.name, "model-sync"), signal.SIGSTOP)
        await node.until(lambda state: state.pods[0].live is None, what="a sidecar that is silent is unknown")
        assert (await node.state()).pods[0].ready
        os.kill(node.pid(pod.name, "model-sync"), signal.SIGCONT)
        await node.until(lambda state: state.pods[0].live is True, what="the sidecar answers again")
    assert node.pid(pod.name, "server") == server
    assert sent.failed == 0


async def test_a_node_that_is_killed_takes_nothing_with_it(node: LocalNode) -> None:
    await serve(node)
    before = sorted(node.processes())
    async with load(node.url, body=artifacts.QUESTION) as sent:
        for _ in range(2):
            node.kill()
            await sent.more(50)
            node.start()
            await eventually(node.answers, what="the next node answers")
            await node.ready(2)
            await sent.more(50)
    assert sorted(node.processes()) == before
    assert sent.failed == 0


async def test_what_ended_while_no_node_ran_is_put_right(node: LocalNode) -> None:
    await serve(node)
    first, second = await node.ready(2)
    node.kill()
    os.kill(node.pid(first.name, "server"), signal.SIGKILL)
    os.kill(node.pid(second.name, "model-sync"), signal.SIGKILL)
    (node.data / "gateway" / "process.json").unlink()
    node.start()
    await eventually(node.answers, what="the next node answers")
    await node.ready(2)
    assert len([pid for pid in node.processes() if b"envoy" in Path(f"/proc/{pid}/cmdline").read_bytes()]) == 1


async def test_pods_come_go_and_are_replaced_without_a_failed_request(node: LocalNode) -> None:
    await serve(node, replicas=1)
    (first,) = await node.ready(1)
    async with load(node.url, body=artifacts.QUESTION) as sent:
        await node.apply(node.commit(whole(node, replicas=2)))
        await node.ready(2)
        await node.apply(node.commit(whole(node, replicas=1)))
        assert [pod.name for pod in await node.ready(1)] == [first.name]
        await node.apply(node.commit(whole(node, replicas=1, marker="new")))
        await node.until(lambda state: first.name not in {pod.name for pod in state.pods}, what="the old pod is gone")
        (new,) = await node.ready(1)
        await sent.more(50)
    assert new.template != first.template
    assert sent.failed == 0
    assert not list(node.data.glob(f"pods/{first.name}.*"))


async def test_when_its_parent_goes_everything_ends(node: LocalNode) -> None:
    await serve(node, replicas=1)
    (pod,) = await node.ready(1)
    command = Path(f"/proc/{node.pid(pod.name, 'server')}/cmdline").read_text()
    memory = list(Path("/dev/shm").glob(command.partition("prefix-name=")[2].partition("\0")[0] + "*"))
    assert memory
    node.hang_up()
    assert await node.ended() == 0
    assert [Path(f"/proc/{p}/cmdline").read_bytes() for p in node.processes()] == []
    assert [path for path in memory if path.exists()] == []
    assert list(node.data.glob("pods/*/models/repository/m"))


async def test_a_port_that_another_program_took_is_replaced(node: LocalNode) -> None:
    await serve(node, replicas=1)
    (pod,) = await node.ready(1)
    (record,) = node.data.glob("pods/*/ports.json")
    before = json.loads(record.read_text())
    node.kill()
    os.kill(node.pid(pod.name, "server"), signal.SIGKILL)
    await eventually(lambda: is_free(before["grpc"]), what="the server has ended")
    with socket.create_server(("127.0.0.1", before["grpc"])):
        node.start()
        await eventually(node.answers, what="the next node answers")
        await node.ready(1)
    after = json.loads(record.read_text())
    assert after["grpc"] != before["grpc"]
    assert after["report"] == before["report"]
    async with load(node.url, body=artifacts.QUESTION) as sent:
        await sent.more(10)
    assert sent.failed == 0
