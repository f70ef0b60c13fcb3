"""Amounts and values, as people write them. Pure."""

import json
import re
from typing import Any

_LONGEST = 60  # characters of a value
_CONTEXT = 20  # of them before the first difference, where that comes late
_UNITS = {
    "Ti": 2**40, "Gi": 2**30, "Mi": 2**20, "Ki": 2**10, "T": 10**12, "G": 10**9, "M": 10**6, "k": 10**3, "": 1,
}  # fmt: skip
_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")


def quantity(count: int) -> str:
    """Bytes as the shortest quantity that is exactly as many: `2Gi`, `1536Mi`, `2G`."""
    return min((f"{count // factor}{unit}" for unit, factor in _UNITS.items() if count % factor == 0), key=len)


def count(number: int, word: str) -> str:
    """`1 object`, `2 objects`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def pair(before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """Two values shortened so that their difference is still seen."""
    before, after = (_DIGEST.sub(r"\1…", one) if one is not None else None for one in (before, after))
    start = _common(before, after) if before is not None and after is not None else 0
    start = max(0, start - _CONTEXT) if start > _LONGEST - _CONTEXT else 0
    return _shortened(before, start), _shortened(after, start)


def value(plain: Any) -> str:
    """A plain value on one line: text as it is, all else as JSON."""
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _common(before: str, after: str) -> int:
    pairs = zip(before, after, strict=False)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after)))


def _shortened(text: str | None, start: int) -> str | None:
    if text is None or len(text) <= _LONGEST:
        return text
    begins, ends = "…" if start else "", "…" if len(text) - start > _LONGEST else ""
    return f"{begins}{text[start : start + _LONGEST - len(begins) - len(ends)]}{ends}"
