"""What an observation proves about a row of a plan: whether it holds, and what has certainly failed. Pure.

An observation counts only if it was made of what status renders now: a replica's report carries the hash of that
very entry, a live route the hash of that very content. Everything else is unknown, and unknown is never failure.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from render import places
from render.objects import route_content
from render.objects.model_config import entry, model_name
from render.rollout.observation import Observation, Pod, key
from render.rollout.plan import Row, Until
from schemas.model_config import ConfigEntry, entry_hash, wanted
from schemas.report import ModelReport, ModelState, ReportError
from schemas.status import (
    Cause,
    Counters,
    DeploymentStatus,
    Evidence,
    ModelRevision,
    RepositoryStatus,
    Role,
    ServerStatus,
    SliceName,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """All that the rules look at besides the Deployment's own status. `server`: the one that it is on; when it moves,
    the one that it moves to. `turn`: the Deployment that newly serves a candidate there now, None when nobody does.
    `servers`: all of them, by key."""

    repository: RepositoryStatus
    server: ServerStatus
    observation: Observation
    turn: str | None = None
    servers: Mapping[str, ServerStatus] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def now(self) -> float:
        """POSIX seconds."""
        return self.observation.now

    def on(self, server: ServerStatus) -> "Scene":
        """The same with another server."""
        return Scene(self.repository, server, self.observation, servers=self.servers)

    def pods(self, *slices: str) -> tuple[Pod, ...]:
        """The server's pods, of `slices` only when any are given."""
        server = key(self.server.metadata.namespace, self.server.metadata.name)
        return tuple(pod for pod in self.observation.pods.get(server, ()) if not slices or pod.slice in slices)


@dataclass(frozen=True, slots=True)
class Held:
    """Whether a row's conditions hold. `why`: what is missing; `wake_at`: when to look again without an event."""

    ok: bool
    why: str = ""
    pods: tuple[str, ...] = ()
    wake_at: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What one slice is told about a model, and the hash by which a report proves that it speaks of that."""

    model: str
    entry: ConfigEntry
    hash: str


def holds(row: Row, status: DeploymentStatus, scene: Scene) -> Held:
    """Whether all that `row` waits for is observed. `status` is already what the row tells slices and route."""
    proven: list[str] = []
    for until in row.until:
        held = _CHECKS[until](*_where(until, status, scene))
        if not held.ok:
            return held
        proven += held.pods
    return Held(ok=True, pods=tuple(sorted(set(proven))))


def failure(row: Row, status: DeploymentStatus, scene: Scene) -> Cause | None:
    """The cause for a rollback that is certain now, or None: a definite failure on the first pod, more definite
    failures than the policy allows, or an analysis limit."""
    status = places.there(status)
    return _failed_pods(row, status, scene) or _analysis(row, status, scene)


def counters(status: DeploymentStatus, scene: Scene) -> dict[SliceName, Counters]:
    """Requests to this model so far, by slice."""
    status = places.there(status)
    names: tuple[SliceName, ...] = tuple(status.slices)
    return {name: _total(status, scene.pods(name)) for name in names}


def evidence(status: DeploymentStatus, scene: Scene, pods: tuple[str, ...]) -> Evidence:
    """What was seen, for a transition."""
    digest = status.candidate.digest if status.candidate else status.current.digest if status.current else None
    live = scene.observation.routes.get(_key(status))
    return Evidence(digest=digest, pods=pods, route=live.content if live else None)


def first_pod(status: DeploymentStatus, scene: Scene, name: SliceName) -> tuple[str, ...]:
    """The pod of the first wave of a slice: the one chosen before while it exists, else the first that reports live.

    `status` is as the place sees it that the candidate is brought up in.
    """
    pods = scene.pods(name)
    state = status.slices.get(name)
    chosen = state.first_pods if state else ()
    if chosen and any(pod.name in chosen for pod in pods):
        return chosen
    able = sorted(pod.name for pod in pods if pod.live and pod.report is not None)
    return tuple(able[:1])


def quorum(server: ServerStatus, name: SliceName) -> int:
    """Live pods that "every replica" of a slice needs at least: one, however small the share."""
    rendered = server.slices.get(name)
    return max(1, math.ceil(rendered.replicas.min * server.quorum / 100)) if rendered is not None else 1


def left(status: DeploymentStatus, scene: Scene) -> Scene:
    """The scene in the place that a moving Deployment leaves. Its server is there as long as it is served there."""
    return scene.on(scene.servers[places.home(places.here(status)) or ""])


# ---- conditions


def _where(until: Until, status: DeploymentStatus, scene: Scene) -> tuple[DeploymentStatus, Scene]:
    """The place that a condition is about: for what does not move there is but one."""
    if not places.is_moving(status):
        return status, scene
    back = until is Until.ROUTED and (status.route is None or status.route.to is Role.CURRENT)
    if back or until in (Until.LEFT, Until.CLEARED):
        return places.here(status), left(status, scene)
    return places.there(status), scene


def _staged(status: DeploymentStatus, scene: Scene) -> Held:
    candidate = _candidate(status)

    def has(pod: Pod, about: Told) -> bool:
        seen = report(pod, about)
        return seen is not None and candidate.digest in seen.staged

    return _every(status, scene, _pinned(status), has, f"{candidate.revision} on disk")


def _first_proven(status: DeploymentStatus, scene: Scene) -> Held:
    proven: list[str] = []
    for name, state in status.slices.items():
        about = told(status, name) if state.first_pods else None
        if about is not None:
            proven += [pod.name for pod in scene.pods(name) if pod.name in state.first_pods and serves(pod, about)]
            if set(proven) == set(state.first_pods):
                return Held(ok=True, pods=tuple(proven))
            return Held(ok=False, why=f"waits for {', '.join(state.first_pods)} to prove it")
    return Held(ok=False, why="waits for a live pod to try it on")


def _proven(status: DeploymentStatus, scene: Scene) -> Held:
    switched = tuple(name for name, state in status.slices.items() if state.serve is Role.CANDIDATE)
    names = switched if status.candidate and switched else tuple(status.slices)

    return _every(status, scene, names, serves, "the digest it is told to serve")


def _every(
    status: DeploymentStatus,
    scene: Scene,
    slices: Iterable[SliceName],
    proves: Callable[[Pod, Told], bool],
    what: str,
) -> Held:
    """Every pod whose server is live, at least the quorum. Unknown pods hold it, failed ones within bounds do not."""
    proven: list[str] = []
    for name in slices:
        about = told(status, name)
        if about is None:
            return Held(ok=False, why=f"{name} is told nothing")
        pods = scene.pods(name)
        good = [pod.name for pod in pods if proves(pod, about)]
        failed = [pod.name for pod in pods if _error(pod, status, about)]
        open_ = [pod.name for pod in pods if pod.live is not False and pod.name not in good and pod.name not in failed]
        least = quorum(scene.server, name) - len(failed)
        if open_ or len(good) < max(1, least):
            held = [pod for pod in pods if pod.name in open_]
            said = [
                f"{pod.name}: {one.reason.value}: {one.message}" for pod in held if (one := _said(pod, status, about))
            ]
            missing = ", ".join(said[:1] or sorted(open_)[:5]) or f"{len(good)} of {least} pods"
            return Held(ok=False, why=f"waits for {what}: {name}: {missing}")
        proven += good
    return Held(ok=True, pods=tuple(proven))


def routed(status: DeploymentStatus, scene: Scene) -> Held:
    """Whether the route that status renders is live."""
    expected = route_content(scene.repository, scene.server, status)
    live = scene.observation.routes.get(_key(status))
    if live is None or live.content != expected:
        return Held(ok=False, why="waits for the route to be applied")
    if live.live_since is None:
        return Held(ok=False, why=f"waits for the gateway: {live.message or 'route not accepted yet'}")
    return Held(ok=True)


def drained(status: DeploymentStatus, scene: Scene) -> Held:
    """Whether the canary slice, or every slice where there is no route any more, has no requests left."""
    pods = scene.pods() if status.route is None else scene.pods("canary")
    name = _name(status)
    busy = [pod.name for pod in pods if pod.report and (seen := pod.report.models.get(name)) and seen.requests.busy]
    if busy:
        return Held(ok=False, why=f"waits for the last requests on {', '.join(sorted(busy)[:5])}")
    live = scene.observation.routes.get(_key(status))
    since = live.live_since if live is not None else _since(status)
    settled = (since if since is not None else scene.now) + scene.repository.settle
    if scene.now < settled:
        return Held(ok=False, why="waits for the gateway to settle", wake_at=settled)
    return Held(ok=True)


def _unrouted(status: DeploymentStatus, scene: Scene) -> Held:
    gone = _key(status) not in scene.observation.routes
    return Held(ok=gone, why="waits for the route to be gone")


def _unloaded(status: DeploymentStatus, scene: Scene) -> Held:
    name = _name(status)
    still = [pod.name for pod in scene.pods() if pod.live is not False and (not pod.report or _has(pod, name))]
    return Held(ok=not still, why=f"waits for {', '.join(sorted(still)[:5])} to unload")


_CHECKS = {
    Until.STAGED: _staged,
    Until.FIRST_PROVEN: _first_proven,
    Until.PROVEN: _proven,
    Until.ROUTED: routed,
    Until.DRAINED: drained,
    Until.UNROUTED: _unrouted,
    Until.UNLOADED: _unloaded,
    Until.LEFT: drained,
    Until.CLEARED: _unloaded,
}


# ---- failures


def _failed_pods(row: Row, status: DeploymentStatus, scene: Scene) -> Cause | None:
    policy = status.rollout
    for name in _pinned(status):
        about = told(status, name)
        if about is None or policy is None:
            continue
        pods = scene.pods(name)
        errors = {pod.name: error for pod in pods if (error := _error(pod, status, about))}
        first = status.slices[name].first_pods if row.first == name else ()
        allowed = 0 if any(pod in errors for pod in first) else len(pods) * policy.max_failed_replicas // 100
        if len(errors) > allowed:
            pod, error = min(errors.items(), key=lambda one: one[0])
            return Cause(kind="failed", reason=error.reason.value, message=f"{pod}: {error.message}")
    return None


def _analysis(row: Row, status: DeploymentStatus, scene: Scene) -> Cause | None:
    progress, limits = status.progress, status.rollout.analysis if status.rollout else None
    if limits is None or progress is None or not progress.baseline:
        return None
    now = counters(status, scene)
    canary, main = (_since_baseline(progress.baseline, now, name) for name in ("canary", "main"))
    if canary is None or canary.count < limits.min_requests:
        return None
    rate = canary.failures / canary.count
    if limits.max_error_rate is not None and rate > limits.max_error_rate:
        return Cause(kind="failed", reason="AnalysisErrorRate", message=f"{rate:.1%} of {canary.count} requests failed")
    if limits.max_latency_ratio is None or main is None or main.count < limits.min_requests:
        return None
    ratio = _mean(canary) / max(_mean(main), 1e-9)
    if ratio > limits.max_latency_ratio:
        return Cause(kind="failed", reason="AnalysisLatency", message=f"mean latency is {ratio:.2f} times main's")
    return None


def _since_baseline(
    baseline: Mapping[SliceName, Counters], now: Mapping[SliceName, Counters], name: str
) -> Counters | None:
    """Requests since the baseline; counters that went back (a pod started again) count from zero."""
    if name not in baseline or name not in now:
        return None
    before, after = baseline[name], now[name]  # type: ignore[index]  # checked just above
    if after.count < before.count or after.failures < before.failures:
        return after
    return Counters(
        count=after.count - before.count,
        failures=after.failures - before.failures,
        latency_seconds=max(0.0, after.latency_seconds - before.latency_seconds),
    )


def _mean(value: Counters) -> float:
    return value.latency_seconds / max(1, value.count - value.failures)


def _total(status: DeploymentStatus, pods: Iterable[Pod]) -> Counters:
    name = _name(status)
    seen = [pod.report.models[name].requests for pod in pods if pod.report and name in pod.report.models]
    return Counters(
        count=sum(one.count for one in seen),
        failures=sum(one.failures for one in seen),
        latency_seconds=round(sum(one.latency_seconds for one in seen), 6),
    )


# ---- reading one report


def told(status: DeploymentStatus, name: SliceName) -> Told | None:
    """What the slice `name` is told about a Deployment's model, None for nothing."""
    made = entry(status, name)
    return Told(_name(status), made, entry_hash(made)) if made is not None else None


def report(pod: Pod, about: Told) -> ModelReport | None:
    """The pod's report of the model, if it is about the entry that status renders now."""
    seen = pod.report.models.get(about.model) if pod.report else None
    return seen if seen is not None and seen.entry == about.hash else None


def serves(pod: Pod, about: Told) -> bool:
    """Whether the pod proves what it is told to serve, its smoke test answered: the digest alone comes before that, and
    is the same where only options differ."""
    seen, target = report(pod, about), wanted(about.entry, pod.name)
    if not pod.live or seen is None or target is None:
        return False
    return seen.state is ModelState.SERVING and seen.serving == target.digest


def _error(pod: Pod, status: DeploymentStatus, about: Told) -> ReportError | None:
    """A certain failure of the candidate on this pod."""
    error = _said(pod, status, about)
    return error if error is not None and error.permanent else None


def _said(pod: Pod, status: DeploymentStatus, about: Told) -> ReportError | None:
    """What this pod has against the candidate, though it may pass."""
    candidate = status.candidate
    seen = report(pod, about) if candidate else None
    error = seen.error if seen else None
    if candidate is None or error is None or error.digest != candidate.digest or error.attempt != candidate.attempt:
        return None
    return error


def _has(pod: Pod, name: str) -> bool:
    seen = pod.report.models.get(name) if pod.report else None
    return seen is not None and (seen.entry is not None or seen.serving is not None)


def _pinned(status: DeploymentStatus) -> tuple[SliceName, ...]:
    return tuple(name for name in status.slices if status.progress is None or name in status.progress.slices)


def _candidate(status: DeploymentStatus) -> ModelRevision:
    if status.candidate is None:
        raise ValueError("no candidate")
    return status.candidate


def _name(status: DeploymentStatus) -> str:
    return model_name(status) or ""


def _since(status: DeploymentStatus) -> float | None:
    return status.progress.since.timestamp() if status.progress else None


def _key(status: DeploymentStatus) -> str:
    return key(status.metadata.namespace, status.metadata.name)
