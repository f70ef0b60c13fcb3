"""What the checks of Deployments and of InferenceServers share: how transitions are named, and what counts as equal."""

import re

from schemas.status import Transition

ROUNDING = 0.01  # seconds: times are kept in milliseconds
DONE = "done"

_SOURCE = re.compile(r".+:[1-9][0-9]*")


def named(one: Transition) -> str:
    """A transition, for people."""
    return f"{one.stage}, {one.step}"


def is_source(said: str | None) -> bool:
    """Whether it is a place in a human's file, `file:line`."""
    return said is not None and _SOURCE.fullmatch(said) is not None
