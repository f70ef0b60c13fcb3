"""Repositories that nobody would write, and what `fresco validate` owes to all of them. I/O: a folder of its own."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as some

import schemas
from render.check import check as check_files
from render.cli import main
from render.load import load_file
from render.repository import WorkingTree
from render.rules.explained import BASE
from schemas.status import Finding

Repository = Mapping[str, bytes]

_ROOT = Path(__file__).parents[2]
_HEAD = b"apiVersion: serving.fresco.dev/v1alpha1\n"
_RIGHT: Repository = {name: text.encode() for name, text in BASE.items()}
_BREAKS = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")  # of lines, in YAML
_TOKENS = (
    *("\t", "\0", "\r", "\r\n", "\n", "\ufeff", "\x85", "\u2028", "\x07", "é", "😀", " ", "  ", "#", "---\n"),
    *("*a", "&a ", "<<: *a\n", "!x ", "!!binary ", "!!python/none ", "%YAML 1.1\n", "? ", ": ", "- ", "|", ">"),
    *("'", '"', "{", "}", "[", "]", ",", "@", "`", "~", "null", "no", "1:30", "014", "1e999", "9" * 30, "2026-11-20"),
    *(".inf", "a: ", "...\n", "  # fresco: ignore FR043 because of x\n", "# fresco: ignore FR013 because of x"),
)
_WORDS = (
    *("", "no", "on", "1:30", "014", "0x1F", "2026-11-20", "=", "<<", "~", "\n", "a\n", "\t", "\0", "\ud800", "é"),
    *("gpu-a", "scorer", "fraud", "default", "..", "/a/../b", "*.example.com", "a.example.com", "s3://models/fraud/x"),
    *("pvc://a/b", "pvc:///", "file:///x", "http://[", "https://u:p@h/x", "hf://a/b@c", "1Gi", "9" * 20, "0.0001m"),
    *("0s", "9" * 18 + "d", "1h30m", "sha256:" + "9f" * 32, "emergency", "vllm", "adapter", "image@", "a:b:c"),
    "x" * 300,
)


# ---- what may come


def any_bytes() -> some.SearchStrategy[Repository]:
    """A file of any bytes, or of what YAML is made of, that claims to be Fresco's."""
    soup = some.lists(some.sampled_from(_TOKENS), max_size=30).map(lambda parts: "".join(parts).encode())
    content = some.one_of(some.binary(max_size=200), soup)
    file = some.tuples(some.booleans(), content).map(lambda one: _HEAD + one[1] if one[0] else one[1] + b"\n" + _HEAD)
    return some.tuples(some.sampled_from((*_RIGHT, "other.yaml")), file).map(lambda one: {**_RIGHT, one[0]: one[1]})


@some.composite
def mutated(draw: some.DrawFn) -> Repository:
    """A repository of the tests with one of its files changed in a few places."""
    files = dict(draw(some.sampled_from(_repositories())))
    name = draw(some.sampled_from(sorted(files)))
    text = files[name].decode("utf-8", "replace")
    for _ in range(draw(some.integers(1, 5))):
        text = _mutate(text, draw)
    files[name] = text.encode("utf-8", "surrogatepass")
    return files


def structures() -> some.SearchStrategy[Repository]:
    """A right repository with a few fields of its resources set to anything."""
    return some.lists(_changes(), min_size=1, max_size=4).map(_changed)


def repositories() -> some.SearchStrategy[Repository]:
    """Any of these."""
    return some.one_of(any_bytes(), mutated(), structures())


# ---- what is owed


def check(files: Repository) -> None:
    """`fresco validate` ends with 0 or 1, says the same twice, and every place that it names is there."""
    with tempfile.TemporaryDirectory(prefix="fresco-fuzz-") as folder:
        root = Path(folder)
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        first, second = _validated(root), _validated(root)
        assert first == second
        code, _, errors = first
        assert code in (0, 1), errors
        for finding in check_files(WorkingTree(root)).findings:
            _check_place(finding, files)


def _validated(root: Path) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["validate", str(root)])
    return code, out.getvalue(), err.getvalue()


def _check_place(finding: Finding, files: Repository) -> None:
    lines = _BREAKS.split(files.get(finding.file, b"").decode("utf-8-sig", "replace"))
    assert 1 <= finding.line <= len(lines), f"{finding} is beyond {len(lines)} lines"
    assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1, f"{finding} is beyond {lines[finding.line - 1]!r}"


# ---- how it is made


def _repositories() -> list[Repository]:
    folders = [_ROOT / "examples" / "repo", *sorted((_ROOT / "tests" / "cases").glob("*/*/repo"))]
    read = [{path.relative_to(one).as_posix(): path.read_bytes() for path in one.rglob("*.yaml")} for one in folders]
    return [one for one in read if one and sum(map(len, one.values())) < 20_000]


def _mutate(text: str, draw: some.DrawFn) -> str:
    start = draw(some.integers(0, len(text)))
    end = min(len(text), start + draw(some.integers(0, 40)))
    how = draw(some.sampled_from(("insert", "replace", "delete", "repeat", "cut", "swap")))
    if how in ("insert", "replace"):
        return text[:start] + draw(some.sampled_from(_TOKENS)) + text[start if how == "insert" else end :]
    if how == "swap":
        lines = text.split("\n")
        one, other = (draw(some.integers(0, len(lines) - 1)) for _ in range(2))
        lines[one], lines[other] = lines[other], lines[one]
        return "\n".join(lines)
    kept = {"delete": text[:start] + text[end:], "repeat": text[:end] + text[start:], "cut": text[:start]}
    return kept[how]


def _values() -> some.SearchStrategy[Any]:
    scalars = some.one_of(
        some.none(),
        some.booleans(),
        some.sampled_from((0, 1, -1, 2, 100, 101, 10**6, 10**30, 0.5, 1e300, 1.0)),
        some.sampled_from(_WORDS),
    )
    keys = some.sampled_from(("name", "type", "weight", "soak", "min", "max", "a", "", "1"))
    return some.recursive(scalars, lambda one: some.lists(one, max_size=3) | some.dictionaries(keys, one, max_size=3))


class _Field(NamedTuple):
    """A field that the schema knows. `path`: 0 stands for the first of a list. `pattern`: of its text, if any."""

    file: str
    path: tuple[str | int, ...]
    pattern: str | None


@cache
def _fields() -> tuple[_Field, ...]:
    """All of them, of all kinds."""
    kinds = {"fresco.yaml": "repository", "gpu-a.yaml": "inferenceserver", "scorer.yaml": "deployment"}
    whole = {file: schemas.load(name) for file, name in kinds.items()}
    return tuple(_Field(file, *one) for file, schema in whole.items() for one in _below(schema, schema["$defs"]))


def _below(schema: Any, known: Any) -> Iterator[tuple[tuple[str | int, ...], str | None]]:
    """The paths below `schema` and the patterns there; `known`: its definitions."""
    schema = known[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for branch in schema.get("anyOf", ()):
        yield from _below(branch, known)
    below = dict(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        below["fraud"] = schema["additionalProperties"]
    for name, one in (*below.items(), *([(0, schema["items"])] if "items" in schema else ())):
        yield (name,), next((branch["pattern"] for branch in (one, *one.get("anyOf", ())) if "pattern" in branch), None)
        yield from (((name, *rest), pattern) for rest, pattern in _below(one, known))


def _changes() -> some.SearchStrategy[tuple[_Field, Any]]:
    """A field and what is put there: often what the schema takes, so that the rules behind it are asked too."""
    return some.sampled_from(_fields()).flatmap(lambda one: some.tuples(some.just(one), _fitting(one) | _values()))


def _fitting(field: _Field) -> some.SearchStrategy[Any]:
    return some.from_regex(field.pattern, fullmatch=True) if field.pattern is not None else _values()


def _changed(changes: list[tuple[_Field, Any]]) -> Repository:
    whole = {name: load_file(name, text).documents[0].value for name, text in _RIGHT.items()}
    for field, value in changes:
        whole[field.file] = _put(whole[field.file], field.path, value)
    return {name: json.dumps(value, ensure_ascii=True).encode() for name, value in whole.items()}


def _put(within: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """`within` with `value` at `path`; what is in the way there gives way."""
    if not path:
        return value
    first, *rest = path
    if first == 0:
        items = within if isinstance(within, list) else []
        return [_put(items[0] if items else None, tuple(rest), value), *items[1:]]
    fields = within if isinstance(within, dict) else {}
    return {**fields, first: _put(fields.get(first), tuple(rest), value)}
