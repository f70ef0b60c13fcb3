"""What `fresco status --wait --format json` prints. Pure."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from schemas.base import Printed, SchemaVersion
from schemas.status import Finding


class Outcome(StrEnum):
    """What came of a resource of a commit."""

    IN_PROGRESS = "in progress"
    HELD_BACK = "held back"
    COMPLETE = "complete"
    ROLLED_BACK = "rolled back"
    INVALID = "invalid"
    SUPERSEDED = "superseded"


class Verdict(Printed, frozen=True):
    """What has come so far, on one cluster, of one resource that a commit asks for."""

    cluster: Annotated[str, Meta(description="The cluster.")]
    resource: Annotated[str, Meta(description="Kind, namespace and name.", examples=["Deployment fraud/scorer"])]
    outcome: Outcome
    message: Annotated[str, Meta(description="Where it stands, or why.")]
    findings: Annotated[tuple[Finding, ...], Meta(description="What is wrong with it.")] = ()


class Verdicts(Printed, frozen=True, kw_only=True):
    """What has come of a commit."""

    schema_version: SchemaVersion
    commit: Annotated[str, Meta(description="The commit that was waited for.")]
    resources: Annotated[tuple[Verdict, ...], Meta(description="All that it asks for, on each cluster.")]
