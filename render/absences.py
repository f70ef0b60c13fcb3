"""What is not on the humans' branch any more, and whether that may be believed. Pure.

A file that cannot be read may hold what seems to be missing; many deletions at once may be an accident.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from render.rules import Rule
from schemas.resources import Guards
from schemas.status import DeploymentStatus, Finding, ServerStage, Stage, Tree

_LEAVING = (Stage.CLEAN_UP_IN_PROGRESS, Stage.CLEAN_UP_COMPLETE)


@dataclass(frozen=True, slots=True)
class Absences:
    """Absent resources that are not deleted, `Kind namespace/name`, each with the finding that says why."""

    kept: dict[str, Finding]
    held: tuple[str, ...]


def judge(previous: Tree | None, present: Iterable[str], unread: Iterable[Finding], guards: Guards) -> Absences:
    """Judges what `previous` has and `present` has not. Names are `Kind namespace/name`.

    `unread`: findings of files or documents of which it is not known what they hold.
    """
    known = staying(previous) if previous is not None else set()
    absent = sorted(known - set(present))
    first = next(iter(unread), None)
    if first is not None:
        return Absences({name: _untrusted(name, first) for name in absent}, ())
    held = [name for name in absent if name not in guards.allow_deletion]
    if not _is_too_much(len(held), len(known), guards):
        return Absences({}, ())
    return Absences({name: _held(name, len(held), len(known)) for name in held}, tuple(held))


def is_leaving(status: DeploymentStatus) -> bool:
    """Whether its deletion has begun: it is not deleted a second time."""
    return status.stage in _LEAVING


def staying(status: Tree) -> set[str]:
    """What is there and has not begun to be deleted, `Kind namespace/name`."""
    servers = {f"InferenceServer {key}" for key, one in status.servers.items() if one.stage is not ServerStage.DELETE}
    return servers | {f"Deployment {key}" for key, one in status.deployments.items() if not is_leaving(one)}


def _is_too_much(count: int, total: int, guards: Guards) -> bool:
    return count > guards.max_deletions and 100 * count > guards.max_deletions_percent * total


def _untrusted(name: str, unread: Finding) -> Finding:
    return Finding(
        file=unread.file,
        line=unread.line,
        column=unread.column,
        rule=Rule.DELETION_UNTRUSTED.value,
        message=f"{name} is not on main, but this cannot be read and may hold it, so it is not deleted",
    )


def _held(name: str, count: int, total: int) -> Finding:
    return Finding(
        file="fresco.yaml",
        line=1,
        column=1,
        rule=Rule.DELETION_HELD.value,
        message=f"{name} is not on main; {count} of {total} resources would be deleted at once, so it waits",
        hint=f"to delete it, add {name!r} to guards.allowDeletion",
    )
