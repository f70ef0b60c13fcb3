"""Reading the model config, fail-closed: whatever is wrong with the file, the entries in force stay. Reads one file."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.modelsync.errors import Failed
from schemas import limits, model_config
from schemas.model_config import ModelConfig
from schemas.report import Reason

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whom a config must be for."""

    namespace: str
    server: str
    slice: str


class _Version(msgspec.Struct, rename="camel"):
    schema_version: int


def read(path: Path, *, owner: Owner) -> ModelConfig:
    """The config in the file `path`. Raises Failed with one of the `Config…` reasons."""
    try:
        return check(path.read_bytes(), owner=owner)
    except FileNotFoundError as error:
        raise Failed(Reason.CONFIG_MISSING, f"{path} does not exist") from error
    except OSError as error:
        raise Failed(Reason.CONFIG_UNREADABLE, f"{path}: {error.strerror}") from error


def check(data: bytes, *, owner: Owner) -> ModelConfig:
    """`data` as a config for `owner`. Raises Failed."""
    if len(data) > limits.MODEL_CONFIG_BYTES:
        raise Failed(Reason.CONFIG_SCHEMA, f"{len(data)} bytes, more than {limits.MODEL_CONFIG_BYTES}")
    _check_version(data)
    try:
        config = msgspec.json.decode(data, type=ModelConfig)
    except msgspec.ValidationError as error:
        raise Failed(Reason.CONFIG_SCHEMA, str(error)) from error
    except _UNREADABLE as error:
        raise Failed(Reason.CONFIG_UNREADABLE, f"not JSON: {error}") from error
    expected = model_config.checksum(config.models)
    if config.checksum != expected:
        raise Failed(Reason.CONFIG_CHECKSUM, f"the file says {config.checksum}, its entries are {expected}")
    _check_owner(config, owner)
    return config


def _check_version(data: bytes) -> None:
    # Before the schema: a newer one may say everything else in another way.
    try:
        version = msgspec.json.decode(data, type=_Version).schema_version
    except msgspec.ValidationError as error:
        raise Failed(Reason.CONFIG_SCHEMA, str(error)) from error
    except _UNREADABLE as error:
        raise Failed(Reason.CONFIG_UNREADABLE, f"not JSON, or cut short: {error}") from error
    if version > model_config.SCHEMA_VERSION:
        message = f"schema version {version}, this sidecar knows up to {model_config.SCHEMA_VERSION}"
        raise Failed(Reason.CONFIG_TOO_NEW, message)


def _check_owner(config: ModelConfig, owner: Owner) -> None:
    found = Owner(namespace=config.namespace, server=config.server, slice=config.slice)
    if found != owner:
        message = f"for {_text(found)}, this is {_text(owner)}"
        raise Failed(Reason.CONFIG_NOT_MINE, message)


def _text(owner: Owner) -> str:
    return f"{owner.namespace}/{owner.server} ({owner.slice})"


def guard(config: ModelConfig, *, pod: str, published: Collection[str]) -> None:
    """Raises Failed if `config` would unload more of the `published` names than a change may, those not counted whose
    unloading it says is meant."""
    kept = {name for name, entry in config.models.items() if model_config.wanted(entry, pod) is not None}
    lost = sorted(set(published) - kept - set(config.unload))
    share = 100 * len(lost) / len(published) if published else 0
    too_much = share > limits.MAX_DELETIONS_SHARE and len(lost) > limits.MAX_DELETIONS_COUNT
    if too_much:
        message = f"it unloads {len(lost)} of {len(published)} models and does not say so: {', '.join(lost[:5])}, …"
        raise Failed(Reason.CONFIG_UNLOADS_TOO_MUCH, message)
