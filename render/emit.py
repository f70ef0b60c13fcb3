"""Plain values to YAML: the only writing of YAML. Pure.

Block style, keys in the order given, no anchors. Text that some reader of YAML 1.1, YAML 1.2 or Go's would take for
another type is quoted, so that every reader reads back what was written.

Values go to libyaml's emitter as events, without PyYAML's tree of nodes in between, which takes most of the time.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any

from yaml._yaml import CEmitter
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9 ._/@+-]*")
_WORDS = frozenset(
    ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf")
)  # any reader's, in any case
_WIDTH = 1 << 30  # no folding: a line is a line
_SHORT = 100

_BEGIN: tuple[Event, ...] = (StreamStartEvent(encoding="utf-8"), DocumentStartEvent(explicit=False))
_END: tuple[Event, ...] = (DocumentEndEvent(explicit=False), StreamEndEvent())
_MAPPING, _NO_MAPPING, _MAPPING_END = (
    MappingStartEvent(None, None, True, flow_style=False),
    MappingStartEvent(None, None, True, flow_style=True),
    MappingEndEvent(),
)
_SEQUENCE, _NO_SEQUENCE, _SEQUENCE_END = (
    SequenceStartEvent(None, None, True, flow_style=False),
    SequenceStartEvent(None, None, True, flow_style=True),
    SequenceEndEvent(),
)


def emit(value: Any) -> bytes:
    """`value`, made of dict, list, tuple, str, int, float, bool and None, as one YAML document in UTF-8."""
    stream = BytesIO()
    put = CEmitter(stream, width=_WIDTH, allow_unicode=True, encoding="utf-8").emit
    for event in _BEGIN:
        put(event)
    _emit(value, put)
    for event in _END:
        put(event)
    return stream.getvalue()


def is_plain(text: str) -> bool:
    """Whether every reader takes `text` without quotes for text."""
    return _PLAIN.fullmatch(text) is not None and not text.endswith(" ") and text.lower() not in _WORDS


def _emit(value: Any, put: Callable[[Event], None]) -> None:
    if isinstance(value, str):
        put(_short(value) if len(value) <= _SHORT else _text(value))
    elif isinstance(value, dict):
        put(_MAPPING if value else _NO_MAPPING)
        for key, below in value.items():
            put(_short(key))
            _emit(below, put)
        put(_MAPPING_END)
    elif isinstance(value, list | tuple):
        put(_SEQUENCE if value else _NO_SEQUENCE)
        for below in value:
            _emit(below, put)
        put(_SEQUENCE_END)
    else:
        put(_scalar(_word(value), None))


def _text(text: str) -> ScalarEvent:
    if is_plain(text):
        return _scalar(text, None)
    is_block = "\n" in text and not text[0].isspace() and all(map(_fits_block, text.split("\n")))
    return _scalar(text, "|" if is_block else '"')


_short = lru_cache(maxsize=1 << 14)(_text)  # keys and words come again and again; long texts would only fill memory


def _fits_block(line: str) -> bool:
    return line.isprintable() and not line.endswith(" ")


def _word(value: bool | float | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _number(value)


def _number(value: float) -> str:
    text = repr(value)
    return text if "." in text and "e" not in text else f"{value:.17e}" if "e" in text else f"{value:.1f}"


def _scalar(text: str, style: str | None) -> ScalarEvent:
    return ScalarEvent(None, None, (True, True), text, style=style)
