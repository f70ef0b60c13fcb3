"""Documents to typed resources, or to findings. Pure.

The typed form decides quickly whether a document is right; `explain` then says what is wrong with it, all at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import msgspec

from render.document import Document, Path, Places, Position
from render.explain import dotted, explain, listed, shown
from render.rules import Rule
from schemas.resources import Deployment, InferenceServer, Repository
from schemas.status import Finding, OtherPlace

REPOSITORY, SERVER, DEPLOYMENT = "Repository", "InferenceServer", "Deployment"
Spec = Repository | InferenceServer | Deployment

_TYPES: Mapping[str, type[Spec]] = {REPOSITORY: Repository, SERVER: InferenceServer, DEPLOYMENT: Deployment}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Resource:
    """A document whose kind and name can be told. `spec`: None when it breaks the schema, and `findings` say how.

    `key`: `namespace/name`, or the name alone for a Repository.
    """

    kind: str
    key: str
    document: Document
    spec: Spec | None
    findings: tuple[Finding, ...] = ()

    @property
    def source(self) -> str:
        """`file:line`."""
        return f"{self.document.file}:{self.document.line}"

    def finding(self, rule: Rule, path: Path, message: str, **more: Any) -> Finding:
        """A finding at the value at `path`, or at the nearest one above it; `more` goes to `Finding`."""
        at = self.document.places().at(path).value
        return _finding(self.document, rule, at, f"{dotted(path)}: {message}" if path else message, **more)

    def place(self, path: Path) -> OtherPlace:
        """Where the value at `path` is, or the nearest one above it: the second place of another resource's finding."""
        at = self.document.places().at(path).value
        return OtherPlace(file=self.document.file, line=at.line, column=at.column)


def identify(document: Document) -> Resource | Finding:
    """The resource that `document` holds, or the finding that its kind or name cannot be told."""
    kind = document.value.get("kind")
    if not isinstance(kind, str) or kind not in _TYPES:
        return _unknown_kind(document, kind)
    key = _key(document.value, kind)
    if key is None:
        message = "metadata: expected a name, and a namespace if any, of lower-case letters, digits and '-'"
        return _finding(document, Rule.NO_IDENTITY, document.places().at(("metadata",)).key, message)
    spec, findings = _check(document, kind)
    return Resource(kind, key, document, spec, findings)


def _unknown_kind(document: Document, kind: object) -> Finding:
    close = get_close_matches(str(kind), _TYPES, 1)
    hint = f"did you mean {close[0]}?" if close else None
    at = document.places().at(("kind",)).value
    return _finding(document, Rule.UNKNOWN_KIND, at, f"kind: expected {listed(_TYPES)}, got {shown(kind)}", hint=hint)


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


def _check(document: Document, kind: str) -> tuple[Spec | None, tuple[Finding, ...]]:
    try:
        spec = msgspec.convert(document.value, _TYPES[kind])
    except msgspec.ValidationError as error:
        return None, _explained(document, kind) or (_unexplained(document, str(error)),)
    # Only a last line end can pass the typed form's patterns and not the schema's.
    findings = _explained(document, kind) if document.has_line_ends else ()
    return (None, findings) if findings else (spec, ())


def _explained(document: Document, kind: str) -> tuple[Finding, ...]:
    problems = explain(kind.lower(), document.value)
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
