"""The rule that somebody names by its id, or what helps them where there is no such rule. Pure."""

import re

from render.errors import NotFound
from render.rules import Rule

LISTED = "`fresco explain` lists them"

_ID = re.compile(r"(?:fr)?0*(\d{1,3})", re.IGNORECASE)


def find(text: str) -> Rule:
    """The rule with the id `text`, in large letters or small. Raises NotFound, which says what to do instead."""
    rule = next((one for one in Rule if one == text.upper()), None)
    if rule is None:
        close = meant(text)
        hint = f"did you mean {close}?" if close else f"expected one like {Rule.UNREADABLE}: {LISTED}"
        raise NotFound(f"there is no rule {text!r}, {hint}")
    return rule


def meant(text: str) -> Rule | None:
    """The rule that `text` has the number of. Ids that only look alike are about other things, so none of them is."""
    number = _ID.fullmatch(text)
    return next((one for one in Rule if number is not None and one == f"FR{int(number[1]):03}"), None)
