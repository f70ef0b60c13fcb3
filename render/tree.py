"""The status tree as files, and back, strictly by the contract. Pure.

status/repository.yaml
status/<namespace>/servers/<name>.yaml
status/<namespace>/deployments/<name>.yaml
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from render.errors import StatusUnreadable
from render.load import load_file
from render.migrate import migrate
from schemas.status import SCHEMA_VERSION, DeploymentStatus, RepositoryStatus, ServerStatus, Tree

FOLDER = "status"
REPOSITORY_PATH = f"{FOLDER}/repository.yaml"

_PATH = re.compile(rf"{FOLDER}/([^/]+)/(servers|deployments)/([^/]+)\.yaml")

Status = RepositoryStatus | ServerStatus | DeploymentStatus

S = TypeVar("S", RepositoryStatus, ServerStatus, DeploymentStatus)
N = TypeVar("N", ServerStatus, DeploymentStatus)
V = TypeVar("V")


def server_path(key: str) -> str:
    """The file of the server `namespace/name`."""
    return _path(key, "servers")


def deployment_path(key: str) -> str:
    """The file of the Deployment `namespace/name`."""
    return _path(key, "deployments")


def is_status(path: str) -> bool:
    """Whether a status is kept at `path`."""
    return path == REPOSITORY_PATH or _PATH.fullmatch(path) is not None


def read(files: Mapping[str, bytes]) -> Tree | None:
    """The tree in `files`, by path; files of other paths do not matter. None when there is no status at all.
    What an older version wrote is brought to this one.

    Raises StatusUnreadable when a file breaks the contract or was written by a newer version.
    """
    return of({path: status(path, files[path]) for path in sorted(files) if is_status(path)})


def of(statuses: Mapping[str, Status]) -> Tree | None:
    """The tree of statuses that were read from their paths; None when there are none.

    Raises StatusUnreadable when there are some, but none of the repository.
    """
    repository = statuses.get(REPOSITORY_PATH)
    if repository is None and statuses:
        raise StatusUnreadable(f"{REPOSITORY_PATH} is missing beside {min(statuses)}")
    if not isinstance(repository, RepositoryStatus):
        return None
    servers = {_key(one): one for one in statuses.values() if isinstance(one, ServerStatus)}
    deployments = {_key(one): one for one in statuses.values() if isinstance(one, DeploymentStatus)}
    return Tree(repository=repository, servers=_sorted(servers), deployments=_sorted(deployments))


def status(path: str, content: bytes) -> Status:
    """The status that is kept at `path`, which `is_status`. Raises StatusUnreadable."""
    match = _PATH.fullmatch(path)
    if match is None:
        return _status(path, content, RepositoryStatus)
    if match[2] == "servers":
        return _named(_status(path, content, ServerStatus), path)
    return _named(_status(path, content, DeploymentStatus), path)


def builtins(status: Status) -> dict[str, Any]:
    """A status as plain values, times as text, defaults left out."""
    plain: dict[str, Any] = msgspec.to_builtins(status)
    return plain


def _path(key: str, kind: str) -> str:
    namespace, _, name = key.partition("/")
    return f"{FOLDER}/{namespace}/{kind}/{name}.yaml"


def _key(status: ServerStatus | DeploymentStatus) -> str:
    return f"{status.metadata.namespace}/{status.metadata.name}"


def _named(status: N, path: str) -> N:
    key = _key(status)
    if path not in (server_path(key), deployment_path(key)):
        raise StatusUnreadable(f"{path} is about {key}")
    return status


def _status(path: str, content: bytes, kind: type[S]) -> S:
    loaded = load_file(path, content)
    if len(loaded.documents) != 1:
        why = loaded.findings[0].message if loaded.findings else "expected one document of Fresco's apiVersion"
        raise StatusUnreadable(f"{path}: {why}")
    value = loaded.documents[0].value
    version = value.get("schemaVersion")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StatusUnreadable(
            f"{path}: schemaVersion {version} is newer than this Fresco's {SCHEMA_VERSION}: upgrade it"
        )
    try:
        return msgspec.convert(migrate(value), kind)
    except msgspec.ValidationError as error:
        raise StatusUnreadable(f"{path}: {error}") from error


def _sorted(values: dict[str, V]) -> dict[str, V]:
    return {key: values[key] for key in sorted(values)}
