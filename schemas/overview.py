"""What `fresco status --format json` prints. Pure."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from schemas.base import Printed, SchemaVersion
from schemas.status import DeploymentStatus, Stage


class Row(Printed, frozen=True, kw_only=True):
    """Where one Deployment stands."""

    deployment: Annotated[str, Meta(description="Namespace and name.", examples=["fraud/scorer"])]
    stage: Stage
    needs_person: Annotated[bool, Meta(description="It does not go on by itself.")]
    revision: Annotated[str | None, Meta(description="The label of what is served; null: nothing is.")]
    candidate: Annotated[str | None, Meta(description="The label of what is rolled out; null: nothing is.")]
    proven: Annotated[
        int,
        Meta(
            ge=0,
            description="Pods that are on record as having proven what they are told to serve, since the work in hand "
            "began or when the last one ended.",
        ),
    ]
    replicas: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="The fewest pods that its server is to have; null: it has no server."),
    ]
    age: Annotated[float | None, Meta(description="Seconds in its stage; null: it has never been in another.")]
    message: Annotated[str, Meta(description="What happens, or why it needs a person.")]
    status: Annotated[
        DeploymentStatus | UnsetType, Meta(description="All of its status, where one Deployment was asked for.")
    ] = UNSET


class ClusterOverview(Printed, frozen=True, kw_only=True):
    """Where the Deployments of one cluster stand, as its branch has it."""

    cluster: Annotated[str, Meta(description="Its name.")]
    branch: Annotated[str, Meta(description="The branch that its agent writes.", examples=["clusters/prod"])]
    commit: Annotated[str, Meta(description="The commit there that this was read from.")]
    source_commit: Annotated[
        str | None, Meta(description="The commit of people's files that it was made of; null: it does not say so.")
    ]
    notices: Annotated[tuple[str, ...], Meta(description="What a person should know besides the Deployments.")]
    deployments: Annotated[
        tuple[Row, ...], Meta(description="First what needs a person, then what is in hand, then the others.")
    ]


class Overview(Printed, frozen=True, kw_only=True):
    """Where everything stands, or the one Deployment that was asked for."""

    schema_version: SchemaVersion
    clusters: Annotated[tuple[ClusterOverview, ...], Meta(description="By name.")]
