"""Which fields of two plain values differ. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from render.diff import words
from render.objects.base import CONTENT
from schemas.base import duration
from schemas.change import Field, Fields

_MOST = 12  # fields of one thing that are shown
_MADE = (CONTENT, "checksum", "modelHash")  # of the rest: they differ because something else does
_DEADLINES = ("deadline", "assetPreparation", "resourceAcquisition", "trafficRouting", "rollback", "loadDeadline")
_DURATIONS = frozenset(("soak", "bake", "settle", "resync", "timeoutSeconds", *_DEADLINES))
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_MISSING: Any = object()


def differences(before: Mapping[str, Any], after: Mapping[str, Any], *, normal: bool = False) -> Fields:
    """The fields that differ, in the order of `before` and then of `after`. `normal`: values are in normal form, whose
    numbers are shown in the units in which people write them."""
    found = list(_differences("", before, after, normal))
    telling = [one for one in found if not one.path.endswith((*_MADE, *(f'["{one}"]' for one in _MADE)))] or found
    return Fields(tuple(telling[:_MOST]), max(0, len(telling) - _MOST))


def _differences(path: str, before: Any, after: Any, normal: bool) -> Iterator[Field]:
    if before is not _MISSING and after is not _MISSING and before == after:
        return
    one, other = _opened(before), _opened(after)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys((*one, *other)):
            yield from _differences(_below(path, key), one.get(key, _MISSING), other.get(key, _MISSING), normal)
    elif isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str):
        yield from _items(path, one, other, normal)
    else:
        yield Field(path, *words.pair(_shown(path, before, normal), _shown(path, after, normal)))


def _items(path: str, before: Sequence[Any], after: Sequence[Any], normal: bool) -> Iterator[Field]:
    """Items by their names where all have one, as containers do; else by their place."""
    one, other = _by_name(before), _by_name(after)
    if not one or not other or one.keys().isdisjoint(other):
        one, other = dict(enumerate(before)), dict(enumerate(after))
    for key in dict.fromkeys((*one, *other)):
        yield from _differences(f"{path}[{key}]", one.get(key, _MISSING), other.get(key, _MISSING), normal)


def _by_name(items: Sequence[Any]) -> dict[Any, Any] | None:
    named = {one["name"]: one for one in items if isinstance(one, dict) and isinstance(one.get("name"), str)}
    return named if len(named) == len(items) else None


def _opened(value: Any) -> Any:
    """A value; the mapping that it holds where it is text of JSON, as a model config is."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _below(path: str, key: str) -> str:
    if _PLAIN.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f'{path}["{key}"]'


def _shown(path: str, value: Any, normal: bool) -> str | None:
    if value is _MISSING:
        return None
    name = path.rpartition(".")[2]
    if normal and isinstance(value, int | float) and not isinstance(value, bool):
        if name in _DURATIONS:
            return duration(value)
        if name == "memory" and isinstance(value, int):
            return words.quantity(value)
    return words.value(value)
