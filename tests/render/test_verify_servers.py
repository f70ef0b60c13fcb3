"""What is checked of a server's changes: every path of the rules passes, and whatever is changed in one is named."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace as replaced
from datetime import timedelta
from itertools import pairwise
from pathlib import Path as FilePath

import msgspec
import pytest

from agent.status.writeback import Account, describe
from render import plan
from render.cli import main
from render.objects import pod
from render.verify import server_changes
from render.verify.server_walk import Change
from schemas.status import (
    Cause,
    Evidence,
    FailedTemplate,
    Role,
    ServerProgress,
    ServerStage,
    ServerStatus,
    ServerTemplate,
    Transition,
    Tree,
    Work,
)
from tests.support.branch import SimulatedBranch
from tests.support.server_histories import PATHS, Path, drive, trees, upgrade
from tests.support.simulator import SERVER, server, simulate

replace = msgspec.structs.replace

FORGED = replace(server().template, image="forged:1")
UNTOLD = ("two works in one commit", "somebody who thinks again")  # not all is known of one, the other repeats itself
TAMPERED = [name for name in PATHS if name not in UNTOLD]

Forgery = Iterator[tuple[str, ServerStatus]]


@pytest.fixture
def second_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Fresco that knows a second version of the pod template."""
    spec = pod.SPECS[1]
    monkeypatch.setattr(pod, "SPECS", {1: spec, 2: lambda part: {**spec(part), "terminationGracePeriodSeconds": 90}})


# ---- true histories


@pytest.mark.parametrize("path", PATHS)
def test_what_the_rules_have_done_passes(path: str, tmp_path: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(written(tmp_path, PATHS[path])) == 0, capsys.readouterr().out


@pytest.mark.usefixtures("second_template")
def test_a_new_version_of_the_pod_template_passes(tmp_path: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    branch = written(tmp_path, upgrade)
    assert branch.written is not None
    status = branch.written.servers[SERVER]
    assert status.current is not None
    assert (status.current.template_version, status.progress) == (2, None)
    assert verify(branch) == 0, capsys.readouterr().out


def written(path: FilePath, what: Path) -> SimulatedBranch:
    """A branch on which it has happened."""
    simulator = simulate(main=3, canary=2)
    branch = SimulatedBranch(path, simulator)
    drive(simulator, what)
    return branch


def verify(branch: SimulatedBranch) -> int:
    """Runs the command in the branch's repository."""
    return main(["verify", "-C", str(branch.path)])


def test_every_kind_of_evidence_is_in_one_of_the_histories() -> None:
    kept = [one.evidence for path in PATHS.values() for status in statuses(path) for one in status.transitions]
    for field in ("pods", "source", "route", "templates", "models", "passed_over"):
        assert any(getattr(one, field) for one in kept), field


def statuses(path: Path) -> list[ServerStatus]:
    """The server's status, commit by commit, as long as there is one."""
    return [tree.servers[SERVER] for tree in trees(path) if SERVER in tree.servers]


# ---- what somebody has changed in them


def accused(before: Tree, after: Tree, forged: ServerStatus) -> list[str]:
    """What is wrong with a commit whose status was exchanged."""
    old, new = plan.index(before).fleet(SERVER), plan.index(after).fleet(SERVER)
    users = (one.deployments if one is not None else () for one in (old, new))
    return server_changes.server(Change(before.servers.get(SERVER), forged, after.repository, *users))


def forgeries(path: str, forge: Callable[[ServerStatus, ServerStatus], Forgery]) -> Iterator[tuple[str, list[str]]]:
    """Each forgery of each commit of a path in words, and what is said of it."""
    for before, after in pairwise(trees(PATHS[path])):
        old, new = before.servers.get(SERVER), after.servers.get(SERVER)
        if old is None or new is None or old == new:
            continue
        for what, forged in forge(old, new):
            yield f"{_words(old, new)}: {what}", accused(before, after, forged)


def _words(old: ServerStatus, new: ServerStatus) -> str:
    return f"{old.message} -> {', '.join(one.step for one in fresh(old, new))}"


def fresh(old: ServerStatus, new: ServerStatus) -> list[Transition]:
    """The transitions that are new."""
    return [one for one in new.transitions if one not in old.transitions]


OTHERS: Mapping[str, object] = {
    "digest": f"sha256:{1:064x}",
    "pods": ("gpu-b-main-1",),
    "route": "0123456789abcdef",
    "source": "somewhere",
    "templates": {"main": "0123456789abcdef"},
    "models": {"main": "0123456789abcdef"},
    "passed_over": ("nobody",),
}


def _other_evidence(old: ServerStatus, new: ServerStatus) -> Forgery:
    """Each field of what was seen is taken away, or says something else."""
    nothing = Evidence()
    for one in fresh(old, new):
        for field in Evidence.__struct_fields__:
            for value in (getattr(nothing, field), OTHERS[field]):
                if value != getattr(one.evidence, field):
                    other = replace(one, evidence=replace(one.evidence, **{field: value}))
                    yield f"{one.step}: {field} is {value}", _with(new, one, other)


def _with(status: ServerStatus, one: Transition, *others: Transition) -> ServerStatus:
    """The status with others instead of one of its transitions."""
    index = status.transitions.index(one)
    made = (*status.transitions[:index], *others, *status.transitions[index + 1 :])
    return replace(status, transitions=made[-10:])


UNPROVEN = (ServerStage.CREATE, ServerStage.PROVISION, ServerStage.HEALTH_CHECK, ServerStage.DELETE)


def _is_unproven(one: Transition, stage: ServerStage) -> bool:
    """Of these stages no commit keeps what was seen: one may pass for another, where nothing else is at stake."""
    return one.step == one.stage and one.evidence.source is None and {one.stage, stage} <= set(UNPROVEN)


def _is_by_the_way(new: ServerStatus, one: Transition) -> bool:
    """A look at an idle server on the way to something else."""
    return one is not new.transitions[-1] and one.step == one.stage


def _other_transitions(old: ServerStatus, new: ServerStatus) -> Forgery:
    """One is skipped, is there twice, is another one, or says something else."""
    for one in fresh(old, new):
        if not _is_by_the_way(new, one):
            yield f"{one.step} is left out", _with(new, one)
        yield f"{one.step} twice", _with(new, one, one, one)
        for step in ("turn", "drain", "canary first pod", "canary", "main first pod", "main", "route", "restore"):
            if step != one.step:
                yield f"{one.step} is {step}", _stepped(new, one, ServerStage.PROVISION, step)
        for stage in ServerStage:
            if (stage, stage) != (one.stage, one.step) and not _is_unproven(one, stage):
                yield f"{one.step} is {stage}", _stepped(new, one, stage, stage)
            if (stage, "done") != (one.stage, one.step):
                yield f"{one.step} is the end in {stage}", _stepped(new, one, stage, "done")
        if one.step not in (one.stage, "done"):
            yield f"{one.step} says something else", _with(new, one, replace(one, message="as it should be"))


def _stepped(status: ServerStatus, one: Transition, stage: ServerStage, step: str) -> ServerStatus:
    """With another stage and step in one transition, and all else as that has it."""
    made = _with(status, one, replace(one, stage=stage, step=step))
    if one is not status.transitions[-1]:
        return made
    progress = status.progress
    return replace(made, stage=stage, progress=replace(progress, step=step) if progress is not None else None)


def _other_past(old: ServerStatus, new: ServerStatus) -> Forgery:
    """What the commit before has of its past says something else, or is gone."""
    kept = len(new.transitions) - len(fresh(old, new))
    for index in {0, kept - 1} if kept else ():
        past = list(new.transitions)
        past[index] = replace(past[index], message="made up")
        yield f"transition {index}", replace(new, transitions=tuple(past))


def _other_times(old: ServerStatus, new: ServerStatus) -> Forgery:
    """A step is dated before the one before it, or since another time."""
    for one in fresh(old, new):
        if old.progress is not None:
            yield f"{one.step} earlier", _with(new, one, replace(one, at=one.at - timedelta(days=1)))
    if new.progress is not None:
        for field in ("since", "started_at"):
            other = getattr(new.progress, field) - timedelta(seconds=1)
            yield f"{field} {other}", replace(new, progress=replace(new.progress, **{field: other}))


def _other_templates(old: ServerStatus, new: ServerStatus) -> Forgery:
    for field in ("current", "candidate"):
        for value in (FORGED, None, old.current, old.candidate, new.candidate, new.current):
            if value != getattr(new, field):
                yield f"{field} is {_image(value)}", replace(new, **{field: value})
    if new.candidate is not None:
        yield "swapped", replace(new, current=new.candidate, candidate=new.current)
    last = new.transitions[-1]
    for template in (FORGED, new.current):
        if template is not None:
            failed = FailedTemplate(template=template, reason="LoadFailed", message="x", at=last.at)
            yield f"failed {_image(template)}", replace(new, failed=failed)
    if new.failed is not None and new.failed != old.failed:
        yield "failed for another reason", replace(new, failed=replace(new.failed, reason="LoadFailed", message="x"))
        yield "failed at another time", replace(new, failed=replace(new.failed, at=last.at - timedelta(days=1)))


def _image(template: ServerTemplate | None) -> str:
    return template.image if template is not None else "none"


def _other_slices(old: ServerStatus, new: ServerStatus) -> Forgery:
    for name, one in new.slices.items():
        other = Role.CANDIDATE if one.template is Role.CURRENT else Role.CURRENT
        yield f"{name} has the {other}", replace(new, slices={**new.slices, name: replace(one, template=other)})
        turned = replace(one, routed=not one.routed)
        yield f"{name} is on the routes or not", replace(new, slices={**new.slices, name: turned})
        if name in old.slices:
            yield (
                f"{name} is gone",
                replace(new, slices={key: value for key, value in new.slices.items() if key != name}),
            )


def _other_work(old: ServerStatus, new: ServerStatus) -> Forgery:
    progress, last = new.progress, new.transitions[-1]
    if progress is None:
        for work in Work:
            made = ServerProgress(work=work, step=last.step, started_at=last.at, since=last.at, slices={"main": 3})
            yield f"there is {work}", replace(new, progress=made)
        return
    yield "nothing in hand", replace(new, progress=None)
    for work in Work:
        if work is not progress.work:
            yield f"it is {work}", replace(new, progress=replace(progress, work=work))
    for slices in ({}, {"main": 99}, {**progress.slices, "canary": 9}):
        yield f"its slices are {slices}", replace(new, progress=replace(progress, slices=slices))
    cause = Cause(kind="failed", reason="LoadFailed", message="gpu-a-main-1: scorer: no")
    yield "for another cause", replace(new, progress=replace(progress, cause=cause))
    if progress.cause is not None:
        yield "for no cause", replace(new, progress=replace(progress, cause=None))


FORGERS: Mapping[str, Callable[[ServerStatus, ServerStatus], Forgery]] = {
    "evidence": _other_evidence,
    "transitions": _other_transitions,
    "past": _other_past,
    "times": _other_times,
    "templates": _other_templates,
    "slices": _other_slices,
    "work in hand": _other_work,
}


@pytest.mark.parametrize("forger", FORGERS)
@pytest.mark.parametrize("path", TAMPERED)
def test_whatever_is_changed_in_a_commit_is_named(path: str, forger: str) -> None:
    found = list(forgeries(path, FORGERS[forger]))
    assert [what for what, said in found if not said] == []


# ---- what is said of it


def at_step(path: str, step: str) -> tuple[Tree, Tree]:
    """The tree of the first commit of a path in which the server's work is at a step, and the one before it."""
    for before, after in pairwise(trees(PATHS[path])):
        progress = after.servers[SERVER].progress
        if progress is not None and progress.step == step:
            return before, after
    raise AssertionError(f"{path} has no {step}")


def onward(tree: Tree, step: str, message: str = "", **evidence: object) -> ServerStatus:
    """The status with a transition more, a second later, that somebody has made up."""
    status = tree.servers[SERVER]
    last = status.transitions[-1]
    seen = Evidence(digest=last.evidence.digest, **evidence)  # type: ignore[arg-type]
    stage = ServerStage.PROVISION
    one = Transition(at=last.at + timedelta(seconds=1), stage=stage, step=step, message=message, evidence=seen)
    return replace(status, stage=stage, message=message, transitions=(*status.transitions, one)[-10:])


def said(tree: Tree, forged: ServerStatus) -> str:
    """What is said of a commit that follows on `tree`, in which nothing else has changed."""
    return "\n".join(accused(tree, tree, forged))


def test_a_turn_that_did_not_come_is_named() -> None:
    _, tree = at_step("a rollout that is waited for", "turn")
    assert "'turn' was left, though scorer is being rolled out on it" in said(tree, onward(tree, "drain"))
    forged = onward(tree, "drain", passed_over=("scorer", "ranker"))
    assert "ranker was passed over, and was not being rolled out on it" in said(tree, forged)


def test_a_beginning_while_a_human_holds_a_rollout_is_named() -> None:
    held = next(
        tree
        for tree in trees(PATHS["a rollout that is waited for"])
        if "waits for a paused rollout on it" in tree.servers[SERVER].message
    )
    forged = onward(held, "turn", source="servers/gpu-a.yaml:1")
    assert "it begins, though a human holds the rollout of scorer on it" in said(held, forged)


def test_work_that_was_put_down_for_nothing_is_named() -> None:
    _, tree = at_step("a rollout that is waited for", "turn")
    expected = "work was put down, though no file asks for it and no human holds a rollout on it"
    assert expected in said(tree, onward(tree, "done"))


def test_a_deadline_that_was_not_missed_is_named() -> None:
    _, tree = at_step("a new image", "canary first pod")
    cause = "DeadlineMissed: canary first pod: not done in 600 s: waits"
    forged = onward(tree, "drain", f"taking the canary slice off every route ({cause})")
    assert "'canary first pod' was watched for 1 s, its deadline is 600 s" in said(tree, forged)
    other = onward(tree, "drain", "taking the canary slice off every route (DeadlineMissed: main: not done)")
    assert "expected a missed deadline of 'canary first pod', got 'main: not done'" in said(tree, other)


def test_a_failure_of_a_pod_that_was_not_replaced_is_named() -> None:
    _, tree = at_step("a new image", "canary first pod")
    forged = onward(tree, "drain", "taking the canary slice off every route (LoadFailed: gpu-a-main-1: scorer: no)")
    assert "expected a pod of canary that failed, got 'gpu-a-main-1: scorer: no'" in said(tree, forged)


def test_a_rollback_without_a_cause_or_a_file_that_asks_for_it_is_named() -> None:
    _, tree = at_step("a new image", "canary first pod")
    forged = onward(tree, "drain", "taking the canary slice off every route")
    assert "expected the cause of the rollback in its message" in said(tree, forged)
    forged = onward(tree, "drain", "taking the canary slice off every route (Withdrawn: changed)")
    assert "drain: expected the file and line that it was asked for in, got None" in said(tree, forged)


def test_too_few_pods_are_named() -> None:
    _, tree = at_step("a new image", "canary")
    forged = onward(tree, "route", pods=("gpu-a-canary-2",))
    expected = "expected at least 2 pods of canary that prove 'canary', got gpu-a-canary-2"
    assert f"Provision, route: {expected}" in said(tree, forged)


def test_pods_of_another_template_and_a_route_that_still_leads_there_are_named() -> None:
    before, after = at_step("a new image", "canary first pod")
    last = after.servers[SERVER].transitions[-1]
    seen = replace(last.evidence, route="0123456789abcdef")
    found = "\n".join(accused(before, after, _with(after.servers[SERVER], last, replace(last, evidence=seen))))
    assert "canary first pod: expected the live routes " in found
    before, after = at_step("a new image", "canary")
    last = after.servers[SERVER].transitions[-1]
    seen = replace(last.evidence, templates={"canary": "0123456789abcdef"}, models={})
    found = "\n".join(accused(before, after, _with(after.servers[SERVER], last, replace(last, evidence=seen))))
    assert "canary: expected the pod templates canary: " in found
    assert ", got canary: 0123456789abcdef" in found
    assert "canary: expected the models told canary: " in found


def test_a_template_that_is_replaced_at_once_under_what_is_served_is_named() -> None:
    tree = trees(PATHS["servers that die"])[-1]
    forged = onward(tree, "Provision", source="servers/gpu-a.yaml:1")
    expected = "its template was replaced at once, though scorer is served on it"
    assert expected in said(tree, replace(forged, current=FORGED))


def test_a_past_that_is_exchanged_as_a_whole_is_named() -> None:
    """A server keeps ten transitions: where all of them are others, none is held against the one before it."""
    tree = next(one for path in PATHS.values() for one in trees(path) if is_full(one))
    status = tree.servers[SERVER]
    made_up = tuple(replace(one, message="made up") for one in status.transitions)
    expected = "none of its transitions is one of those before it, and they are not of one time"
    assert expected in said(tree, replace(status, transitions=made_up))


def is_full(tree: Tree) -> bool:
    """Whether the server has as many transitions as it keeps."""
    return SERVER in tree.servers and len(tree.servers[SERVER].transitions) == 10


def test_a_commit_by_another_version_is_not_held_to_the_plans_of_this_one() -> None:
    _, tree = at_step("a new image", "canary")
    old, forged = tree.servers[SERVER], onward(tree, "somewhere")
    assert old.progress is not None
    forged = replace(forged, progress=replace(old.progress, step="somewhere"))
    change = Change(old, forged, tree.repository, (), ())
    assert server_changes.server(change, same_version=False) == []
    assert server_changes.server(change) == ["Provision, somewhere cannot follow Rollout, canary"]
    gone = replace(forged, current=None)
    assert server_changes.server(replaced(change, new=gone), same_version=False) == ["its current template is gone"]


def test_a_forged_server_is_named_with_its_commit(tmp_path: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    branch = written(tmp_path, PATHS["a new image"])
    tree = branch.written
    assert tree is not None
    status = replace(tree.servers[SERVER], current=FORGED)
    account = Account(reasons=("x",), because="test", source=None, version=branch.version, at=0)
    message = describe(account, branch.epoch)
    commit = branch.put(replace(tree, servers={**tree.servers, SERVER: status}), message)
    assert verify(branch) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(commit[:12])
    assert said[1] == (
        f"  InferenceServer {SERVER}: its current template: "
        "expected one with the image triton:24.11, got one with the image forged:1"
    )


@pytest.mark.parametrize("path", ["a new image", "a broken image"])
def test_a_forged_commit_keeps_nobody_from_looking_at_the_next(path: str) -> None:
    looked_at = 0
    for before, after, following in zip(*(trees(PATHS[path])[index:] for index in range(3)), strict=False):
        old, new = before.servers[SERVER], after.servers[SERVER]
        for _, forged in (one for forge in FORGERS.values() for one in forge(old, new)):
            tree = replace(after, servers={**after.servers, SERVER: forged})
            accused(tree, following, following.servers[SERVER])
            looked_at += 1
    assert looked_at > 100
