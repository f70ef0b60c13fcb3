"""What the JSON Schema has against a value, said for people: what was expected, what was there. Pure.

The only module that knows jsonschema.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple, cast

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

import schemas
from render.rules import Rule

_WORDS = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}
_BOUNDS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
_SIZES = (
    ("minLength", "least", "character"),
    ("maxLength", "most", "character"),
    ("minItems", "least", "item"),
    ("maxItems", "most", "item"),
)


class Problem(NamedTuple):
    """One thing wrong, at the value at `path`, or at its key."""

    rule: Rule
    path: tuple[str | int, ...]
    at_key: bool
    message: str
    hint: str | None


def explain(name: str, value: Mapping[str, Any]) -> list[Problem]:
    """Everything that the schema `name` (of `schemas.NAMES`) has against `value`, each thing once."""
    problems = (one for error in _validator(name).iter_errors(value) for one in _problems(error))
    return list(dict.fromkeys(problems))


def shown(value: object) -> str:
    """A value, as messages show it: short, on one line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def listed(words: Iterable[object]) -> str:
    """Words with commas and a last `or`."""
    *most, last = map(str, words)
    return f"{', '.join(most)} or {last}" if most else last


def dotted(path: Iterable[str | int]) -> str:
    """A path as people write it."""
    return ".".join(map(str, path)) or "document"


@cache
def _validator(name: str) -> Validator:
    make = cast("Callable[..., type[Validator]]", extend)
    strict = make(Draft202012Validator, {"pattern": _pattern}, type_checker=_TYPES)
    return strict(schemas.load(name))


def _pattern(_: object, pattern: str, instance: object, __: object) -> Iterator[ValidationError]:
    # In Python `$` also matches before a last line end; in JSON Schema it does not.
    matches = re.fullmatch if pattern.startswith("^") and pattern.endswith("$") else re.search
    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError("does not match")


def _is_integer(_: object, instance: object) -> bool:
    # JSON Schema takes 1.0 for an integer, the typed form does not.
    return isinstance(instance, int) and not isinstance(instance, bool)


_TYPES = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)


def _problems(error: ValidationError) -> Iterator[Problem]:
    by_keyword = {
        "additionalProperties": _unknown_fields,
        "required": _missing_fields,
        "anyOf": _alternatives,
        "type": _wrong_type,
    }
    yield from by_keyword.get(str(error.validator), _wrong_value)(error)


def _schema(error: ValidationError) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", error.schema)


def _unknown_fields(error: ValidationError) -> Iterator[Problem]:
    known = _schema(error)["properties"]
    for name in _instance(error):
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {listed(known)}"
            path = (*error.absolute_path, name)
            yield Problem(Rule.UNKNOWN_FIELD, path, True, f"{dotted(path)}: unknown field", hint)


def _missing_fields(error: ValidationError) -> Iterator[Problem]:
    # jsonschema reports each missing name as an error of its own; together they are one thing said once.
    schema = _schema(error)
    for name in schema["required"]:
        if name not in _instance(error):
            hint = schema["properties"].get(name, {}).get("description")
            path = tuple(error.absolute_path)
            yield Problem(Rule.MISSING_FIELD, path, True, f"{dotted((*path, name))}: this field is required", hint)


def _alternatives(error: ValidationError) -> Iterator[Problem]:
    branches: dict[object, list[ValidationError]] = {}
    for below in error.context or ():
        branches.setdefault(below.schema_path[0], []).append(below)
    for errors in branches.values():
        if not any(one.validator == "type" and not one.relative_path for one in errors):
            for one in errors:
                yield from _problems(one)
            return
    schemas_ = [branch for branch in _schema(error)["anyOf"] if branch.get("type") != "null"]
    yield _typed(error, listed(map(expected, schemas_)), _quotes(error, schemas_[0]) or _hint(schemas_[0]))


def _wrong_type(error: ValidationError) -> Iterator[Problem]:
    schema = _schema(error)
    yield _typed(error, expected(schema), _quotes(error, schema) or _hint(schema))


def _typed(error: ValidationError, expected: str, hint: str | None) -> Problem:
    path = tuple(error.absolute_path)
    message = f"{dotted(path)}: expected {expected}, got {shown(error.instance)}"
    return Problem(Rule.WRONG_TYPE, path, False, message, hint)


def _quotes(error: ValidationError, schema: Mapping[str, Any]) -> str | None:
    helps = re.search(schema.get("pattern", ""), str(error.instance))
    is_number = schema.get("type") == "string" and isinstance(error.instance, int | float)
    return "put it in quotes" if helps and is_number else None


def _wrong_value(error: ValidationError) -> Iterator[Problem]:
    schema = _schema(error)
    if error.validator == "enum" and not isinstance(error.instance, str):
        yield from _wrong_type(error)
        return
    path = tuple(error.absolute_path)
    close = get_close_matches(str(error.instance), map(str, schema.get("enum", ())), 1)
    hint = f"did you mean {close[0]}?" if close else _hint(schema)
    message = f"{dotted(path)}: expected {expected(schema)}, got {shown(error.instance)}"
    yield Problem(Rule.WRONG_VALUE, path, False, message, hint)


def _instance(error: ValidationError) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", error.instance)


def _hint(schema: Mapping[str, Any]) -> str | None:
    return schema.get("description")


def expected(schema: Mapping[str, Any]) -> str:
    """What a schema takes, as messages say it: `an integer ≥ 1`."""
    if "const" in schema:
        return shown(schema["const"])
    if "enum" in schema:
        return listed(schema["enum"])
    bounds = " and ".join(f"{sign} {schema[name]}" for name, sign in _BOUNDS if name in schema)
    sizes = " and ".join(f"at {word} {_count(schema[name], what)}" for name, word, what in _SIZES if name in schema)
    kind = _WORDS.get(str(schema.get("type")), "a mapping")  # a reference: all our definitions but enums are
    return " ".join(part for part in (kind, bounds, _form(schema), sizes and f"of {sizes}") if part)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _form(schema: Mapping[str, Any]) -> str:
    if "pattern" not in schema:
        return ""
    examples = schema.get("examples")
    return f"like {shown(examples[0])}" if examples else f"of the form {schema['pattern']}"
