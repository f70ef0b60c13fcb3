"""What an observation proves about a row of a server's plan: whether it holds, and what has certainly failed. Pure.

A pod counts as new only if it was made from the very template that status renders now, and as proven only if it is
ready and proves every model that its slice is told to serve.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from render.objects import template_content
from render.objects.model_config import is_gated
from render.rollout import judge, queue
from render.rollout.judge import Held, Scene, Told
from render.rollout.observation import Observation, Pod, key
from render.rollout.server_plan import Row, Until
from schemas.model_config import wanted
from schemas.report import ModelReport, ReportError
from schemas.status import Cause, DeploymentStatus, RepositoryStatus, ServerStatus, SliceName

_NAMED = 3  # names in one message


@dataclass(frozen=True, slots=True)
class ServerScene:
    """All that the rules look at besides the server's own status. `users`: the Deployments that are on it, as it sees
    them. `has_room`: fewer servers than allowed are having their pods replaced."""

    repository: RepositoryStatus
    users: tuple[DeploymentStatus, ...]
    observation: Observation
    has_room: bool = True

    @property
    def now(self) -> float:
        """POSIX seconds."""
        return self.observation.now


def holds(row: Row, status: ServerStatus, scene: ServerScene) -> Held:
    """Whether all that `row` waits for is observed. `status` is already what the row tells the slices."""
    held = Held(ok=True)
    for until in row.until:
        held = _CHECKS[until](row, status, scene)
        if not held.ok:
            break
    return held


def failure(row: Row, status: ServerStatus, scene: ServerScene) -> Cause | None:
    """The cause for a rollback that is certain now, or None: on a new pod a model fails for certain that is served; on
    the first of them, or on more than the quorum leaves."""
    for name in row.at:
        errors = dict(_failed(_new(name, status, scene), name, scene))
        spare = status.slices[name].replicas.min - judge.quorum(status, name)
        if len(errors) > (0 if Until.FIRST_REPLACED in row.until else spare):
            pod, (model, error) = min(errors.items())
            message = f"{pod}: {model}: {error.message}"
            return Cause(kind="failed", reason=error.reason.value, message=message)
    return None


def troubles(status: ServerStatus, scene: ServerScene) -> tuple[str, ...]:
    """The models that a pod cannot get, though they are served: `pod: model: reason: message` each."""
    found = []
    for name in status.slices:
        told = _told(name, scene)
        for pod in _pods(status, scene, name):
            for user, about in told:
                seen = judge.report(pod, about)
                error = _error(seen, user)
                if error is not None and seen is not None and seen.serving is None:
                    found.append(f"{pod.name}: {about.model}: {error.reason.value}: {error.message}")
    return tuple(sorted(found))


# ---- conditions


def _free(row: Row, status: ServerStatus, scene: ServerScene) -> Held:
    at_work = queue.at_work(scene.users)
    server = key(status.metadata.namespace, status.metadata.name)
    if not any(pod.report for pod in scene.observation.pods.get(server, ())):
        return Held(ok=True)  # nothing of them can be seen, and new pods may be what they need
    return Held(ok=not at_work, why=f"waits for {_listed(at_work)}, which is being rolled out")


def _drained(row: Row, status: ServerStatus, scene: ServerScene) -> Held:
    leaving = _listed(user.metadata.name for user in scene.users if user.route is None and is_gated(user))
    if leaving:  # the gateway may lead here still
        return Held(ok=False, why=f"waits for the route of {leaving} to be gone")
    for user in _with_route(scene):
        around = Scene(scene.repository, status, scene.observation)
        for held in (judge.routed(user, around), judge.drained(user, around)):
            if not held.ok:
                return Held(ok=False, why=f"{user.metadata.name}: {held.why}", wake_at=held.wake_at)
    return Held(ok=True)


def _routed(row: Row, status: ServerStatus, scene: ServerScene) -> Held:
    for user in _with_route(scene):
        held = judge.routed(user, Scene(scene.repository, status, scene.observation))
        if not held.ok:
            return Held(ok=False, why=f"{user.metadata.name}: {held.why}")
    return Held(ok=True)


def _first_replaced(row: Row, status: ServerStatus, scene: ServerScene) -> Held:
    name = row.at[0]
    told = _told(name, scene)
    proven = [pod.name for pod in _new(name, status, scene) if not _lacks(pod, told)]
    return Held(ok=bool(proven), why=f"waits for a pod of {name} with the new template", pods=tuple(proven[:1]))


def _replaced(row: Row, status: ServerStatus, scene: ServerScene) -> Held:
    proven: list[str] = []
    for name in row.at:
        told, new = _told(name, scene), _new(name, status, scene)
        lacking = {pod.name: _lacks(pod, told) for pod in new}
        good = [pod for pod, missing in lacking.items() if not missing]
        failed = dict(_failed(new, name, scene))
        unsure = [f"{pod.name}: {lacking[pod.name]}" for pod in new if _is_open(pod, lacking[pod.name], failed)]
        old = [pod.name for pod in _pods(status, scene, name) if pod not in new]
        if old or unsure or len(good) < judge.quorum(status, name):
            why = f"{_listed(old)} to go" if old else _listed(unsure) or f"more pods: {len(good)} are proven"
            return Held(ok=False, why=f"waits for {name}: {why}")
        proven += good
    return Held(ok=True, pods=tuple(proven))


def _is_open(pod: Pod, missing: str, failed: Mapping[str, object]) -> bool:
    """Whether it may still come: it is not proven, its server is not dead, and nothing has failed for certain."""
    return bool(missing) and pod.live is not False and pod.name not in failed


_CHECKS = {
    Until.FREE: _free,
    Until.DRAINED: _drained,
    Until.ROUTED: _routed,
    Until.FIRST_REPLACED: _first_replaced,
    Until.REPLACED: _replaced,
}


# ---- reading reports


def _pods(status: ServerStatus, scene: ServerScene, name: SliceName) -> list[Pod]:
    server = key(status.metadata.namespace, status.metadata.name)
    return [pod for pod in scene.observation.pods.get(server, ()) if pod.slice == name]


def _new(name: SliceName, status: ServerStatus, scene: ServerScene) -> list[Pod]:
    """The pods of a slice that have the template which status renders now."""
    content = template_content(scene.repository, status, name)
    return [pod for pod in _pods(status, scene, name) if pod.template == content]


def _told(name: SliceName, scene: ServerScene) -> list[tuple[DeploymentStatus, Told]]:
    """What a slice is told about each model."""
    told = ((user, judge.told(user, name)) for user in scene.users)
    return [(user, about) for user, about in told if about is not None]


def _lacks(pod: Pod, told: Iterable[tuple[DeploymentStatus, Told]]) -> str:
    """What a pod does not prove yet, empty when it proves everything."""
    if not pod.live:
        return "its server"
    models = [one.model for _, one in told if wanted(one.entry, pod.name) is not None and not judge.serves(pod, one)]
    return _listed(models) or ("" if pod.ready else "its readiness")


def _failed(pods: Iterable[Pod], name: SliceName, scene: ServerScene) -> Iterator[tuple[str, tuple[str, ReportError]]]:
    told = _told(name, scene)
    for pod in pods:
        for user, about in told:
            error = _error(judge.report(pod, about), user)
            if error is not None and error.permanent:
                yield pod.name, (about.model, error)


def _error(seen: ModelReport | None, user: DeploymentStatus) -> ReportError | None:
    """The failure of what a Deployment serves; its candidate's failures are no concern of the server."""
    error = seen.error if seen is not None else None
    mine = error is not None and user.current is not None and error.digest == user.current.digest
    return error if mine else None


def _with_route(scene: ServerScene) -> list[DeploymentStatus]:
    return [user for user in scene.users if user.route is not None]


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return ", ".join(shown[:_NAMED]) + more
