"""What is odd about a change, which neither the state before nor the one after shows by itself. Pure.

The agent does not ask for it: labels apply live, so what is odd of them would be gone with the next status. Whoever is
about to commit is told.
"""

from collections.abc import Iterator

from render.document import Document, Loaded, prefix
from render.resource import Resource, identify
from render.rules import Rule
from schemas.resources import Deployment
from schemas.status import Finding


def findings(before: Loaded, after: Loaded, folder: str) -> list[Finding]:
    """Warnings about the Deployments of `folder`, a cluster's `path`, whose revision and digest do not change together.

    What is new, gone or breaks the schema on either side is not compared. Costs what differs, and a look at each file:
    one that is the same object on both sides is equal.
    """
    known = {one.key: spec for one, spec in _deployments(before, after, folder)}
    now = _deployments(after, before, folder)
    return [finding for one, spec in now for finding in _relabelled(one, known.get(one.key), spec)]


def _deployments(loaded: Loaded, other: Loaded, folder: str) -> Iterator[tuple[Resource, Deployment]]:
    below = prefix(folder)
    for path, file in loaded.files.items():
        for document in file.documents if path.startswith(below) and other.files.get(path) is not file else ():
            resource = _identified(document)
            if resource is not None and isinstance(resource.spec, Deployment):
                yield resource, resource.spec


def _identified(document: Document) -> Resource | None:
    """Other kinds are not even looked at."""
    resource = identify(document) if document.value.get("kind") == "Deployment" else None
    return resource if isinstance(resource, Resource) else None


def _relabelled(resource: Resource, before: Deployment | None, after: Deployment) -> Iterator[Finding]:
    if before is None or before.spec.model.digest is None or after.spec.model.digest is None:
        return
    old, new = before.spec.model, after.spec.model
    if old.revision == new.revision and old.digest != new.digest:
        message = f"the digest is another one, but the revision is still {new.revision!r}"
        yield resource.finding(
            Rule.DIGEST_WITHOUT_REVISION,
            ("spec", "model", "revision"),
            message,
            severity="warning",
        )
    if old.revision != new.revision and old.digest == new.digest:
        message = f"the digest is still that of revision {old.revision!r}, so nothing is rolled out"
        yield resource.finding(
            Rule.REVISION_WITHOUT_DIGEST,
            ("spec", "model", "digest"),
            message,
            severity="warning",
            hint="take it out and run `fresco lock`",
        )
