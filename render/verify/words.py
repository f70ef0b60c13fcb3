"""What the checks of Deployments and of InferenceServers share: how transitions are named, what counts as equal, and
that a status stands where its last transition has led. Pure."""

import re
from collections.abc import Iterator

from schemas.status import DeploymentStatus, ServerStage, ServerStatus, Stage, Transition

ROUNDING = 0.01  # seconds: times are kept in milliseconds
DONE = "done"

_SOURCE = re.compile(r".+:[1-9][0-9]*")


def named(one: Transition) -> str:
    """A transition, for people."""
    return f"{one.stage}, {one.step}"


def is_source(said: str | None) -> bool:
    """Whether it is a place in a human's file, `file:line`."""
    return said is not None and _SOURCE.fullmatch(said) is not None


def last_transition(new: DeploymentStatus | ServerStatus, first: Stage | ServerStage) -> Iterator[str]:
    """What is wrong where stage and step are not those of the last transition. `first`: the stage before any."""
    if not new.transitions:
        if new.stage != first:
            yield f"it is in {new.stage} without a transition to it"
        return
    one = new.transitions[-1]
    if one.stage != new.stage:
        yield f"it is in {new.stage}, its last transition is to {one.stage}"
    if new.progress is not None and new.progress.step != one.step:
        yield f"the step in hand is {new.progress.step!r}, its last transition is to {one.step!r}"
