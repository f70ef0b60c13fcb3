"""Whether models fit a server's memory, and its model config. Pure.

A change loads the new copy beside the old one, so the largest model counts twice. Models that do not say what they
need count for nothing, and a server that does not say what it has takes everything.
"""

from collections.abc import Mapping

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


def misfits(models: Mapping[str, int | None], room: float) -> dict[str, int]:
    """The keys of `models`, bytes of one copy each, that do not fit after those before them while any one of them
    changes, with the bytes that would be needed."""
    taken = largest = 0
    without: dict[str, int] = {}
    for key, memory in models.items():
        own = memory or 0
        need = taken + own + max(largest, own)
        if memory is not None and need > room:
            without[key] = need
        else:
            taken, largest = taken + own, max(largest, own)
    return without


def config_bytes(revision: ModelRevision) -> int:
    """Bytes that the entry of a Deployment may have in a model config, at most, when all of its revisions are like this
    one."""
    lines = len(revision.options) + len(ModelRevision.__struct_fields__)
    return _ENTRY + _REVISIONS * (len(msgspec.json.encode(revision)) + lines * _LINE)
