"""The fields that people write, explained from the JSON Schemas: type, bounds, default, example, fields below. Pure.

A path begins with a kind and leads through the fields: `deployment.rollout.steps.weight`. `spec` may be left out, and
so may the items of a list, which findings count (`steps.0.weight`), and the names in a mapping.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from textwrap import fill, shorten
from typing import Any, Final, NamedTuple

import msgspec

import schemas
from render.errors import NotFound
from render.explain import expected, listed
from render.resolve import rollout_policy
from schemas.base import duration
from schemas.resources import RolloutDefaults, RolloutSource

_SHORT: Final = {"server": "inferenceserver"}
_WIDTH: Final = 100

Schema = Mapping[str, Any]


class Field(NamedTuple):
    """One field. `path`: with the kind and `spec`. `schema`: without references and without alternatives of nothing."""

    path: tuple[str, ...]
    schema: Schema
    is_required: bool


def text(path: str) -> str:
    """What people want to know about the field at `path`, in a few lines. Raises NotFound, with a suggestion."""
    field = find(path)
    schema = field.schema
    need = "required" if field.is_required else "optional"
    parts = [f"{'.'.join(field.path)}: {_type(schema)}" + (f", {need}" if len(field.path) > 1 else "")]
    if "description" in schema:
        parts.append(_indented(schema["description"]))
    facts = [f"  {name:<8} {value}" for name, value in _facts(field)]
    parts += ["\n".join(facts)] if facts else []
    below = list(_fields(field.path, schema))
    if below:
        width = max(len(one.path[-1]) for one in below)
        parts.append("\n".join(["  fields", *(f"    {one.path[-1]:<{width}}  {_line(one)}" for one in below)]))
    return "\n\n".join(parts) + "\n"


def find(path: str) -> Field:
    """The field at `path`. Raises NotFound, with a suggestion."""
    kind, *names = path.replace("[]", "").split(".")
    kind = _SHORT.get(kind.lower(), kind.lower())
    if kind not in schemas.WRITTEN:
        close = get_close_matches(kind, schemas.WRITTEN, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise NotFound(f"{path}: expected a path that begins with {listed(schemas.WRITTEN)}{hint}")
    field = Field((kind,), _resolved(kind, schemas.load(kind)), is_required=True)
    for name in _from_root(field, names):
        field = _step(field, name, path)
    return field


def paths() -> Iterator[str]:
    """The paths of all fields, without `spec`."""
    for kind in schemas.WRITTEN:
        for one in _all_below(find(kind)):
            kind, *names = one.path
            yield ".".join((kind, *(names[1:] if names[0] == "spec" and names[1:] else names)))


def _from_root(root: Field, names: list[str]) -> list[str]:
    return names if not names or names[0] in root.schema["properties"] else ["spec", *names]


def _step(field: Field, name: str, path: str) -> Field:
    found = {one.path[-1]: one for one in _fields(field.path, field.schema)}
    if name in found:
        return found[name]
    if name.isdigit() and field.schema.get("type") == "array":
        return field
    names_anything = _values(field.schema)
    if names_anything is not None:
        return Field((*field.path, name), _resolved(field.path[0], names_anything), is_required=False)
    raise NotFound(f"{path}: {'.'.join(field.path)} has no field {name!r}; {_suggestion(field, name, found)}")


def _suggestion(field: Field, name: str, here: Iterable[str]) -> str:
    close = get_close_matches(name, here, 1)
    if close:
        return f"did you mean {'.'.join((*field.path, close[0]))}?"
    elsewhere = [one for one in paths() if one.startswith(f"{field.path[0]}.")]
    last = {one.rpartition(".")[2] for one in elsewhere}
    words = get_close_matches(name, last, 1)
    meant = [one for one in elsewhere if words and one.rpartition(".")[2] == words[0]]
    if meant:
        return f"did you mean {listed(meant[:3])}?"
    return f"its fields: {', '.join(here)}" if here else "it has no fields"


# ---- schemas


@cache
def _definitions(kind: str) -> Schema:
    definitions: Schema = schemas.load(kind)["$defs"]
    return definitions


def _resolved(kind: str, schema: Schema) -> Schema:
    """Without a reference, and without the alternative of nothing; its own words win over those it refers to."""
    if "$ref" in schema:
        target = _definitions(kind)[schema["$ref"].rpartition("/")[2]]
        return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    choices = [_resolved(kind, one) for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if len(choices) == 1:
        return {**choices[0], **rest}
    return {**rest, "anyOf": choices} if choices else schema


def _fields(path: tuple[str, ...], schema: Schema) -> Iterator[Field]:
    """The fields of a mapping, of a list's items, of a mapping's values, or of the alternatives that have some."""
    kind = path[0]
    for name, one in schema.get("properties", {}).items():
        yield Field((*path, name), _resolved(kind, one), name in schema.get("required", ()))
    inner = [*schema.get("anyOf", ()), *filter(None, (schema.get("items"), _values(schema)))]
    for one in inner:
        yield from _fields(path, _resolved(kind, one))


def _all_below(field: Field) -> Iterator[Field]:
    for one in _fields(field.path, field.schema):
        yield one
        yield from _all_below(one)


def _values(schema: Schema) -> Schema | None:
    """What the values of a mapping are whose keys are anybody's."""
    values = schema.get("additionalProperties")
    return values if isinstance(values, dict) else None


# ---- words


def _type(schema: Schema) -> str:
    if "anyOf" in schema:
        return listed(map(_type, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"{expected(schema)}, each item {expected(schema['items'])}"
    values = _values(schema)
    return f"a mapping, each value {expected(values)}" if values is not None else expected(schema)


def _facts(field: Field) -> Iterator[tuple[str, str]]:
    default = _default(field)
    if default is not None:
        yield "default", default
    example = _example(field)
    if example is not None:
        yield "example", shorten(json.dumps(example, ensure_ascii=False), _WIDTH, placeholder=" …")


def _default(field: Field) -> str | None:
    """The value that counts when nothing is written; None where that is for another field to say, or nothing."""
    if field.is_required or "default" not in field.schema:
        return None
    default = field.schema["default"]
    if default is None:
        default = _in_force(field.path)
    return json.dumps(default, ensure_ascii=False) if default not in (None, {}) else None


def _in_force(path: tuple[str, ...]) -> object:
    """What a rollout goes by when neither the Deployment nor the Repository says a word."""
    policy = msgspec.to_builtins(rollout_policy(RolloutSource(), RolloutDefaults()))
    value = _at({"spec": {"rollout": policy}}, path[1:])
    return duration(value) if isinstance(value, float) else value


def _example(field: Field) -> object:
    examples = field.schema.get("examples")
    if len(field.path) == 1:
        return None
    return examples[0] if examples else _at(schemas.load(field.path[0])["examples"][0], field.path[1:])


def _at(value: object, path: Iterable[str]) -> object:
    """What stands at `path` in plain values, in the first item of each list; None where there is nothing."""
    for name in path:
        value = value[0] if isinstance(value, list) and value else value
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _line(field: Field) -> str:
    default = _default(field)
    need = "required" if field.is_required else f"default {default}" if default is not None else "optional"
    what = field.schema.get("description", "").partition("\n")[0]
    return f"{_type(field.schema)}, {need}" + (f": {what}" if what else "")


def _indented(words: str) -> str:
    return "\n".join(fill(line, _WIDTH, initial_indent="  ", subsequent_indent="  ") for line in words.splitlines())
