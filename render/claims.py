"""Who may have what only one can have: served names, base models, routes, memory. Who has it already keeps it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from render.capacity import Need, Size, available, misfits
from render.objects.suffixes import SUFFIXES
from schemas.resources import ModelType, Resources
from schemas.status import DeploymentStatus, ModelRevision, TrafficPolicy

ANY_HOSTNAME = "*"


class ServedName(NamedTuple):
    """A name on a server, `server` being `namespace/name`."""

    server: str
    name: str

    def __str__(self) -> str:
        return f"the served name {self.name!r} on {self.server}"


class BaseModel(NamedTuple):
    """The one model that a vLLM server starts on, `server` being `namespace/name`."""

    server: str

    def __str__(self) -> str:
        return f"the base model of {self.server}"


class Match(NamedTuple):
    """What a route matches: no two may match the same."""

    hostname: str
    path: str
    headers: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        headers = f" with {', '.join(f'{name}: {value}' for name, value in self.headers)}" if self.headers else ""
        return f"the route {self.hostname}{self.path}{headers}"


Claim = ServedName | BaseModel | Match


@dataclass(slots=True)
class Owners:
    """Who has what, by the key of the Deployment."""

    by_claim: dict[Claim, str] = field(default_factory=dict)

    def conflict(self, key: str, claims: Iterable[Claim]) -> tuple[Claim, str] | None:
        """The first of `claims` that another than `key` has, and who that is."""
        for claim in claims:
            owner = self.by_claim.get(claim, key)
            if owner != key:
                return claim, owner
        return None

    def take(self, key: str, claims: Iterable[Claim]) -> bool:
        """Gives `key` what of `claims` nobody has. Whether it has them all then."""
        owners = [self.by_claim.setdefault(claim, key) for claim in claims]
        return owners.count(key) == len(owners)


def claims(namespace: str, model: ModelRevision, traffic: TrafficPolicy) -> Iterator[Claim]:
    """What a Deployment needs for itself alone."""
    server = f"{namespace}/{model.server}"
    yield ServedName(server, model.name)
    if model.type is ModelType.BASE:
        yield BaseModel(server)
    yield from matches(model, traffic)


def matches(model: ModelRevision, traffic: TrafficPolicy) -> Iterator[Match]:
    """Everything that a Deployment's route matches."""
    headers = tuple(sorted((one.name.lower(), one.value) for one in traffic.headers))
    for hostname in traffic.hostnames or (ANY_HOSTNAME,):
        for suffix in SUFFIXES:
            yield Match(hostname, model.path + suffix, headers)


def without_room(models: Mapping[str, Size], resources: Resources) -> dict[str, tuple[Need, int]]:
    """Of the Deployments of a server, in the order of their right to it, those that its memory has no room for: what
    is needed, and the bytes that there are."""
    room = available(resources)
    if room is None:
        return {}
    return {key: (need, int(room)) for key, need in misfits(models, room).items()}


def held(status: DeploymentStatus) -> Iterator[Claim]:
    """What a Deployment has by what was accepted last; what is being deleted still has it."""
    for revision in (status.current, status.candidate):
        if revision is not None and status.traffic is not None:
            yield from claims(status.metadata.namespace, revision, status.traffic)
