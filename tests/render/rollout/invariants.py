"""What is always true of a cluster, whatever humans, pods and time do. Each check looks at one commit.

The numbers are those of the list in `docs/rollout.md`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from render import places, plan
from render.normal import Kept
from render.objects import template_content
from render.plan import Index
from render.rollout import queue
from render.rollout.plan import loads_candidate
from render.verify import changes
from schemas.resources import Strategy
from schemas.status import DeploymentStatus, Role, ServerStatus, SliceName, Stage, Tree, Work
from tests.support.simulator import Reach, SimulatedPod, Simulator


@dataclass(frozen=True)
class Commit:
    """One commit of the agent: the tree before and after it, and the cluster that has just begun to take it over.

    `files`: the branch's files before it. `urgent`: Deployments whose rollout in hand was an emergency at any time.
    """

    before: Tree
    after: Tree
    simulator: Simulator
    files: dict[str, bytes]
    urgent: frozenset[str]

    @property
    def changes(self) -> dict[str, bytes | None]:
        """What it writes."""
        return plan.changes(self.before if self.files else None, self.after)


def check(commit: Commit) -> dict[str, bytes]:
    """Checks everything that one commit shows; gives the branch's files after it."""
    requests_meet_what_the_step_allows(commit.simulator, commit.urgent)
    routed_models_are_served(commit.simulator)
    current_is_never_lost(commit)
    one_suspect_at_a_time(commit)
    one_pod_first(commit)
    others_are_left_alone(commit)
    switched_canaries_are_drained(commit)
    places_are_left_without_requests(commit)
    guarded_resources_stay(commit)
    new_templates_are_proven_on_canary(commit)
    replaced_canaries_get_no_requests(commit)
    pods_are_replaced_between_rollouts(commit)
    few_servers_at_a_time(commit)
    what_is_written_can_be_verified(commit)
    return rendered_files_are_those_of_the_tree(commit)


def requests_meet_what_the_step_allows(simulator: Simulator, urgent: Collection[str]) -> None:
    """(1) A ready pod that a live route leads to serves a revision that the step allows there."""
    for name, pod, reach in _reached(simulator):
        status = simulator.tree.deployments.get(name)
        served = pod.serving.get(reach.model)
        assert served is not None, f"{pod.name} is ready and has no {reach.model}"
        if status is not None and simulator.applied is simulator.tree:
            allowed = _allowed(status, pod.slice, reach, urgent=name in urgent)
            assert served in allowed, f"{pod.name}: {served}: {status}"


def routed_models_are_served(simulator: Simulator) -> None:
    """(2) Wherever a live route leads, every pod is told to serve the model: it is not to be unloaded."""
    for name, pod, reach in _reached(simulator):
        told = (pod.told or {}).get(reach.model)
        assert told is not None, f"{name}: {pod.name} is told nothing of {reach.model}"
        assert told.serve is not None, f"{name}: {pod.name} is told to serve no {reach.model}"


def what_is_written_can_be_verified(commit: Commit) -> None:
    """(12) Every change of a stage carries the evidence that `fresco verify` asks for."""
    problems = changes.tree(Index(commit.before) if commit.files else None, Index(commit.after))
    assert not problems, problems


def rendered_files_are_those_of_the_tree(commit: Commit) -> dict[str, bytes]:
    """(4) What is written leaves just the files that the tree renders; (6) every commit writes something."""
    changes = commit.changes
    assert changes, "a commit without a change"
    written: dict[str, bytes | None] = {**commit.files, **changes}
    files = {path: content for path, content in written.items() if content is not None}
    assert files == plan.files(commit.after)
    return files


def current_is_never_lost(commit: Commit) -> None:
    """(5) What is current stays, is succeeded by its proven candidate, or is cleaned up: its file was deleted."""
    for name, before in commit.before.deployments.items():
        after = commit.after.deployments.get(name)
        if before.current is None or before.stage is Stage.CLEAN_UP_COMPLETE:
            continue
        assert after is not None, f"{name} vanished in {before.stage}"
        assert after.current is not None, name
        candidate = before.candidate.digest if before.candidate else None
        assert after.current.digest in {before.current.digest, candidate}, name


def one_suspect_at_a_time(commit: Commit) -> None:
    """(7) But for emergencies one Deployment at most newly serves a candidate on a server."""
    loading: dict[str, list[str]] = {}
    for name, status in commit.after.deployments.items():
        progress = status.progress
        if name in commit.urgent or progress is None or progress.work is not Work.ROLLOUT or status.candidate is None:
            continue
        if loads_candidate(progress.step):
            loading.setdefault(status.candidate.server, []).append(name)
    assert all(len(names) == 1 for names in loading.values()), loading


def one_pod_first(commit: Commit) -> None:
    """(7) But for emergencies a slice switches only after one pod of it alone was told to, and has proven it."""
    for name, status in commit.after.deployments.items():
        before = commit.before.deployments.get(name)
        if before is None or before.candidate is None or status.candidate is None or name in commit.urgent:
            continue
        if before.candidate.model_hash != status.candidate.model_hash:
            continue
        before, status = places.there(before), places.there(status)
        for slice_name in _switched_now(before, status):
            pinned = status.progress.slices if status.progress is not None else {}
            if slice_name not in pinned:  # it came later, and follows main
                assert status.slices["main"].serve is Role.CANDIDATE, name
                continue
            alone = pinned[slice_name] == 1
            first = before.slices[slice_name].first_pods
            assert (alone and slice_name == "canary") or len(first) == 1, f"{name}: {slice_name}: {before.slices}"
            proven = [transition.evidence.pods for transition in status.transitions]
            assert not first or set(first) <= {pod for pods in proven for pod in pods}, f"{name}: {first}: {proven}"


def switched_canaries_are_drained(commit: Commit) -> None:
    """(1) A canary slice that was on the route has no requests left when it is told to serve something else."""
    for name, status in commit.after.deployments.items():
        before = commit.before.deployments.get(name)
        if before is None or before.progress is None or status.progress is None or before.progress.step != "drain":
            continue
        if status.progress.work is Work.ROLLOUT and status.progress.step != "drain" and status.current is not None:
            pods = commit.simulator.pods[f"{status.metadata.namespace}/{status.current.server}"]
            busy = [pod.name for pod in pods if pod.slice == "canary" and pod.busy and not pod.silent]
            assert not busy or name in commit.urgent, f"{name}: {busy}"


def places_are_left_without_requests(commit: Commit) -> None:
    """(2) What moves is kept where it was until the last request there is answered."""
    for name, status in commit.after.deployments.items():
        before = commit.before.deployments.get(name)
        if before is None or before.progress is None or status.progress is None or not places.is_moving(status):
            continue
        works = {before.progress.work, status.progress.work}
        if works == {Work.ROLLOUT} and before.progress.step == "route" != status.progress.step:
            pods = commit.simulator.pods[places.home(places.here(status)) or ""]
            busy = [pod.name for pod in pods if pod.busy and not pod.silent]
            assert not busy, f"{name}: {busy}"


def others_are_left_alone(commit: Commit) -> None:
    """(8) Nothing that others do changes what a Deployment without work in hand serves."""
    for name, status in commit.after.deployments.items():
        before = commit.before.deployments.get(name)
        if before is None or before.progress is not None or status.progress is not None or before.current is None:
            continue
        if before.stage is Stage.CLEAN_UP_COMPLETE:  # it is another one
            continue
        assert status.current is not None
        assert status.current.digest == before.current.digest, name
        assert {state.serve for state in status.slices.values()} == {Role.CURRENT}, name


def guarded_resources_stay(commit: Commit) -> None:
    """(9) What a guard keeps is there, and nothing of it is cleaned up or given another spec."""
    wanted = commit.simulator.wanted
    for name, before in commit.before.deployments.items():
        if isinstance(wanted.deployments.get(name), Kept) and before.stage is not Stage.CLEAN_UP_COMPLETE:
            after = commit.after.deployments.get(name)
            assert after is not None, name
            assert after.rollout == before.rollout, name
            assert not _is_cleaned_up(after) or _is_cleaned_up(before), name
    for name in commit.before.servers:
        if isinstance(wanted.servers.get(name), Kept):
            assert name in commit.after.servers, name


def new_templates_are_proven_on_canary(commit: Commit) -> None:
    """(10) Main's pods get a new template only after all of the canary slice's, where there is one, have proven it."""
    for name, after in commit.after.servers.items():
        before = commit.before.servers.get(name)
        if before is None or not _has_candidate(after, "main") or _has_candidate(before, "main"):
            continue
        assert after.progress is not None
        if "canary" in after.progress.slices:
            canary = [pod for pod in commit.simulator.pods[name] if pod.slice == "canary"]
            assert after.candidate is not None
            assert all(pod.image == after.candidate.image for pod in canary)
            content = template_content(commit.after.repository, after, "canary")  # the pods may have it already
            assert _has_candidate(before, "canary") or all(pod.template == content for pod in canary)


def replaced_canaries_get_no_requests(commit: Commit) -> None:
    """(10) While the canary slice's pods are replaced, or before the slice goes, no live route leads to it."""
    for name, before in commit.before.servers.items():
        after = commit.after.servers.get(name)
        if after is None or "canary" not in before.slices:
            continue
        replaced = _has_candidate(after, "canary") and not _has_candidate(before, "canary")
        if replaced or "canary" not in after.slices:
            reached = commit.simulator.reached_before
            assert not [one for one, to in reached.items() if to.server == name and "canary" in to.slices]


def pods_are_replaced_between_rollouts(commit: Commit) -> None:
    """(10) A server's pods begin to be replaced when no rollout on it is in hand, but for emergencies."""
    for name, after in commit.after.servers.items():
        before = commit.before.servers.get(name)
        if before is None or after.progress is None or (before.progress is not None and before.progress.step != "turn"):
            continue
        if after.progress.work is Work.ROLLOUT and after.progress.step != "turn":
            users = {one: on for one, on in commit.before.deployments.items() if name in places.homes(on)}
            seen = any(not pod.silent for pod in commit.simulator.pods.get(name, []))
            begun = [one for one, on in users.items() if seen and one not in commit.urgent and queue.at_work([on])]
            then = [on for one in begun if (on := commit.after.deployments.get(one)) and name in places.homes(on)]
            assert not queue.at_work(then), begun


def few_servers_at_a_time(commit: Commit) -> None:
    """(11) No more servers than the settings allow have their pods replaced."""
    at_work = [one for one in commit.after.servers.values() if one.progress and one.progress.work is Work.ROLLOUT]
    before = [one for one in commit.before.servers.values() if one.progress and one.progress.work is Work.ROLLOUT]
    assert len(at_work) <= max(commit.after.repository.max_servers_at_once, len(before))


# ---- small parts


def _reached(simulator: Simulator) -> Iterator[tuple[str, SimulatedPod, Reach]]:
    """(Deployment, pod, where its route leads) for every ready pod that has seen its config, and that is there."""
    for name, reach in simulator.reached.items():
        for pod in simulator.pods.get(reach.server, []):
            if pod.slice in reach.slices and pod.ready and not pod.silent:
                yield name, pod, reach


def _allowed(status: DeploymentStatus, slice_name: SliceName, reach: Reach, *, urgent: bool) -> set[str]:
    """Digests that requests to a slice may be answered by: the candidate only where it has been told, and none at all
    on a canary slice that is off the route. What moves goes on as it was in the place that it leaves."""
    if places.is_moving(status):
        here = places.here(status)
        if here.current is not None and places.home(here) == reach.server and here.current.name == reach.model:
            return {here.current.digest}
        status = places.there(status)
    told, progress = status.slices.get(slice_name), status.progress
    if slice_name == "canary" and progress is not None and not urgent:
        if progress.step in ("canary first pod", "canary"):
            return set()
        if progress.step.startswith("weight") and status.candidate is not None:
            return {status.candidate.digest}
    moved = progress is not None and slice_name in progress.moved
    tried = told is not None and (told.serve is Role.CANDIDATE or bool(told.first_pods) or moved)
    allowed = {status.current.digest} if status.current is not None else set()
    if status.candidate is not None and tried:
        allowed.add(status.candidate.digest)
    return allowed


def _switched_now(before: DeploymentStatus, after: DeploymentStatus) -> list[SliceName]:
    switched = [name for name, state in after.slices.items() if state.serve is Role.CANDIDATE]
    return [name for name in switched if name in before.slices and before.slices[name].serve is not Role.CANDIDATE]


def _has_candidate(status: ServerStatus, name: SliceName) -> bool:
    state = status.slices.get(name)
    return state is not None and state.template is Role.CANDIDATE


def _is_cleaned_up(status: DeploymentStatus) -> bool:
    return status.progress is not None and status.progress.work is Work.CLEAN_UP


def is_emergency(status: DeploymentStatus) -> bool:
    """Whether the policy of now is that of an emergency."""
    return status.rollout is not None and status.rollout.strategy is Strategy.EMERGENCY
