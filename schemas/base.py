"""What all contracts share: the struct they are made of, and the words for names, digests, durations, sizes. Pure."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Contract(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, rename="camel", gc=False
):
    """A value of a contract: frozen, camelCase outside, unknown fields refused, defaults left out when written.

    Frozen values make no cycles: the collector need not visit them, and there are hundreds of thousands.
    """


class Printed(Contract, frozen=True, omit_defaults=False):
    """A value that a command prints as JSON: every field is written, so whoever reads it need not know the defaults."""


ApiVersion = Annotated[Literal["serving.fresco.dev/v1alpha1"], Meta(description="Group and version of the contract.")]
SchemaVersion = Annotated[int, Meta(ge=1, description="Version of this contract.", examples=[1])]
Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=63,
        description="A DNS label: lower-case letters, digits and '-', at most 63 characters.",
        examples=["gpu-a"],
    ),
]
ObjectName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        max_length=253,
        description="The name of a Kubernetes object: lower-case letters, digits, '-' and '.', at most 253 characters.",
        examples=["models"],
    ),
]
ModelName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=128,
        description="The name a model is served under: letters, digits, '.', '_' and '-'.",
        examples=["scorer"],
    ),
]
Digest = Annotated[
    str,
    Meta(
        pattern=r"^sha256:[0-9a-f]{64}$",
        description="The digest of an unpacked artifact, as `fresco lock` computes it.",
        examples=["sha256:" + "9f" * 32],
    ),
]
Duration = Annotated[
    str,
    Meta(
        pattern=r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$",
        max_length=20,
        description="A duration: numbers with the units ms, s, m, h or d.",
        examples=["30s", "1h30m"],
    ),
]
Quantity = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$",
        max_length=20,
        description="A Kubernetes quantity: of memory in bytes, of processors in cores.",
        examples=["16Gi", "500m"],
    ),
]
Percent = Annotated[int, Meta(ge=0, le=100, description="A share in percent.")]
Seconds = Annotated[float, Meta(ge=0, description="Seconds.")]
Uri = Annotated[
    str,
    Meta(
        pattern=r"^(s3|gs|az|https?|file|pvc|hf)://[^\s]+$",
        description="Where an artifact is: s3, gs, az, http(s), file, pvc or hf.",
        examples=["s3://models/fraud/scorer/2026-11-20"],
    ),
]

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT_FACTORS = {
    "": 1.0,
    "m": 0.001,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}


def seconds(duration: str) -> float:
    """A `Duration` in seconds: `1m30s` is 90.0."""
    parts = re.findall(r"([0-9.]+)(ms|s|m|h|d)", duration)
    return sum((float(number) * _UNIT_SECONDS[unit] for number, unit in parts), 0.0)


def duration(seconds: float) -> str:
    """Seconds as a `Duration` is written: `1h30m`, `8s`, `500ms`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    words, left = "", seconds
    for unit in ("d", "h", "m"):
        whole, left = divmod(left, _UNIT_SECONDS[unit])
        words += f"{whole:g}{unit}" if whole else ""
    return f"{words}{round(left, 3):g}s" if left or not words else words


def amount(quantity: str) -> float:
    """A `Quantity` as a number: bytes of memory, or cores."""
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity)
    if match is None:
        raise ValueError(f"not a quantity: {quantity!r}")
    return float(match[1]) * _UNIT_FACTORS[match[2]]


def utc(timestamp: float) -> datetime:
    """POSIX seconds as a time in UTC with milliseconds, the form in which status files keep times."""
    return datetime.fromtimestamp(round(timestamp, 3), UTC)
