"""What a check of a repository leaves for the next one. Pure."""

import msgspec

from render.parts import Facts
from schemas.status import Finding


class KnownFile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one of Fresco's files holds when its content has the id `blob`: documents, or findings why it has none."""

    blob: str
    documents: tuple[Facts, ...] = ()
    findings: tuple[Finding, ...] = ()


class Known(msgspec.Struct, frozen=True):
    """What was found. Of a repository with another `ground`, on which everything stands, it tells nothing.

    `files`: by path, those that are Fresco's. `clean`: the names of parts without findings, from the texts of their
    documents alone. `found`: the findings of the others, by names from the lines of their documents too, because
    findings stand in lines and may speak of them.
    """

    ground: str = ""
    files: dict[str, KnownFile] = {}
    clean: set[str] = set()
    found: dict[str, tuple[Finding, ...]] = {}
