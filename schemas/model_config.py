"""The model config: what the sidecars of one slice are told to serve. ConfigMap key `model-config.json`. Pure.

The InferenceServer owns the object, each Deployment owns its entry in it. The agent writes it, model-sync reads it.
"""

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.base import Contract, Digest, ModelName, Name, Uri

SCHEMA_VERSION = 1
FILE_NAME = "model-config.json"


class SmokeTest(Contract, frozen=True, kw_only=True):
    """One request that a freshly loaded model must answer before it is trusted."""

    request: Annotated[
        str, Meta(description="The body of the request, JSON, as the server's own inference API takes it.")
    ]
    timeout_seconds: Annotated[float, Meta(gt=0, description="Seconds to wait for the answer.")] = 10.0


class ConfigRevision(Contract, frozen=True, kw_only=True):
    """One revision of a model, with all that a sidecar needs to fetch it and to have it served."""

    deployment: Annotated[Name, Meta(description="The Deployment that owns the entry, in the server's namespace.")]
    type: Annotated[Literal["repository", "base", "adapter"], Meta(description="How the server takes the model.")]
    revision: Annotated[str, Meta(description="The human's label. Not part of the model's identity.")]
    uri: Uri
    digest: Digest
    options: Annotated[dict[str, str], Meta(description="Options for the backend, such as Triton parameters.")] = {}
    smoke_test: SmokeTest | None = None


class ConfigCandidate(ConfigRevision, frozen=True, kw_only=True):
    """The revision that the pods named in `firstPods` serve instead of `serve`."""

    first_pods: Annotated[tuple[str, ...], Meta(min_length=1, description="Names of the pods of the first wave.")]


class ConfigEntry(Contract, frozen=True, kw_only=True):
    """What a slice's pods do about one served name. Without `serve` and `candidate` nothing is served under it."""

    serve: ConfigRevision | None = None
    candidate: ConfigCandidate | None = None
    stage: Annotated[tuple[ConfigRevision, ...], Meta(description="Revisions to have on disk, verified, besides.")] = ()
    gate: Annotated[
        bool, Meta(description="A route points here: a starting pod becomes ready only with it served.")
    ] = False
    attempt: Annotated[int, Meta(ge=0, description="Raised by a human to try a failed revision again.")] = 0


class ModelConfig(Contract, frozen=True, kw_only=True):
    """The whole file. `checksum` is over `models` and guards against a file cut short or edited."""

    schema_version: Annotated[int, Meta(ge=1, description="Version of this contract.", examples=[1])]
    namespace: Name
    server: Name
    slice: Annotated[Literal["main", "canary"], Meta(description="The slice whose pods read it.")]
    checksum: Digest
    models: Annotated[dict[ModelName, ConfigEntry], Meta(description="Entries by served name.")]
    unload: Annotated[
        tuple[ModelName, ...],
        Meta(description="Names whose unloading is meant: the guard against unloading too much counts only others."),
    ] = ()


def checksum(models: dict[str, ConfigEntry]) -> str:
    """The checksum of a model config's entries: sha256 over their canonical JSON (sorted keys, no spaces)."""
    return _sha256(models)


def entry_hash(entry: ConfigEntry) -> str:
    """Identity of one entry, `sha256:<hex>`. A report proves something about an entry only if it carries its hash."""
    return _sha256(entry)


def wanted(entry: ConfigEntry, pod: str) -> ConfigRevision | None:
    """The revision that `pod` has to serve by this entry, or None for none."""
    if entry.candidate is not None and pod in entry.candidate.first_pods:
        return entry.candidate
    return entry.serve


def _sha256(value: object) -> str:
    return "sha256:" + hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
