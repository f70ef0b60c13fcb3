"""Whether models fit a server's memory, and its model config. Pure.

A change loads the new copy beside the old one, so the largest model counts twice. Models that do not say what they
need count for nothing, and a server that does not say what it has takes everything.
"""

from collections.abc import Collection, Mapping

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


def needed(models: Collection[int | None]) -> int:
    """Bytes that `models`, bytes of one copy each, need while any one of them changes."""
    known = [one for one in models if one is not None]
    return sum(known) + max(known, default=0)


def misfits(models: Mapping[str, int | None], room: float) -> dict[str, int]:
    """The keys of `models` that do not fit after those before them, with what would be needed."""
    taken: list[int | None] = []
    without: dict[str, int] = {}
    for key, memory in models.items():
        need = needed([*taken, memory])
        if memory is not None and need > room:
            without[key] = need
        else:
            taken.append(memory)
    return without


def config_bytes(revision: ModelRevision) -> int:
    """Bytes that the entry of a Deployment may have in a model config, at most, when all of its revisions are like this
    one."""
    lines = len(revision.options) + len(ModelRevision.__struct_fields__)
    return _ENTRY + _REVISIONS * (len(msgspec.json.encode(revision)) + lines * _LINE)
