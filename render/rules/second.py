"""Which rules are about two places, and where the second one is. Pure values.

Every rule is in one of the two tables, so that whoever adds one decides.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from render.document import Path
from render.rules import Rule

NAMESPACE: Final = "<namespace>"
CLUSTER: Final = "<cluster>"
BACKEND: Final = "<backend>"


class Whose(StrEnum):
    """Whose file the second place is in, in words for people. Which `OTHER` it is only the check itself knows."""

    SERVER = "the Deployment's InferenceServer"
    REPOSITORY = "fresco.yaml"
    OTHER = "the other resource"


class Second(NamedTuple):
    """The second place: the value at `path` of the file that is `whose`.

    In `path` stand `NAMESPACE`, `CLUSTER` and `BACKEND` for the namespace of the resource that has the finding, the
    index of the cluster that is looked at, and the backend of the server. Where there is no such value, it is the
    nearest key above that exists, or with `must_exist` no place at all.
    """

    whose: Whose
    path: Path
    must_exist: bool = False


def _granted(field: str) -> Second:
    return Second(Whose.REPOSITORY, ("spec", "namespaces", NAMESPACE, field))


_NAME: Final[Path] = ("metadata", "name")
_IN_CLUSTER: Final[Path] = ("spec", "clusters", CLUSTER)
_CANARY: Final = Second(Whose.SERVER, ("spec", "canary", "replicas"))

SECOND: Final[Mapping[str, Second]] = MappingProxyType(
    {
        Rule.DUPLICATE_RESOURCE: Second(Whose.OTHER, _NAME),
        Rule.UNKNOWN_SERVER: Second(Whose.OTHER, _NAME),
        Rule.DUPLICATE_MODEL: Second(Whose.OTHER, ("spec", "model", "name")),
        Rule.DUPLICATE_ROUTE: Second(Whose.OTHER, ("spec", "traffic", "path")),
        Rule.UNSUPPORTED_TYPE: Second(Whose.SERVER, ("spec", "backend", "type")),
        # Without the Repository's own image it is the default, which stands in no file.
        Rule.NO_VERSION: Second(Whose.REPOSITORY, ("spec", "images", BACKEND), must_exist=True),
        Rule.OTHER_NAMESPACE: Second(Whose.OTHER, _NAME),
        Rule.SECOND_BASE_MODEL: Second(Whose.OTHER, ("spec", "model", "type")),
        Rule.NO_BASE_MODEL: Second(Whose.OTHER, _NAME),
        Rule.HOSTNAME_NOT_GRANTED: _granted("hostnames"),
        Rule.PATH_NOT_GRANTED: _granted("paths"),
        Rule.STORAGE_NOT_GRANTED: _granted("storage"),
        Rule.SECRET_NOT_GRANTED: _granted("secrets"),
        Rule.IMAGE_NOT_GRANTED: _granted("images"),
        Rule.FILE_NOT_LOCAL: Second(Whose.REPOSITORY, (*_IN_CLUSTER, "local")),
        Rule.CLAIM_NOT_DECLARED: Second(Whose.SERVER, ("spec", "cache", "claim")),
        Rule.STEPS_WITHOUT_CANARY: _CANARY,
        Rule.STEP_TOO_LARGE: _CANARY,
        Rule.MEMORY_TOO_SMALL: Second(Whose.SERVER, ("spec", "resources")),
        Rule.CONFIG_TOO_LARGE: Second(Whose.SERVER, _NAME),
        Rule.DEADLINE_TOO_SHORT: Second(Whose.REPOSITORY, (*_IN_CLUSTER, "gateway", "settle")),
        Rule.ANALYSIS_BLIND: _CANARY,
        Rule.EXTRA_REPOSITORY: Second(Whose.REPOSITORY, ()),
        Rule.GATEWAY_LACKS: Second(Whose.REPOSITORY, (*_IN_CLUSTER, "gateway", "implementation")),
        Rule.NO_ARTIFACTS: Second(Whose.REPOSITORY, ("spec", "michelangelo", "artifacts")),
    }
)

ONE_PLACE: Final[frozenset[str]] = frozenset(
    {
        # One file, or one document of it, is read by itself.
        Rule.UNREADABLE,
        Rule.YAML_FEATURE,
        Rule.DUPLICATE_KEY,
        Rule.UNKNOWN_KIND,
        Rule.NO_IDENTITY,
        Rule.UNKNOWN_FIELD,
        Rule.MISSING_FIELD,
        Rule.WRONG_TYPE,
        Rule.WRONG_VALUE,
        # One resource is looked at by itself.
        Rule.NAME_TOO_LONG,
        Rule.IMAGE_NOT_PINNED,
        Rule.SECRET_IN_PLAIN,
        Rule.NO_DIGEST,
        Rule.NO_REASON,
        Rule.WEIGHTS_NOT_RISING,
        Rule.REPLICAS_REVERSED,
        Rule.NOT_HONOURED,
        # What it is held against is in no file: it is gone, or was there before, or an agent was told it.
        Rule.NO_REPOSITORY,
        Rule.UNKNOWN_CLUSTER,
        Rule.DELETION_HELD,
        Rule.DELETION_UNTRUSTED,
        Rule.SERVER_IN_USE,
        Rule.DIGEST_WITHOUT_REVISION,
        Rule.REVISION_WITHOUT_DIGEST,
        # A comment and its line are one place.
        Rule.IGNORED_WITHOUT_REASON,
        Rule.IGNORED_UNKNOWN,
        Rule.IGNORED_NOTHING,
        Rule.IGNORED_ERROR,
    }
)


def places(rule: str) -> list[str]:
    """A sentence that says where the second place of its findings is; none where there is only one."""
    second = SECOND.get(rule)
    if second is None:
        return []
    path = ".".join(map(str, second.path))
    return [f"Its findings show `{path}` of {second.whose} too." if path else f"Its findings show {second.whose} too."]
