"""Whether models fit a server's memory, and its model config. Pure.

A change loads the new copy beside the old one, so the largest model counts twice, and so does each emergency. A base
model does not: its pods are replaced, and each starts on one. Models that do not say what they need count for nothing,
and a server that does not say what it has takes everything.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from schemas.base import amount
from schemas.resources import Resources
from schemas.status import ModelRevision

_REVISIONS = 3  # of an entry in a model config at most: served, tried, on disk
_LINE = 32  # bytes that a line of it has besides its value: a key is counted with the value, indentation is not
_ENTRY = 400  # bytes of an entry besides its revisions, its first pods among them


def available(resources: Resources) -> float | None:
    """Bytes for models in one pod: of its GPUs, or its main memory when it has none. None when it is not known."""
    if resources.gpu is None:
        return amount(resources.memory)
    return amount(resources.gpu.memory) * resources.gpu.count if resources.gpu.memory is not None else None


class Size(NamedTuple):
    """What a Deployment needs of a server, in bytes. `memory`: of one copy of its model, of one for each name where it
    is being renamed, None where it does not say; `there`: the same without what it only asks for. `apart`: of a second
    copy for which it does not wait its turn; `in_turn`: of one that is its turn now. `config`: of its part of the
    model config. `is_alone`: a second copy is never loaded beside it."""

    memory: int | None
    config: int
    there: int = 0
    apart: int = 0
    in_turn: int = 0
    is_alone: bool = False


class Need(NamedTuple):
    """Bytes that models need at most, and how many of them are for second copies."""

    memory: int
    again: int


def misfits(models: Mapping[str, Size], room: float) -> dict[str, Need]:
    """The keys of `models` that do not fit after those before them, with what would be needed.

    Candidates wait their turn, so one second copy is enough, of the largest; emergencies do not, so each needs its own.
    What does not fit stays as it is.
    """
    taken = largest = apart = in_turn = 0
    without: dict[str, Need] = {}
    for key, size in models.items():
        own = size.memory or 0
        again = max(largest, 0 if size.is_alone else own, apart + size.apart + max(in_turn, size.in_turn))
        if size.memory is not None and taken + own + again > room:
            without[key] = Need(taken + own + again, again)
            own = size.there
        else:
            apart += size.apart
        taken, in_turn = taken + own, max(in_turn, size.in_turn)
        largest = max(largest, 0 if size.is_alone else own)
    return without


def config_bytes(revision: ModelRevision) -> int:
    """Bytes that the entry of a Deployment may have in a model config, at most, when all of its revisions are like this
    one."""
    lines = len(revision.options) + len(ModelRevision.__struct_fields__)
    return _ENTRY + _REVISIONS * (len(msgspec.json.encode(revision)) + lines * _LINE)
