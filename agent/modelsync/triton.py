"""Triton: the only module with tritonclient. gRPC, because over HTTP parallel loads block health checks for seconds.

The proof is a parameter in config.pbtxt, written at publication and read back from the running server.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from google.protobuf import text_format
from tritonclient.grpc import InferInput, InferRequestedOutput, model_config_pb2
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

from agent.modelsync.backend import Counters, IndexState, Refused, TimedOut, Unreachable
from agent.modelsync.identity import Identity, Target
from agent.modelsync.layout import CONFIG
from schemas.model_config import SmokeTest

DIGEST_PARAMETER: Final = "fresco_digest"
OPTIONS_PARAMETER: Final = "fresco_options"
CALL_SECONDS: Final = 5.0
LIVE_SECONDS: Final = 1.0
# The defaults of tritonclient for messages, and a reconnection that does not sleep through a restart of the server.
_CHANNEL: Final = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
    # The server is beside us: never through a proxy.
    ("grpc.enable_http_proxy", 0),
]
_STATES: Final = {
    "": IndexState.UNKNOWN,
    "LOADING": IndexState.LOADING,
    "READY": IndexState.READY,
    "UNLOADING": IndexState.UNLOADING,
}
# One version that serves makes the model serve.
_STRONGEST: Final = (IndexState.READY, IndexState.LOADING, IndexState.UNLOADING, IndexState.DOWN, IndexState.UNKNOWN)
# What Triton says of a model that no second try will better: its directory or its config.pbtxt is at fault.
_INVALID: Final = ("failed to poll from model repository", "at least one version must be available")


class TritonBackend:
    """A Triton server whose gRPC is at `address` (host:port), in explicit model control mode."""

    def __init__(self, address: str) -> None:
        self._client = InferenceServerClient(address, channel_args=_CHANNEL)

    async def live(self) -> bool:
        """See `ServerBackend.live`."""
        try:
            return bool(await self._ask("is_server_live", client_timeout=LIVE_SECONDS))
        except Unreachable:
            return False

    async def version(self) -> str:
        """See `ServerBackend.version`."""
        metadata = await self._ask("get_server_metadata", client_timeout=CALL_SECONDS)
        return str(metadata.version)

    async def index(self) -> dict[str, IndexState]:
        """See `ServerBackend.index`."""
        answer = await self._ask("get_model_repository_index", client_timeout=CALL_SECONDS)
        found: dict[str, IndexState] = {}
        for model in answer.models:
            state = _STATES.get(model.state, IndexState.DOWN)
            found[model.name] = min(state, found.get(model.name, state), key=_STRONGEST.index)
        return found

    def mark(self, directory: Path, *, source: Path, name: str, target: Target) -> None:
        """See `ServerBackend.mark`. Writes config.pbtxt, and the version directory an ensemble needs."""
        config = _parsed(source / CONFIG)
        if config.name not in ("", name):
            # The name it is served under is Fresco's to give; the artifact may be served under several.
            config.name = ""
        config.name = name
        if config.platform == "ensemble" or config.HasField("ensemble_scheduling"):
            (directory / "1").mkdir(exist_ok=True)
        _check_versions(config, directory)
        marks = {DIGEST_PARAMETER: target.digest, OPTIONS_PARAMETER: target.identity.options}
        for key, value in {**target.options, **marks}.items():
            config.parameters[key].string_value = value
        (directory / CONFIG).write_text(text_format.MessageToString(config), "utf-8")

    async def load(self, name: str, *, deadline: float) -> None:
        """See `ServerBackend.load`."""
        await self._ask("load_model", name, client_timeout=deadline)

    async def proof(self, name: str) -> Identity | None:
        """See `ServerBackend.proof`."""
        try:
            answer = await self._ask("get_model_config", name, client_timeout=CALL_SECONDS)
        except Refused:
            return None  # Unknown, or not ready: either way it serves nothing under that name.
        parameters = answer.config.parameters
        if DIGEST_PARAMETER not in parameters:
            return None
        options = parameters[OPTIONS_PARAMETER].string_value if OPTIONS_PARAMETER in parameters else ""
        return Identity(parameters[DIGEST_PARAMETER].string_value, options)

    async def has_outputs(self, name: str) -> bool:
        """See `ServerBackend.has_outputs`."""
        answer = await self._ask("get_model_config", name, client_timeout=CALL_SECONDS)
        return bool(answer.config.output)

    async def unload(self, name: str) -> None:
        """See `ServerBackend.unload`."""
        await self._ask("unload_model", name, client_timeout=CALL_SECONDS)

    async def smoke(self, name: str, test: SmokeTest) -> None:
        """See `ServerBackend.smoke`. The body is in the JSON form of KServe's v2 protocol."""
        try:
            request = msgspec.json.decode(test.request)
            inputs, outputs = _inputs(request["inputs"]), _outputs(request.get("outputs", []))
        except (
            msgspec.DecodeError,
            InferenceServerException,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
            raise Refused(f"not a v2 inference request: {error!r}", invalid=True) from error
        await self._ask("infer", name, inputs, outputs=outputs, client_timeout=test.timeout_seconds)

    async def statistics(self) -> Mapping[str, Counters]:
        """See `ServerBackend.statistics`. Versions of a model are added up."""
        answer = await self._ask("get_inference_statistics", client_timeout=CALL_SECONDS)
        found: dict[str, Counters] = {}
        for model in answer.model_stats:
            before, stats = found.get(model.name, Counters(0, 0, 0.0)), model.inference_stats
            found[model.name] = Counters(
                before.successes + stats.success.count,
                before.failures + stats.fail.count,
                before.seconds + stats.success.ns / 1e9,
            )
        return found

    async def close(self) -> None:
        """See `ServerBackend.close`."""
        await self._client.close()

    async def _ask(self, call: str, *arguments: object, client_timeout: float, **options: object) -> Any:
        try:
            # gRPC ends a call at its deadline by itself; this is for a client that would not.
            async with asyncio.timeout(client_timeout + 1.0):
                return await getattr(self._client, call)(*arguments, client_timeout=client_timeout, **options)
        except TimeoutError as error:
            raise TimedOut(f"{call}: no answer within {client_timeout:g} s") from error
        except InferenceServerException as error:
            raise _translated(call, client_timeout, error) from error


def _translated(call: str, seconds: float, error: InferenceServerException) -> Exception:
    status, message = str(error.status()).removeprefix("StatusCode."), str(error.message())
    if status == "UNAVAILABLE":
        return Unreachable(message)
    if status == "DEADLINE_EXCEEDED":
        return TimedOut(f"{call}: no answer within {seconds:g} s")
    return Refused(message, invalid=any(text in message for text in _INVALID))


def _parsed(path: Path) -> model_config_pb2.ModelConfig:
    config = model_config_pb2.ModelConfig()
    try:
        text_format.Parse(path.read_text("utf-8"), config)
    except IsADirectoryError as error:
        raise Refused(f"{CONFIG} is a directory", invalid=True) from error
    except FileNotFoundError:
        return config  # Triton completes it by itself, for backends that can.
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise Refused(f"{CONFIG}: {error}", invalid=True) from error
    return config


def _check_versions(config: model_config_pb2.ModelConfig, directory: Path) -> None:
    versions = sorted(int(path.name) for path in directory.iterdir() if path.is_dir() and _is_version(path.name))
    if not versions:
        raise Refused("no version directory (1, 2, …) in the artifact's root", invalid=True)
    if config.backend == "python":
        _check_python(config, directory, _chosen(config, versions))


def _check_python(config: model_config_pb2.ModelConfig, directory: Path, versions: list[int]) -> None:
    # The Python backend's stub ends without a word when its file is missing, and the load call never returns.
    name = config.default_model_filename or "model.py"
    for version in versions:
        if not (directory / str(version) / name).exists():
            raise Refused(f"no {version}/{name} in the artifact, which the Python backend needs", invalid=True)


def _chosen(config: model_config_pb2.ModelConfig, versions: list[int]) -> list[int]:
    policy = config.version_policy
    if policy.HasField("all"):
        return versions
    if policy.HasField("specific"):
        return [version for version in versions if version in policy.specific.versions]
    return versions[-(policy.latest.num_versions or 1) :]


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit() and not name.startswith("0")


def _inputs(tensors: list[dict[str, Any]]) -> list[InferInput]:
    return [_input(**{key: tensor[key] for key in ("name", "shape", "datatype", "data")}) for tensor in tensors]


def _input(*, name: str, shape: list[int], datatype: str, data: object) -> InferInput:
    kind = triton_to_np_dtype(datatype)
    if kind is None:
        raise ValueError(f"unknown datatype {datatype!r}")
    tensor = InferInput(name, shape, datatype)
    tensor.set_data_from_numpy(np.array(data, dtype=kind).reshape(shape))
    return tensor


def _outputs(tensors: list[dict[str, Any]]) -> list[InferRequestedOutput] | None:
    return [InferRequestedOutput(tensor["name"]) for tensor in tensors] or None
