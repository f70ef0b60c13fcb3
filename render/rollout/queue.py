"""Who newly serves a candidate on a server, one at a time, so that a crash has one suspect. Pure."""

from collections.abc import Iterable, Mapping

from render.rollout.plan import loads_candidate
from schemas.status import DeploymentStatus, Stage, Work


def order(deployments: Mapping[str, DeploymentStatus]) -> list[str]:
    """The names in the fixed order in which they get their turn: who began first; then by name."""
    return sorted(deployments, key=lambda name: (_began(deployments[name]), name))


def turn(deployments: Iterable[DeploymentStatus]) -> str | None:
    """The Deployment whose candidate is being loaded or taken off again, None when there is none.

    Of several (an emergency does not queue) the one that comes last in their order: all must be over before the next.
    """
    return max((one.metadata.name for one in deployments if _loads(one)), default=None)


def at_work(deployments: Iterable[DeploymentStatus]) -> list[str]:
    """The Deployments that a server's own rollout waits for: a rollout is in hand, or being taken back.

    A rollback that failed is not: new pods may be what it needs.
    """
    return sorted({one.metadata.name for one in deployments if _is_at_work(one)})


def _is_at_work(status: DeploymentStatus) -> bool:
    progress = status.progress
    return progress is not None and progress.work is not Work.CLEAN_UP and status.stage is not Stage.ROLLBACK_FAILED


def _loads(status: DeploymentStatus) -> bool:
    progress = status.progress
    if progress is None or not _is_at_work(status):
        return False
    return bool(progress.moved) if progress.work is Work.ROLLBACK else loads_candidate(progress.step)


def _began(status: DeploymentStatus) -> float:
    return status.progress.started_at.timestamp() if status.progress else float("inf")
