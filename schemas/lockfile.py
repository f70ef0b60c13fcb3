"""`fresco.lock`: the digests of artifacts whose address nobody writes down beside one. Pure."""

from typing import Annotated, Literal

from msgspec import Meta

from schemas.base import ApiVersion, Contract, Digest

FILE_NAME = "fresco.lock"


class LockFile(Contract, frozen=True, kw_only=True):
    """Digests by address, as `fresco lock` keeps them."""

    api_version: ApiVersion
    kind: Annotated[Literal["Lock"], Meta(description="The kind of this file.")]
    digests: Annotated[dict[str, Digest], Meta(description="The digest of the artifact at each address.")] = {}
