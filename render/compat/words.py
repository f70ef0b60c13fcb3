"""What both kinds write alike: nothing is left out, and what says nothing of serving becomes annotations. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.michelangelo import User

PREFIX: Final = "michelangelo.api/"
LINK: Final = "link-"


def something(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `fields` that say something: nothing, an empty text and an empty mapping are the same to their API."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", {})}


def annotated(fields: Mapping[str, str]) -> dict[str, str]:
    """Annotations of Michelangelo's for those of `fields` that say something."""
    return {f"{PREFIX}{name}": value for name, value in fields.items() if value}


def user(owner: User) -> dict[str, str]:
    """The fields of whoever touched a resource last."""
    return {"owner": owner.name, "proxy-user": owner.proxy_user}
