"""What `fresco diff` tells of a change, and prints as JSON. Pure.

Times are seconds, sizes bytes. Texts come from people's files as they are: who shows them makes them safe.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from schemas.base import Percent, Printed, SchemaVersion, Seconds
from schemas.resources import Strategy
from schemas.status import Finding, SliceName

_Key = Annotated[str, Meta(description="Namespace and name.", examples=["fraud/scorer"])]
_Bytes = Annotated[int, Meta(ge=0)]
_Notes = Annotated[tuple[str, ...], Meta(description="What a person should know besides.")]


class Action(StrEnum):
    """What becomes of a Kubernetes object."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


class What(StrEnum):
    """What becomes of a Deployment."""

    FIRST = "first rollout"
    ROLLOUT = "rollout"
    MOVE = "move"
    GOES_ON = "its rollout goes on"
    LIVE = "applies at once"
    NOTHING = "no rollout"
    DELETION = "deletion"
    HELD = "deletion held"
    REFUSED = "refused"


class ServerWhat(StrEnum):
    """What becomes of an InferenceServer."""

    CREATION = "creation"
    ROLLOUT = "new pods, slice by slice"
    REPLACEMENT = "new pods, all at once"
    GOES_ON = "its rollout goes on"
    LIVE = "applies at once"
    NOTHING = "no new pods"
    DELETION = "deletion"
    HELD = "deletion held"
    REFUSED = "refused"


class Field(Printed, frozen=True):
    """A field that differs, and what it was and is, shortened."""

    path: Annotated[str, Meta(description="Where it is in its resource or object.", examples=["model.revision"])]
    before: Annotated[str | None, Meta(description="null: it was not there.")]
    after: Annotated[str | None, Meta(description="null: it is not there any more.")]


class Fields(Printed, frozen=True):
    """The fields that differ."""

    shown: Annotated[tuple[Field, ...], Meta(description="The first of them.")] = ()
    more: Annotated[int, Meta(ge=0, description="How many there are besides.")] = 0


class ObjectChange(Printed, frozen=True):
    """One Kubernetes object that differs."""

    path: Annotated[str, Meta(description="Its file on the cluster's branch.")]
    kind: Annotated[str, Meta(description="Its Kubernetes kind.", examples=["HTTPRoute"])]
    namespace: Annotated[str, Meta(description="Its namespace.")]
    name: Annotated[str, Meta(description="Its name.")]
    action: Action
    fields: Fields = Fields()
    patch: Annotated[str, Meta(description="A unified diff of its file, with `--objects`; otherwise empty.")] = ""


class Objects(Printed, frozen=True):
    """All Kubernetes objects of a cluster."""

    changes: Annotated[tuple[ObjectChange, ...], Meta(description="Those that differ.")]
    unchanged: Annotated[int, Meta(ge=0, description="How many do not.")]

    def count(self, action: Action) -> int:
        """How many objects are created, changed or deleted."""
        return sum(one.action is action for one in self.changes)


class Step(Printed, frozen=True):
    """One row of a plan."""

    name: Annotated[str, Meta(description="What it is called.", examples=["weight 1"])]
    message: Annotated[str, Meta(description="What happens in it.")]
    route: Annotated[str, Meta(description="Where requests go meanwhile.")]
    weight: Annotated[Percent | None, Meta(description="In a traffic step: percent that the candidate gets.")]
    soak: Annotated[Seconds, Meta(description="Seconds that it lasts at least.")]
    deadline: Annotated[
        Seconds | None, Meta(description="Seconds that it may take besides its soak; null: as long as it takes.")
    ]


class Plan(Printed, frozen=True):
    """The rows of one piece of work, first to last; none where no work begins or goes on."""

    steps: Annotated[tuple[Step, ...], Meta(description="Its rows.")] = ()
    at_least: Annotated[Seconds, Meta(description="Seconds: its soaks.")] = 0.0
    at_most: Annotated[
        Seconds, Meta(description="Seconds, with every deadline used up, when it is over or rolled back.")
    ] = 0.0


class Served(Printed, frozen=True):
    """A revision at its place."""

    revision: Annotated[str, Meta(description="The human's label.")]
    server: Annotated[str, Meta(description="Its InferenceServer.")]
    name: Annotated[str, Meta(description="The name that it is served under.")]


class Rule(Printed, frozen=True):
    """Requests that a header or mirror rule touches."""

    requests: Annotated[str, Meta(description="Which.")]
    effect: Annotated[str, Meta(description="What becomes of them.")]


class DeploymentChange(Printed, frozen=True):
    """One Deployment that is wanted otherwise."""

    key: _Key
    what: What
    before: Annotated[Served | None, Meta(description="What is served now; null: nothing.")] = None
    after: Annotated[Served | None, Meta(description="What will be; null: nothing.")] = None
    strategy: Annotated[Strategy | None, Meta(description="Of the work that there is; null: there is none.")] = None
    reason: Annotated[str | None, Meta(description="Why it is an emergency.")] = None
    plan: Plan = Plan()
    rules: Annotated[tuple[Rule, ...], Meta(description="What headers and mirrors do to requests meanwhile.")] = ()
    fields: Annotated[Fields, Meta(description="What was written otherwise, in normal form.")] = Fields()
    notes: _Notes = ()


class SliceChange(Printed, frozen=True):
    """Pods of one slice."""

    name: Annotated[SliceName, Meta(description="Which slice.")]
    before: Annotated[str | None, Meta(description="How many; null: no such slice.", examples=["2", "2–6"])]
    after: Annotated[str | None, Meta(description="How many then; null: no such slice.")]
    replaced: Annotated[bool, Meta(description="They get a new template.")]


class ServerChange(Printed, frozen=True):
    """One InferenceServer that is wanted otherwise."""

    key: _Key
    what: ServerWhat
    slices: Annotated[tuple[SliceChange, ...], Meta(description="What becomes of its pods.")] = ()
    plan: Plan = Plan()
    fields: Annotated[Fields, Meta(description="What was written otherwise, in normal form.")] = Fields()
    notes: _Notes = ()


class Memory(Printed, frozen=True):
    """Bytes that the models need in each pod of one slice."""

    server: _Key
    slice: Annotated[SliceName, Meta(description="Which slice of it.")]
    pods: Annotated[str, Meta(description="How many pods.", examples=["2–6"])]
    before: Annotated[_Bytes | None, Meta(description="Bytes now; null: no such slice.")]
    during: Annotated[_Bytes, Meta(description="Bytes at most meanwhile.")]
    after: Annotated[_Bytes | None, Meta(description="Bytes afterwards; null: no such slice.")]
    room: Annotated[_Bytes | None, Meta(description="Bytes that a pod has; null: not known.")]


class ClusterChange(Printed, frozen=True):
    """All that a change does to one cluster."""

    cluster: Annotated[str, Meta(description="One of the clusters in fresco.yaml, before or after.")]
    now: Annotated[str, Meta(description="What the state before was read from.")]
    objects: Objects = Objects((), 0)
    servers: Annotated[tuple[ServerChange, ...], Meta(description="InferenceServers wanted otherwise.")] = ()
    deployments: Annotated[tuple[DeploymentChange, ...], Meta(description="Deployments wanted otherwise.")] = ()
    memory: Annotated[tuple[Memory, ...], Meta(description="The slices of the servers concerned.")] = ()
    findings: Annotated[
        tuple[Finding, ...], Meta(description="Errors on the new side, and warnings that are new there.")
    ] = ()
    notes: _Notes = ()


class Change(Printed, frozen=True, kw_only=True):
    """A change between two sides, and what it does, cluster by cluster."""

    schema_version: SchemaVersion
    base: Annotated[str, Meta(description="The side before: a commit.")]
    head: Annotated[str, Meta(description="The side after: a commit, or the working tree.")]
    clusters: Annotated[tuple[ClusterChange, ...], Meta(description="By cluster.")]
    findings: Annotated[tuple[Finding, ...], Meta(description="Those that belong to no cluster.")] = ()
