"""Which Kubernetes objects differ between two statuses, and in which fields. Pure."""

from difflib import unified_diff
from typing import Any

from render import plan
from render.diff.fields import differences
from render.load import values
from schemas.change import Action, ObjectChange, Objects
from schemas.status import Tree


def objects(before: Tree, after: Tree, *, patches: bool = False) -> Objects:
    """The objects that differ, in the order of their files. `patches`: each with a unified diff.

    Costs what differs, a look at each status, and for the number of those that do not differ making all of `before`.
    """
    new, old = _manifests(before, after), _manifests(after, before)
    changes = tuple(_change(path, old[path], new[path], patches=patches) for path in sorted(new))
    return Objects(changes, plan.count(before) - sum(content is not None for content in old.values()))


def _manifests(before: Tree, after: Tree) -> dict[str, bytes | None]:
    folder = f"{plan.MANIFESTS}/"
    return {path: content for path, content in plan.changes(before, after).items() if path.startswith(folder)}


def _change(path: str, before: bytes | None, after: bytes | None, *, patches: bool) -> ObjectChange:
    old, new = (_value(content) for content in (before, after))
    kind, metadata = (new or old)["kind"], (new or old)["metadata"]
    action = Action.CREATED if before is None else Action.DELETED if after is None else Action.CHANGED
    return ObjectChange(
        path=path,
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        action=action,
        **({"fields": differences(old, new)} if action is Action.CHANGED else {}),
        patch=_patch(path, before, after) if patches else "",
    )


def _value(content: bytes | None) -> dict[str, Any]:
    found: dict[str, Any] = values(content)[0] if content is not None else {}
    return found


def _patch(path: str, before: bytes | None, after: bytes | None) -> str:
    old, new = ((content or b"").decode().splitlines(keepends=True) for content in (before, after))
    one, other = ("/dev/null" if content is None else path for content in (before, after))
    return "".join(unified_diff(old, new, one, other))
