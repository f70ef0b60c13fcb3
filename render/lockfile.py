"""`fresco.lock`: which digest the artifact at an address has, where nobody writes it beside the address. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from render.document import LoadedFile
from render.resource import checked
from schemas import lockfile
from schemas.status import Finding


@dataclass(frozen=True, slots=True)
class Digests:
    """What the file says. Findings mean that it cannot be used, and then it says nothing."""

    by_address: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def read(file: LoadedFile | None) -> Digests:
    """What `fresco.lock` says; nothing where there is none."""
    if file is None or not file.documents:
        return Digests(findings=file.findings if file is not None else ())
    spec, findings = checked(file.documents[0], "lock", lockfile.LockFile)
    return Digests(spec.digests if spec is not None else {}, findings)
