"""Text for terminals: what may be sent to them, and how wide it is there. Pure."""

import unicodedata

_TAB = "    "
_HIDDEN = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"))
_PLACEHOLDER = "�"


def printable(text: str) -> str:
    """`text` on one line, with nothing in it that moves the cursor, changes colours or turns the direction.

    A tab becomes four spaces, anything else of that kind U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_printable(one) for one in text)


def one_line(text: str) -> str:
    """`text` as `printable`, with one space for each run of white space: a branch or a person may say anything."""
    return printable(" ".join(text.split()))


def columns(text: str) -> int:
    """How many columns of a terminal `text`, which is printable, takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _printable(character: str) -> str:
    if character == "\t":
        return _TAB
    return _PLACEHOLDER if unicodedata.category(character) in _HIDDEN else character


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
