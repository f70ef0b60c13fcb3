"""What a change will do, as values: what `fresco diff` prints as JSON. Pure values.

Times are seconds, sizes bytes. Texts come from people's files as they are: who shows them makes them safe.
"""

from enum import StrEnum

import msgspec

from schemas.status import Finding


class Value(msgspec.Struct, frozen=True, rename="camel"):
    """A value of this model; camelCase in JSON, as every contract is."""


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


class Field(Value, frozen=True):
    """A field that differs, and what it was and is, shortened; None where it is not there."""

    path: str
    before: str | None
    after: str | None


class Fields(Value, frozen=True):
    """The first of the fields that differ. `more`: how many there are besides."""

    shown: tuple[Field, ...] = ()
    more: int = 0


class ObjectChange(Value, frozen=True):
    """One Kubernetes object that differs. `path`: its file. `patch`: a unified diff, where it was asked for."""

    path: str
    kind: str
    namespace: str
    name: str
    action: Action
    fields: Fields = Fields()
    patch: str = ""


class Objects(Value, frozen=True):
    """All objects: those that differ, and how many do not."""

    changes: tuple[ObjectChange, ...]
    unchanged: int

    def count(self, action: Action) -> int:
        """How many objects are created, changed or deleted."""
        return sum(one.action is action for one in self.changes)


class Step(Value, frozen=True):
    """One row of a plan. `route`: where requests go meanwhile; `weight`: percent of them that the candidate gets in a
    traffic step. `soak` and `deadline`: seconds; the deadline is besides the soak, None: it may take long."""

    name: str
    message: str
    route: str
    weight: int | None
    soak: float
    deadline: float | None


class Plan(Value, frozen=True):
    """The rows of one piece of work. `at_least`: its soaks, seconds; `at_most`: with every deadline used up, when
    it is over or rolled back."""

    steps: tuple[Step, ...] = ()
    at_least: float = 0.0
    at_most: float = 0.0


class Served(Value, frozen=True):
    """A revision at its place: its label, its server and the name that it is served under."""

    revision: str
    server: str
    name: str


class Rule(Value, frozen=True):
    """Requests that a header or mirror rule touches: which, and what becomes of them."""

    requests: str
    effect: str


class DeploymentChange(Value, frozen=True):
    """One Deployment that is wanted otherwise. `fields`: what was written otherwise, in normal form. `strategy` and
    `plan` are there where work begins or goes on; `reason` is an emergency's. `notes`: what it waits for, what ends."""

    key: str
    what: What
    before: Served | None = None
    after: Served | None = None
    strategy: str | None = None
    reason: str | None = None
    plan: Plan = Plan()
    rules: tuple[Rule, ...] = ()
    fields: Fields = Fields()
    notes: tuple[str, ...] = ()


class SliceChange(Value, frozen=True):
    """Pods of one slice, such as `2` or `2–6`; None where there is no slice. `replaced`: they get a new template."""

    name: str
    before: str | None
    after: str | None
    replaced: bool


class ServerChange(Value, frozen=True):
    """One InferenceServer that is wanted otherwise. As with a Deployment."""

    key: str
    what: ServerWhat
    slices: tuple[SliceChange, ...] = ()
    plan: Plan = Plan()
    fields: Fields = Fields()
    notes: tuple[str, ...] = ()


class Memory(Value, frozen=True):
    """Bytes that the models need in each pod of one slice: now, at most meanwhile, and afterwards. `room`: what a pod
    has, None where that is not known; `before` and `after`: None where there is no such slice."""

    server: str
    slice: str
    pods: str
    before: int | None
    during: int
    after: int | None
    room: int | None


class ClusterChange(Value, frozen=True):
    """All that a change does to one cluster. `now`: what the state before was read from. `findings`: errors on the new
    side, and warnings that are new there. `notes`: what concerns the whole cluster."""

    cluster: str
    now: str
    objects: Objects = Objects((), 0)
    servers: tuple[ServerChange, ...] = ()
    deployments: tuple[DeploymentChange, ...] = ()
    memory: tuple[Memory, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


class Change(Value, frozen=True):
    """A change between two sides, `base` and `head`, by cluster. `findings`: those that belong to no cluster."""

    base: str
    head: str
    clusters: tuple[ClusterChange, ...]
    findings: tuple[Finding, ...] = ()
