"""What is gone between two trees, and was to stay. Pure.

- An InferenceServer goes only when no Deployment is on it any more.
- What waits for a permission (`heldDeletions`) stays, and so does everything while `fresco.yaml` is missing or broken:
  it neither goes, nor does its deletion begin. One that has begun goes on.

That a deletion should have waited is not checked: how many are too many is said in `fresco.yaml` alone.
"""

from collections.abc import Iterator

from render import absences, places
from schemas.status import Tree


def tree(before: Tree | None, after: Tree) -> list[str]:
    """What is wrong with what is gone: `Kind namespace/name: what`. Costs a look at the names of all resources, and one
    at each of them where something was to stay."""
    return [*_servers(before, after), *_kept(before, after)] if before is not None else []


def _servers(before: Tree, after: Tree) -> Iterator[str]:
    gone = before.servers.keys() - after.servers.keys()
    if not gone:
        return
    for key, status in after.deployments.items():
        for server in sorted(places.homes(status) & gone):
            yield f"InferenceServer {server}: its status is gone, though Deployment {key} is on it"


def _kept(before: Tree, after: Tree) -> Iterator[str]:
    settings = after.repository
    if not (settings.frozen or settings.held_deletions):
        return
    there = absences.staying(before)
    kept = there if settings.frozen else there.intersection(settings.held_deletions)
    why = "while fresco.yaml is missing or broken" if settings.frozen else "though its deletion waits for a permission"
    for name in sorted(kept - absences.staying(after)):
        yield f"{name}: it is deleted {why}"
