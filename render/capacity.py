"""Whether models fit a server's memory. Pure.

A change loads the new copy beside the old one, so the largest model counts twice. Models that do not say what they
need count for nothing, and a server that does not say what it has takes everything.
"""

from collections.abc import Collection, Mapping

from schemas.base import amount
from schemas.resources import Resources


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
