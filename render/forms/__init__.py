"""The forms in which `fresco validate` says what it found: one module a form, each a pure function of a `Report`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from render.forms import as_json, github, gitlab, junit, sarif, text
from render.forms.report import Report


class Form(NamedTuple):
    """How findings are written. `is_from_top`: with paths relative to the top of the git work tree, where the service
    that reads them looks; otherwise relative to the current folder, where people and their editors are."""

    write: Callable[[Report], str]
    is_from_top: bool


FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "text": Form(text.write, is_from_top=False),
        "json": Form(as_json.write, is_from_top=False),
        "sarif": Form(sarif.write, is_from_top=True),
        "github": Form(github.write, is_from_top=True),
        "gitlab": Form(gitlab.write, is_from_top=True),
        "junit": Form(junit.write, is_from_top=False),
    }
)
