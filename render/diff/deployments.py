"""What becomes of the Deployments that a change concerns. The rules of rollouts are asked what they would begin.

Pure.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from render import places
from render.diff import plans
from render.diff.fields import differences
from render.diff.outcome import Sides, begun
from render.diff.rules import rules
from render.normal import Kept, WantedDeployment
from render.resource import DEPLOYMENT
from render.rollout import stage
from render.rollout.judge import Scene
from render.rollout.observation import Observation
from render.rollout.plan import at, rows
from render.rollout.server import new as new_server
from render.rules import Rule
from schemas.change import DeploymentChange, Fields, Plan, Served, What
from schemas.resources import Strategy
from schemas.status import DeploymentStatus, Finding, ModelRevision, ServerStatus, Tree, Work

update = msgspec.structs.replace
_UNSEEN = Observation(now=0.0)


def deployments(sides: Sides, after: Tree, rolling: frozenset[str]) -> tuple[DeploymentChange, ...]:
    """Every Deployment that is wanted otherwise, by key. `after`: the outcome; `rolling`: the servers that get new pods
    slice by slice, for which rollouts wait."""
    there = {**sides.now.servers, **after.servers}  # one that is to go stays until nothing is served on it any more
    servers = {key: update(one, progress=None, candidate=None) for key, one in there.items()}
    busy = rolling.union(key for key, one in sides.now.servers.items() if one.progress is not None)
    judged = [_Judge(sides, key, servers, busy).change() for key in sides.deployments]
    turns = _turns(judged)
    return tuple(update(one, notes=(*one.notes, *_turn(one, turns))) for one in judged)


def is_work(change: DeploymentChange) -> bool:
    """Whether a rollout begins, or goes on."""
    return change.what in (What.FIRST, What.ROLLOUT, What.MOVE, What.GOES_ON)


class _Judge:
    """One Deployment on both sides."""

    def __init__(self, sides: Sides, key: str, servers: Mapping[str, ServerStatus], busy: frozenset[str]) -> None:
        self._key, self._servers, self._busy = key, servers, busy
        self._repository = sides.head.repository
        self._base, self._head = sides.base.deployments.get(key), sides.head.deployments.get(key)
        self._now = sides.now.deployments.get(key) or stage.new(*key.split("/"))

    def change(self) -> DeploymentChange:
        if self._head is None:
            return self._deletion()
        if isinstance(self._head, Kept):
            return self._kept(self._head)
        return self._wanted(self._head)

    def _deletion(self) -> DeploymentChange:
        if places.home(self._now) is None:  # the agent has not seen it, or never accepted it
            return self._made(What.DELETION)
        status = stage.advance(None, update(self._now, progress=None), self._scene(self._now)).status
        at_work = status is not None and status.progress is not None
        plan = plans.of_deployment(rows(status)) if status is not None and at_work else Plan()
        return self._made(What.DELETION, plan=plan)

    def _kept(self, head: Kept) -> DeploymentChange:
        name = f"{DEPLOYMENT} {self._key}"
        what = What.HELD if name in self._repository.held_deletions or is_untrusted(head.findings) else What.REFUSED
        return self._made(what, notes=tuple(first_error(head.findings)))

    def _wanted(self, head: WantedDeployment) -> DeploymentChange:
        before = begun(self._now, head.model.model_hash) or stage.new(*self._key.split("/"))
        goes_on = before.progress is not None
        status = self._policy(head, before) if goes_on else self._begun(head, before)
        common: dict[str, Any] = {
            "after": _served(head.model),
            "fields": self._fields(head),
            "rules": self._rules(head, is_begun=status.progress is not None),
        }
        if status.progress is None:
            same = status.current is not None and status.current.model_hash == head.model.model_hash
            notes = () if same else (_failed(status),)
            return self._made(What.LIVE if same else What.NOTHING, notes=(*self._superseded(head), *notes), **common)
        plan = rows(status)
        return self._made(
            What.GOES_ON if goes_on else _kind(status),
            strategy=head.rollout.strategy.value,
            reason=head.rollout.reason if head.rollout.strategy is Strategy.EMERGENCY else None,
            plan=plans.of_deployment(plan[at(plan, status.progress.step) :]),
            notes=(*self._superseded(head), *self._waits(head)),
            **common,
        )

    def _begun(self, head: WantedDeployment, before: DeploymentStatus) -> DeploymentStatus:
        return stage.advance(head, before, self._scene(before, head.model)).status or before

    def _policy(self, head: WantedDeployment, before: DeploymentStatus) -> DeploymentStatus:
        return update(before, rollout=head.rollout, traffic=head.traffic)

    def _scene(self, status: DeploymentStatus, model: ModelRevision | None = None) -> Scene:
        """A cluster in which nothing else goes on and nothing was observed."""
        home = places.home(status) or (f"{status.metadata.namespace}/{model.server}" if model is not None else "")
        there = f"{status.metadata.namespace}/{model.server}" if model is not None else home
        host = self._servers.get(home) or self._servers.get(there)
        return Scene(self._repository, host or new_server(*home.split("/")), _UNSEEN, servers=self._servers)

    def _made(self, what: What, **more: Any) -> DeploymentChange:
        return DeploymentChange(key=self._key, what=what, before=_served(self._now.current), **more)

    def _fields(self, head: WantedDeployment) -> Fields:
        if not isinstance(self._base, WantedDeployment):
            return Fields()
        return differences(_plain(self._base), _plain(head), normal=True)

    def _rules(self, head: WantedDeployment, *, is_begun: bool) -> tuple[Any, ...]:
        """Where a rollout begins, or the rules are other ones."""
        was = self._base.traffic if isinstance(self._base, WantedDeployment) else None
        if not is_begun and was == head.traffic:
            return ()
        host = self._servers.get(f"{self._key.split('/')[0]}/{head.model.server}")
        return rules(head.model, head.traffic, head.rollout.steps, host.slices if host is not None else ())

    def _superseded(self, head: WantedDeployment) -> Iterator[str]:
        progress, candidate = self._now.progress, self._now.candidate
        if progress is None:
            return
        if progress.work is Work.CLEAN_UP:
            yield "after its deletion, which is in hand, is complete"
        elif progress.work is Work.ROLLBACK:
            yield "after the rollback in hand"
        elif candidate is not None and candidate.model_hash != head.model.model_hash:
            yield f"the rollout of revision {candidate.revision}, which is in hand, ends first"

    def _waits(self, head: WantedDeployment) -> Iterator[str]:
        policy, namespace = head.rollout, self._key.split("/")[0]
        homes = {f"{namespace}/{head.model.server}", *places.homes(self._now)}
        for server in sorted(homes & self._busy) if policy.strategy is not Strategy.EMERGENCY else ():
            yield f"begins when the pods of {server} are replaced, or they are when this is through"
        if policy.paused:
            yield "rollout.paused holds it at its first step"


def is_untrusted(findings: tuple[Finding, ...]) -> bool:
    """Whether something is kept because it is not certain that it is missing."""
    return any(one.rule == Rule.DELETION_UNTRUSTED for one in findings)


def first_error(findings: tuple[Finding, ...]) -> Iterator[str]:
    """What a refusal says."""
    errors = [one for one in findings if one.severity == "error"]
    yield from (f"{one.file}:{one.line}:{one.column}: {one.rule} {one.message}" for one in errors[:1])


def _kind(status: DeploymentStatus) -> What:
    if status.progress is not None and status.progress.first:
        return What.FIRST
    return What.MOVE if places.is_moving(status) else What.ROLLOUT


def _failed(status: DeploymentStatus) -> str:
    failed = status.failed
    if failed is None:
        return status.message
    return f"revision {failed.revision} has failed before ({failed.message}): raise rollout.attempt to try it again"


def _served(revision: ModelRevision | None) -> Served | None:
    return Served(revision.revision, revision.server, revision.name) if revision is not None else None


def _plain(wanted: WantedDeployment) -> dict[str, Any]:
    parts = {"model": wanted.model, "rollout": wanted.rollout, "traffic": wanted.traffic}
    return {name: msgspec.to_builtins(one) for name, one in parts.items()}


def _turns(changes: list[DeploymentChange]) -> dict[str, list[str]]:
    """By server, the Deployments that newly load a candidate there, which they do one after the other."""
    turns: dict[str, list[str]] = defaultdict(list)
    for one in changes:
        if is_work(one) and one.after is not None and one.strategy != Strategy.EMERGENCY:
            turns[f"{one.key.split('/')[0]}/{one.after.server}"].append(one.key)
    return turns


def _turn(change: DeploymentChange, turns: Mapping[str, list[str]]) -> Iterator[str]:
    for server, keys in turns.items():
        if change.key in keys and len(keys) > 1:
            yield f"{len(keys)} load on {server}, one after the other"
