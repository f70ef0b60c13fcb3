"""What in a repository has to do with what. Pure.

A rule looks at a resource, at the server it names, at what else is on that server, and at who else has its name or its
route; never further. So a repository falls into parts, each a server and what is served on it as a rule, and what is
said of one part depends on its own documents, on `fresco.yaml` and on `fresco.lock` alone. There is one exception: a
Deployment whose server is not there is told which server is called most like it, and that depends on all servers.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from render import claims, resolve
from render.document import Document
from render.normal import SLICE_ENDINGS, server_of_base
from render.objects.suffixes import SUFFIXES
from render.resource import SERVER, Resource
from schemas.resources import Deployment
from schemas.status import Finding

_ENDINGS: Final = tuple(suffix for suffix in SUFFIXES if suffix)


class Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What of a document tells what it has to do with others.

    `line`: where it starts. `text`: identity of its text. `kind` and `key`: empty where they cannot be told, or where
    it says that it is deleted. `server`: the key of the one that a Deployment is for; where it is of a wrong form, of
    the one that it is the base model of. `routes`: what others must not have, coarsely: two routes that match the same
    are equal here, and so may be some that do not.
    """

    line: int
    text: str
    kind: str = ""
    key: str = ""
    server: str = ""
    routes: tuple[str, ...] = ()


class Where(NamedTuple):
    """A document: the path of its file, and its number among those of Fresco's in it."""

    path: str
    number: int


class Part(NamedTuple):
    """Documents that have to do with one another. `is_homeless`: a server that one of them names is not there."""

    documents: tuple[Where, ...]
    is_homeless: bool


def facts(document: Document, resource: Resource | Finding) -> Facts:
    """Those of `document`, which is `resource`."""
    if isinstance(resource, Finding) or resource.is_deleted:
        return Facts(document.line, document.text)
    spec = resource.spec
    if not isinstance(spec, Deployment):
        return Facts(document.line, document.text, resource.kind, resource.key, server_of_base(resource) or "")
    server = f"{spec.metadata.namespace}/{spec.spec.server}"
    path = _shortened(resolve.path(spec))
    hostnames = spec.spec.traffic.hostnames or (claims.ANY_HOSTNAME,)
    routes = tuple(f"{name}{path}" for name in hostnames)
    return Facts(document.line, document.text, resource.kind, resource.key, server, routes)


def _shortened(path: str) -> str:
    """`path` without the endings that routes are given: equal for two paths of which one is the other's with one."""
    for ending in _ENDINGS:
        if path.endswith(ending):
            return _shortened(path.removesuffix(ending))
    return path


def split(documents: Mapping[Where, Facts], folders: Sequence[str]) -> list[Part]:
    """The parts of a repository, in the order of `documents`, each with its documents in that order.

    `folders`: for each cluster what the paths of its files begin with. Linear in the documents and their ties.
    """
    ties = {where: tuple(_ties(where.path, one, folders)) for where, one in documents.items()}
    tied: dict[str, list[Where]] = defaultdict(list)
    for where, those in ties.items():
        for tie in those:
            tied[tie].append(where)
    homeless = _homeless(documents, folders)
    order = {where: number for number, where in enumerate(documents)}
    parts = []
    seen: set[Where] = set()
    for where in documents:
        if where not in seen:
            found = sorted(_reached(where, ties, tied, seen), key=order.__getitem__)
            parts.append(Part(tuple(found), not homeless.isdisjoint(found)))
    return parts


def _reached(
    start: Where, ties: Mapping[Where, Iterable[str]], tied: dict[str, list[Where]], seen: set[Where]
) -> Iterator[Where]:
    """`start` and all that is tied to it. What is reached is added to `seen`, and its ties go from `tied`."""
    seen.add(start)
    waiting = [start]
    while waiting:
        one = waiting.pop()
        yield one
        for tie in ties[one]:
            others = [other for other in tied.pop(tie, ()) if other not in seen]
            seen.update(others)
            waiting.extend(others)


def _ties(path: str, one: Facts, folders: Sequence[str]) -> Iterator[str]:
    """What ties a document of the file `path` to those that have the same, for each cluster that it is in."""
    for number in _clusters(path, folders) if one.key else ():
        yield f"{number} {one.kind} {one.key}"
        for ending in SLICE_ENDINGS if one.kind == SERVER else ():
            yield f"{number} {SERVER} {one.key.removesuffix(ending)}"
        if one.server:
            yield f"{number} {SERVER} {one.server}"
        for route in one.routes:
            yield f"{number} route {route}"


def _homeless(documents: Mapping[Where, Facts], folders: Sequence[str]) -> set[Where]:
    """Those that name a server which is not there in one of their clusters."""
    homes = {
        (number, one.key)
        for where, one in documents.items()
        if one.kind == SERVER
        for number in _clusters(where.path, folders)
    }
    return {
        where
        for where, one in documents.items()
        if one.server and any((number, one.server) not in homes for number in _clusters(where.path, folders))
    }


def _clusters(path: str, folders: Sequence[str]) -> list[int]:
    return [number for number, folder in enumerate(folders) if path.startswith(folder)]
