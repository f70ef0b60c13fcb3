"""What makes two revisions the same to a server: content and options. Labels, places and policy do not count. Pure."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from schemas.model_config import ConfigEntry, ConfigRevision, wanted


class Identity(NamedTuple):
    """A model as a server takes it: the artifact's digest and a hash over the backend options."""

    digest: str
    options: str


class Key(NamedTuple):
    """What a verdict is about: one identity under one name, at one attempt."""

    name: str
    identity: Identity
    attempt: int


class FetchKey(NamedTuple):
    """What a verdict about a download is about: this content, from this place, at one attempt."""

    digest: str
    uri: str
    attempt: int


@dataclass(frozen=True)
class Target:
    """One revision to be served under a name."""

    digest: str
    options: dict[str, str]

    @property
    def identity(self) -> Identity:
        """The identity that the server has to prove."""
        return Identity(self.digest, options_hash(self.options))


def options_hash(options: dict[str, str]) -> str:
    """Identity of backend options: 16 hex digits."""
    return hashlib.sha256(msgspec.json.encode(options, order="sorted")).hexdigest()[:16]


def target(revision: ConfigRevision) -> Target:
    """The target that `revision` stands for."""
    return Target(revision.digest, dict(revision.options))


def needed(entry: ConfigEntry, pod: str) -> list[ConfigRevision]:
    """The revisions that `pod` has to have on disk for `entry`, the one to be served first; each digest once."""
    revisions = [wanted(entry, pod), entry.candidate, entry.serve, *entry.stage]
    return list({revision.digest: revision for revision in reversed(revisions) if revision is not None}.values())[::-1]


def fetch_key(revision: ConfigRevision, attempt: int) -> FetchKey:
    """The key of the download of `revision`."""
    return FetchKey(revision.digest, revision.uri, attempt)
