"""Documents to typed resources, or to findings. Pure.

The typed form decides quickly whether a document is right; `explain` then says what is wrong with it, all at once.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec

from render.document import Document, Path, Places, Position
from render.explain import dotted, explain, listed, shown
from render.rules import Rule
from schemas.resources import Deployment, InferenceServer, Repository
from schemas.status import Finding, OtherPlace

REPOSITORY, SERVER, DEPLOYMENT = "Repository", "InferenceServer", "Deployment"
Spec = Repository | InferenceServer | Deployment
Form = TypeVar("Form", bound=msgspec.Struct)

_TYPES: Mapping[str, type[Spec]] = {REPOSITORY: Repository, SERVER: InferenceServer, DEPLOYMENT: Deployment}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Resource:
    """A document whose kind and name can be told. `spec`: None when it breaks the schema, and `findings` say how.

    `key`: `namespace/name`, or the name alone for a Repository. For a document in another form than Fresco's own,
    `written` says where in it a path of Fresco's form is written; it may have a spec and findings, and it may say of
    itself that it is deleted.
    """

    kind: str
    key: str
    document: Document
    spec: Spec | None
    findings: tuple[Finding, ...] = ()
    written: Mapping[Path, Path] = field(default_factory=dict)
    is_deleted: bool = False

    @property
    def source(self) -> str:
        """`file:line`."""
        return f"{self.document.file}:{self.document.line}"

    def finding(self, rule: Rule, path: Path, message: str, **more: Any) -> Finding:
        """A finding at the value at `path` of Fresco's form, or the nearest one above it; `more` goes to `Finding`."""
        path = written_at(self.written, path)
        at = self.document.places().at(path).value
        return _finding(self.document, rule, at, f"{dotted(path)}: {message}" if path else message, **more)

    def place(self, path: Path) -> OtherPlace:
        """Where the value at `path` of Fresco's form is: the second place of another resource's finding."""
        return place_in(self.document, self.own_path(path))

    def own_path(self, path: Path) -> Path:
        """Where in the document `path` of Fresco's form is written, or would be, below what is written above it."""
        above = _nearest(self.written, path)
        return (*self.written[above], *path[len(above) :]) if above else path


def place_in(document: Document, path: Path) -> OtherPlace:
    """Where the value at `path` is; where there is none, the key of the nearest one above it."""
    places = document.places()
    there = places.exactly(path)
    at = there.value if there is not None else places.at(path).key
    return OtherPlace(file=document.file, line=at.line, column=at.column)


def written_at(written: Mapping[Path, Path], path: Path) -> Path:
    """Where `path` of Fresco's form, or the nearest one above it, is written; `path` itself where nothing is said."""
    above = _nearest(written, path)
    return written[above] if above else path


def _nearest(written: Mapping[Path, Path], path: Path) -> Path:
    above = path
    while above and above not in written:
        above = above[:-1]
    return above


def identify(document: Document) -> Resource | Finding:
    """The resource that `document` holds, or the finding that its kind or name cannot be told."""
    name = identity(document, _TYPES)
    if isinstance(name, Finding):
        return name
    kind, key = name
    spec, findings = checked(document, kind.lower(), _TYPES[kind])
    return Resource(kind, key, document, spec, findings)


def identity(document: Document, kinds: Collection[str]) -> tuple[str, str] | Finding:
    """The kind of `document`, one of `kinds`, and its key, or the finding that one of them cannot be told."""
    kind = document.value.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        return _unknown_kind(document, kind, kinds)
    key = _key(document.value, kind)
    if key is None:
        message = "metadata: expected a name, and a namespace if any, of lower-case letters, digits and '-'"
        return _finding(document, Rule.NO_IDENTITY, document.places().at(("metadata",)).key, message)
    return kind, key


def checked(document: Document, schema: str, form: type[Form]) -> tuple[Form | None, tuple[Finding, ...]]:
    """`document` as its typed form, or None and everything that `schema`, one of `schemas.NAMES`, has against it."""
    try:
        spec = msgspec.convert(document.value, form)
    except msgspec.ValidationError as error:
        return None, _explained(document, schema) or (_unexplained(document, str(error)),)
    # Only a last line end can pass the typed form's patterns and not the schema's.
    findings = _explained(document, schema) if document.has_line_ends else ()
    return (None, findings) if findings else (spec, ())


def _unknown_kind(document: Document, kind: object, kinds: Collection[str]) -> Finding:
    close = get_close_matches(str(kind), kinds, 1)
    hint = f"did you mean {close[0]}?" if close else None
    at = document.places().at(("kind",)).value
    return _finding(document, Rule.UNKNOWN_KIND, at, f"kind: expected {listed(kinds)}, got {shown(kind)}", hint=hint)


def _key(value: Mapping[str, Any], kind: str) -> str | None:
    metadata = value.get("metadata", {} if kind == REPOSITORY else None)
    if not isinstance(metadata, dict):
        return None
    name = metadata.get("name", "fresco" if kind == REPOSITORY else None)
    namespace = metadata.get("namespace", "default")
    if not (_is_name(name) and _is_name(namespace)):
        return None
    return str(name) if kind == REPOSITORY else f"{namespace}/{name}"


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 63 and _NAME.fullmatch(value) is not None


def _explained(document: Document, schema: str) -> tuple[Finding, ...]:
    problems = explain(schema, document.value)
    if not problems:
        return ()
    places = document.places()
    findings = (
        _finding(document, one.rule, _at(places, one.path, at_key=one.at_key), one.message, hint=one.hint)
        for one in problems
    )
    return tuple(sorted(findings, key=lambda one: (one.line, one.column, one.rule, one.message)))


def _unexplained(document: Document, message: str) -> Finding:
    return _finding(document, Rule.WRONG_VALUE, document.places().at(()).value, message)


def _at(places: Places, path: Path, *, at_key: bool) -> Position:
    place = places.at(path)
    return place.key if at_key else place.value


def _finding(document: Document, rule: Rule, at: Position, message: str, **more: Any) -> Finding:
    return Finding(file=document.file, line=at.line, column=at.column, rule=rule.value, message=message, **more)
