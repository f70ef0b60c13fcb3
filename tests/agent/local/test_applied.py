"""What a node makes of commits: one server that goes on serving through all of these tests."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import grpc
import numpy
import pytest
import pytest_asyncio
import tritonclient.grpc as triton
from yarl import URL

from schemas.model_config import ConfigEntry
from tests.e2e import artifacts
from tests.support import manifests
from tests.support.backends import load
from tests.support.local_node import LocalNode, local_node, model, serve, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalNode]:
    """A node whose sole server serves revision `one`."""
    async with local_node(tmp_path_factory.mktemp("node")) as node:
        await serve(node, replicas=1)
        yield node


async def grpc_status(gateway: str, call: str, model: str) -> str:
    """The status of an empty gRPC call through the gateway."""
    async with grpc.aio.insecure_channel(gateway.removeprefix("http://")) as channel:
        try:
            await channel.unary_unary(call, request_serializer=bytes)(b"", metadata=[("x-fresco-model", model)])
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
    return "OK"


async def test_a_commit_becomes_a_model_that_answers(node: LocalNode) -> None:
    state = await node.state()
    assert state.routes["fraud/m"].live
    made = {f"{manifest['kind']}/fraud/{manifest['metadata']['name']}" for manifest in whole(node, replicas=1)}
    assert set(state.objects) == made
    async with load(node.url, body=artifacts.QUESTION) as sent:
        await sent.more(20)
    assert sent.failed == 0


async def test_no_control_path_of_a_server_is_reachable(node: LocalNode) -> None:
    gateway = node.url.removesuffix("/fraud/gpu-a/m/infer")
    paths = [
        "v2/repository/index",
        "v2/repository/models/m/unload",
        "v2/models/m/trace/setting",
        "v2/health/ready",
        "v2",
    ]
    tried = [f"{gateway}/{path}" for path in paths] + [f"{node.url}/../../../../{path}" for path in paths]
    async with aiohttp.ClientSession() as http:
        for url in (*tried, f"{node.url}%2f..%2f..%2f..%2f..%2fv2%2frepository%2findex", f"{node.url}/unload"):
            async with http.post(URL(url, encoded=True), json={}) as answer:
                assert answer.status in (400, 404)
    for call in ("RepositoryModelUnload", "RepositoryIndex", "ModelConfig"):
        status = await grpc_status(gateway, f"/inference.GRPCInferenceService/{call}", "/fraud/gpu-a/m")
        assert status == "UNIMPLEMENTED"


async def test_grpc_requests_are_chosen_by_header(node: LocalNode) -> None:
    host = node.addresses["gateway"]
    with triton.InferenceServerClient(host) as client:
        question = triton.InferInput("QUESTION", [1], "BYTES")
        question.set_data_from_numpy(numpy.array([b"who?"], dtype=numpy.object_))
        answer = await asyncio.to_thread(client.infer, "m", [question], headers={"x-fresco-model": "/fraud/gpu-a/m"})
        assert answer.as_numpy("REVISION").tolist() == [b"one"]
        with pytest.raises(triton.InferenceServerException):
            await asyncio.to_thread(client.infer, "m", [question], headers={"x-fresco-model": "/fraud/gpu-a/n"})


async def test_what_cannot_be_applied_changes_nothing(node: LocalNode) -> None:
    before = await node.state()
    broken = whole(node, replicas=1)[0]
    del broken["spec"]["template"]["spec"]["volumes"]
    assert await node.apply(node.commit([broken])) == 422
    assert await node.apply("0" * 40) == 404
    assert await node.apply("main") == 400
    assert await node.state() == before


async def test_a_change_of_config_reaches_the_pod_whole(node: LocalNode) -> None:
    (mounted,) = node.data.glob("pods/*/config")
    kept = [manifest for manifest in whole(node, replicas=1) if manifest["kind"] != "ConfigMap"]
    config = manifests.config(ConfigEntry(serve=manifests.revision(model(node, "two")), gate=True))
    async with load(node.url, body=artifacts.QUESTION) as sent:
        await node.apply(node.commit([*kept, config]))
        assert (mounted / "model-config.json").read_text() == config["data"]["model-config.json"]
        await sent.until("two")
    assert sent.failed == 0
    assert sorted(path.name for path in mounted.iterdir() if not path.name.startswith("..")) == ["model-config.json"]
    assert len([path for path in mounted.glob("..*") if path.name != "..data"]) == 1
    assert (await node.state()).objects["ConfigMap/fraud/gpu-a-main-models"] == manifests.content(config)
