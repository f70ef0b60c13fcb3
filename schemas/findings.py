"""What `fresco validate --format json` prints. Pure."""

from typing import Annotated

from msgspec import Meta

from schemas.base import Contract, SchemaVersion
from schemas.status import Finding


class Findings(Contract, frozen=True, kw_only=True):
    """Everything that was found, in the order of files and lines."""

    schema_version: SchemaVersion
    findings: Annotated[
        tuple[Finding, ...], Meta(description="Their paths are relative to the folder in which `fresco` was called.")
    ]
