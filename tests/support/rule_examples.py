"""The examples of the rules as whole repositories, and what is found in them."""

from collections.abc import Iterator, Mapping
from typing import Any

from render import changes, report, settings, silence
from render.document import Loaded
from render.emit import emit
from render.load import comments, load_file
from render.normal import accept
from render.rules.explained import BASE, LONG, Example
from render.settings import Settings
from render.settled import settled
from schemas.status import Finding

_HEAD = "apiVersion: serving.fresco.dev/v1alpha1\n"
_FILES = {"Repository": "fresco.yaml", "InferenceServer": "gpu-a.yaml", "Deployment": "scorer.yaml"}


def found(example: Example) -> list[Finding]:
    """Everything that is found in the repository of `example`, by the agent and by whoever is about to commit it."""
    files = _files(example)
    now = _loaded(files)
    there = settings.find(now, example.cluster)
    if not isinstance(there, Settings):
        return list(there)
    before = _loaded(_completed(example.before)) if example.before is not None else None
    previous = settled(accept(before, example.cluster, None)) if before is not None else None
    changed = changes.findings(before, now, there.cluster.path) if before is not None else []
    everything = report.in_order([*report.of(accept(now, example.cluster, previous)), *changed])
    said = {path: comments(files[path].encode()) for path, file in now.files.items() if file.documents}
    return silence.silenced(everything, said)


def _files(example: Example) -> Mapping[str, str]:
    return {**BASE, example.file: example.text} if example.file is not None else _completed(example.text)


def _completed(text: str) -> Mapping[str, str]:
    """The files of `BASE` with what `text` says; further resources have files of their own."""
    files = dict(BASE)
    for index, part in enumerate(text.split("---\n")):
        for value in _values(part):
            base = _values(BASE[_FILES[value["kind"]]])[0]
            is_further = value.get("metadata", base["metadata"]) != base["metadata"]
            name = f"further-{index}.yaml" if is_further else _FILES[value["kind"]]
            files[name] = emit(_merged(base, value)).decode()
    return files


def _values(text: str) -> list[dict[str, Any]]:
    file = load_file("example.yaml", (text if _HEAD in text else _HEAD + text).encode())
    assert not file.findings
    return [document.value for document in file.documents]


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the fields of `over`, key by key; `null` takes one out, and `…` stands for a long text."""
    return {key: value for key, value in _pairs(base, over) if value is not None}


def _pairs(base: dict[str, Any], over: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in {**base, **over}:
        value = over[key] if key in over else base[key]
        below = base.get(key)
        if isinstance(value, dict) and key in over:
            yield key, _merged(below if isinstance(below, dict) else {}, value)
        else:
            yield key, "x" * LONG if value == "…" else value


def _loaded(files: Mapping[str, str]) -> Loaded:
    return Loaded.of({path: load_file(path, text.encode()) for path, text in sorted(files.items())})
