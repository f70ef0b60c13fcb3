"""The second place of findings about two files. Pure.

A check is handed no more of the other file than the values that it looks at, so that its result stays while they do.
Only what has a finding is then asked where these values stand.
"""

from typing import NamedTuple

import msgspec

from render.document import Document, Path
from render.resource import Resource, place_in
from render.rules.second import BACKEND, CLUSTER, NAMESPACE, SECOND, Whose
from schemas.status import Finding, OtherPlace


class Context(NamedTuple):
    """What the findings of one resource may be about besides it. `repository`: the document in fresco.yaml; `cluster`:
    the index of its cluster that is looked at. `server`: a Deployment's, where it is accepted as it is written."""

    repository: Document
    cluster: int
    namespace: str = ""
    server: Resource | None = None
    backend: str = ""


class Target(NamedTuple):
    """The value at `path` of `document`; where there is none, the nearest key above unless it `must_exist`."""

    document: Document
    path: Path
    must_exist: bool


def target(finding: Finding, context: Context) -> Target | None:
    """Where the second place of `finding` is; None where it has one already, or is about one place alone."""
    second = SECOND.get(finding.rule) if finding.other is None else None
    if second is None or second.whose is Whose.OTHER:
        return None
    if second.whose is Whose.SERVER:
        server = context.server
        return None if server is None else Target(server.document, server.own_path(second.path), second.must_exist)
    known: dict[str | int, str | int] = {
        NAMESPACE: context.namespace,
        CLUSTER: context.cluster,
        BACKEND: context.backend,
    }
    return Target(context.repository, tuple(known.get(part, part) for part in second.path), second.must_exist)


def found(target: Target) -> OtherPlace | None:
    """The place itself: reads the file again."""
    document, path, must_exist = target
    if must_exist and document.places().exactly(path) is None:
        return None
    return place_in(document, path)


def pointing(finding: Finding, other: OtherPlace | None) -> Finding:
    """`finding` with `other` as its second place; None leaves it as it is."""
    return finding if other is None else msgspec.structs.replace(finding, other=other)


def with_both(finding: Finding, context: Context) -> Finding:
    """`finding` with its second place, where there is one."""
    to = target(finding, context)
    return pointing(finding, found(to) if to is not None else None)
