"""One document in Michelangelo's form as a value in Fresco's own, and as the resource that it is. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from render.compat import deployment, server
from render.compat.fields import WRITTEN, unhonoured
from render.document import Document
from render.explain import explain
from render.memo import Memo
from render.resource import DEPLOYMENT, SERVER, Resource, checked, identify, identity
from render.rules import Rule
from schemas import API_VERSION
from schemas.michelangelo import TheirDeployment, TheirServer
from schemas.resources import Deployment, InferenceServer, Michelangelo
from schemas.status import Finding


@dataclass(frozen=True, slots=True)
class OwnForm:
    """A document in Fresco's own form. `value`: None where that cannot be told, or where it says that it is deleted.

    `findings`: what its own schema has against it, and which fields are not honoured. `address`: of a Deployment's
    artifact, whose digest stands elsewhere.
    """

    kind: str
    key: str
    value: Mapping[str, Any] | None = None
    findings: tuple[Finding, ...] = ()
    address: str | None = None
    is_deleted: bool = False


def read(document: Document, settings: Michelangelo | None) -> OwnForm | Finding:
    """`document` in Fresco's own form, or the finding that its kind or name cannot be told.

    `settings`: what `fresco.yaml` says of such resources, None where it says nothing.
    """
    name = identity(document, WRITTEN)
    if isinstance(name, Finding):
        return name
    bare = Resource(*name, document, None)
    return _deployment(bare, settings) if bare.kind == DEPLOYMENT else _server(bare, settings)


def identified(
    document: Document, settings: Michelangelo | None, digests: Mapping[str, str], memo: Memo
) -> Resource | Finding:
    """The resource that `document`, in whichever form, holds, or the finding that its kind or name cannot be told.

    `settings`: as for `read`. `digests`: of artifacts by their address, for those whose digest stands elsewhere.
    """
    if not document.is_theirs:
        return memo.of(identify, document, document)
    form = memo.of(read, document, document, settings)
    if isinstance(form, Finding):
        return form
    digest = digests.get(form.address) if form.address is not None else None
    return memo.of(resource, document, document, form, digest)


def resource(document: Document, form: OwnForm, digest: str | None) -> Resource:
    """The resource that `document`, whose form is `form`, holds. `digest`: of the artifact at the form's address.

    Its findings may be warnings, or errors beside a spec: with one of those it is not accepted.
    """
    bare = Resource(form.kind, form.key, document, None, form.findings, WRITTEN[form.kind], form.is_deleted)
    if form.value is None:
        return bare
    value = form.value if digest is None else with_digest(form.value, digest)
    own: type[Deployment] | type[InferenceServer] = Deployment if form.kind == DEPLOYMENT else InferenceServer
    try:
        spec: Deployment | InferenceServer = msgspec.convert(value, own)
    except msgspec.ValidationError:
        return Resource(form.kind, form.key, document, None, (*form.findings, *_explained(bare, value)), bare.written)
    return Resource(form.kind, form.key, document, spec, form.findings, bare.written)


def with_digest(value: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """A Deployment in Fresco's form, with the digest of its model behind the address."""
    spec = value["spec"]
    return {**value, "spec": {**spec, "model": {**spec["model"], "digest": digest}}}


def _server(bare: Resource, settings: Michelangelo | None) -> OwnForm:
    theirs, findings = checked(bare.document, "michelangelo-inferenceserver", TheirServer)
    if theirs is None or theirs.spec.decom_spec.decommission:
        return OwnForm(SERVER, bare.key, None, findings, is_deleted=theirs is not None)
    found = (*_unhonoured(bare), *server.findings(bare, theirs, settings))
    value = _value(bare, server.annotations(theirs), server.spec(theirs, settings))
    return OwnForm(SERVER, bare.key, value, found)


def _deployment(bare: Resource, settings: Michelangelo | None) -> OwnForm:
    theirs, findings = checked(bare.document, "michelangelo-deployment", TheirDeployment)
    if theirs is None or theirs.spec.deletion_spec.deleted:
        return OwnForm(DEPLOYMENT, bare.key, None, findings, is_deleted=theirs is not None)
    found = (*_unhonoured(bare), *deployment.findings(bare, theirs, settings))
    spec = deployment.spec(theirs, settings) if settings is not None else None
    if spec is None:
        return OwnForm(DEPLOYMENT, bare.key, None, found)
    value = _value(bare, deployment.annotations(theirs), spec)
    return OwnForm(DEPLOYMENT, bare.key, value, found, spec["model"]["uri"])


def _value(bare: Resource, annotations: Mapping[str, str], spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = dict(bare.document.value["metadata"])
    if annotations:
        metadata["annotations"] = {**annotations, **metadata.get("annotations", {})}
    return {"apiVersion": API_VERSION, "kind": bare.kind, "metadata": metadata, "spec": spec}


def _unhonoured(bare: Resource) -> Iterator[Finding]:
    for field in unhonoured(bare.kind, bare.document.value):
        severity = "error" if field.is_error else "warning"
        yield bare.finding(Rule.NOT_HONOURED, field.path, field.message, hint=field.instead, severity=severity)


def _explained(bare: Resource, value: Mapping[str, Any]) -> Iterator[Finding]:
    """What Fresco's own schema has against `value`, said of the fields that the person wrote."""
    for one in explain(bare.kind.lower(), value):
        yield bare.finding(one.rule, one.path, one.message.partition(": ")[2], hint=one.hint)
