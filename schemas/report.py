"""The sidecar's report: what one pod really has and serves. `GET /v1/status?after=<seq>`, a long poll. Pure.

It answers when something has changed since `seq`, or after `&wait=<seconds>`, `limits.REPORT_POLL` where that is not
said.

To the agent a report is untrusted input: it is checked against this contract and against limits of size.
"""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from schemas.base import Contract, Digest, ModelName, Name, Seconds

SCHEMA_VERSION = 1


class ModelState(StrEnum):
    """Where a served name stands on one pod."""

    PENDING = "Pending"
    DOWNLOADING = "Downloading"
    STAGED = "Staged"
    LOADING = "Loading"
    SERVING = "Serving"
    UNLOADING = "Unloading"
    FAILED = "Failed"


class Reason(StrEnum):
    """Machine-readable reasons of errors. `PERMANENT` are certain: trying again cannot help."""

    CONFIG_MISSING = "ConfigMissing"
    CONFIG_UNREADABLE = "ConfigUnreadable"
    CONFIG_CHECKSUM = "ConfigChecksumMismatch"
    CONFIG_SCHEMA = "ConfigSchemaInvalid"
    CONFIG_TOO_NEW = "ConfigSchemaTooNew"
    CONFIG_NOT_MINE = "ConfigForAnotherServer"
    CONFIG_UNLOADS_TOO_MUCH = "ConfigUnloadsTooMuch"
    ARTIFACT_NOT_FOUND = "ArtifactNotFound"
    ARTIFACT_INVALID = "ArtifactInvalid"
    DOWNLOAD_FAILED = "DownloadFailed"
    DIGEST_MISMATCH = "DigestMismatch"
    INSUFFICIENT_DISK = "InsufficientDisk"
    MODEL_INVALID = "ModelInvalid"
    LOAD_FAILED = "LoadFailed"
    LOAD_TIMED_OUT = "LoadTimedOut"
    PROOF_MISMATCH = "ProofMismatch"
    SMOKE_TEST_FAILED = "SmokeTestFailed"
    QUARANTINED = "Quarantined"
    SERVER_UNAVAILABLE = "ServerUnavailable"


class ReportError(Contract, frozen=True, kw_only=True):
    """One error. `permanent`: certain, so that waiting for a deadline is of no use."""

    reason: Reason
    message: Annotated[str, Meta(max_length=1000, description="One line for people, without secrets or URL queries.")]
    permanent: Annotated[bool, Meta(description="Trying again cannot help.")] = False
    digest: Annotated[Digest, Meta(description="The revision that the error is about.")] | None = None
    attempt: Annotated[int, Meta(ge=0, description="The entry's `attempt` at that time.")] = 0
    retries: Annotated[int, Meta(ge=0, description="How often it was tried again.")] = 0


class Progress(Contract, frozen=True, kw_only=True):
    """Bytes of a download. Does not move `seq`."""

    done: Annotated[int, Meta(ge=0, description="Bytes written.")]
    total: Annotated[int, Meta(ge=0, description="Bytes in all, where the source tells.")] | None = None


class Requests(Contract, frozen=True, kw_only=True):
    """Inference requests to one model since it was loaded, by the server's own counters."""

    count: Annotated[int, Meta(description="Requests, good and bad.", ge=0)] = 0
    failures: Annotated[int, Meta(description="Failed requests among them.", ge=0)] = 0
    latency_seconds: Annotated[float, Meta(ge=0, description="Sum over all successful requests.")] = 0.0
    busy: Annotated[bool, Meta(description="The counter moved in the last sampling interval. Moves `seq`.")] = False


class ModelReport(Contract, frozen=True, kw_only=True):
    """One served name on this pod."""

    state: ModelState
    entry: Annotated[Digest, Meta(description="Hash of the config entry in force; None once it is gone.")] | None = None
    staged: Annotated[tuple[Digest, ...], Meta(description="Digests on disk, complete and verified.")] = ()
    serving: Annotated[Digest, Meta(description="The digest that the server itself proves it serves.")] | None = None
    error: ReportError | None = None
    bytes: Progress | None = None
    load_seconds: Seconds | None = None
    memory_before_load: Annotated[int, Meta(ge=0, description="Bytes, where the server tells.")] | None = None
    memory_after_load: Annotated[int, Meta(ge=0, description="Bytes, where the server tells.")] | None = None
    requests: Requests = Requests()


class ServerReport(Contract, frozen=True, kw_only=True):
    """The inference server beside the sidecar."""

    type: Annotated[Literal["triton", "vllm"], Meta(description="The serving framework.")]
    live: Annotated[bool, Meta(description="It answers.")]
    started_at: Annotated[float, Meta(description="POSIX seconds of the start that the sidecar saw.")] | None = None
    version: Annotated[str, Meta(description="As it tells it.")] | None = None


class ConfigReport(Contract, frozen=True, kw_only=True):
    """The model config in force, and what is wrong with the file that should replace it."""

    checksum: Digest | None = None
    error: ReportError | None = None


class SidecarReport(Contract, frozen=True, kw_only=True):
    """The whole report. `seq` is `<boot id>.<n>`: another boot id means that the sidecar was started again."""

    schema_version: Annotated[int, Meta(description="Version of this contract.", ge=1)]
    seq: Annotated[
        str,
        Meta(
            description="`<boot id>.<n>`; a poll returns when it has moved.",
            pattern=r"^[0-9a-f]{8,32}\.[0-9]+$",
            examples=["5f3c9a10.42"],
        ),
    ]
    pod: Annotated[str, Meta(description="The pod's name.")]
    namespace: Name
    server_name: Name
    slice: Annotated[Literal["main", "canary"], Meta(description="The pod's slice.")]
    config: ConfigReport
    server: ServerReport
    ready: Annotated[bool, Meta(description="What `/readyz` answers.")]
    blocked_by: Annotated[
        tuple[ModelName, ...], Meta(description="Gated models that keep a starting pod unready.")
    ] = ()
    models: Annotated[dict[ModelName, ModelReport], Meta(description="By served name.")] = {}
