"""What is wrong with a change of an InferenceServer's status, as far as the change itself tells. Pure.

Checked, whoever wrote it:
- its transitions go on from those before it, of which it keeps ten; its stage and step are those of the last;
- a template becomes current because a file asks for it, or because pods have proven it.

Checked of what this version of Fresco wrote (of another one the rules may be others):
- each transition is one that the rules make in that place (`render.rollout.server`): no row of a plan is skipped, none
  is entered twice, nothing is done about a server that has no work in hand;
- each transition has the digest of the template that it is about; all of one commit have one time;
- a row that is left has its evidence, which is made again of the status before (`render.rollout.server_evidence`): the
  pods, enough of each slice; the template that they were made from, and all that they were told of models; the routes
  that were live; the rollouts that were not waited for;
- work begins because a file asks for it, not while a human holds a rollout on the server; it goes back because somebody
  changed the file, because a pod fails a model, or because a deadline was missed in the time that was watched;
- `current` is succeeded only by what was the candidate, or at once while nothing is served; what failed was the
  candidate, for the cause that it was rolled back for;
- each slice is told what its row says, and is there until it is taken away in order; the work in hand keeps its
  beginning, its slices and its gaps; its times do not fall. Between two works they may: a clock that was set back is no
  forgery.

Not checked, because no commit keeps it: what pods reported word for word, requests that were still answered on a slice,
the objects and pods of the stages Create, Provision and Health Check, and whether somebody asked for another template
where a failed one is forgotten.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from render.rollout.server_plan import STEADY, Told
from render.verify.server_walk import Change, Walk
from render.verify.words import DONE, last_transition
from schemas.status import ServerProgress, ServerStage, ServerStatus, ServerTemplate, Transition, Tree, Work

_KEPT = 10  # transitions that a server keeps


def server(change: Change, *, same_version: bool = True) -> list[str]:
    """What is wrong with the change of a server's status. `same_version`: this version of Fresco wrote both."""
    old, new = change.old, change.new
    before = old.transitions if old is not None else ()
    fresh = _brought(before, new.transitions)
    if fresh is None:
        return ["its transitions are neither those before it and more, nor a new beginning"]
    is_cut = bool(before) and len(fresh) == _KEPT  # what the first of them follows was not kept
    if is_cut or not same_version:
        past = _one_look(fresh) if is_cut and same_version else ()
        return [*past, *last_transition(new, ServerStage.CREATE), *_templates(old, new, fresh)]
    walk = Walk(change)
    problems = [*last_transition(new, ServerStage.CREATE), *walk.take(fresh)]
    return problems if walk.is_lost else [*problems, *_message(old, new, fresh), *_arrived(walk, new)]


def crowd(before: Tree | None, after: Tree) -> Iterator[tuple[str, str]]:
    """The servers whose pods begin to be replaced, though no more of them may be; by key."""
    old, new = (_rolling(one) if one is not None else {} for one in (before, after))
    bound = after.repository.max_servers_at_once
    if len(new) > bound:
        for key in sorted(key for key, began in new.items() if old.get(key) != began):
            yield key, f"its pods begin to be replaced as one of {len(new)} servers, expected {bound} at most"


def _rolling(tree: Tree) -> dict[str, datetime]:
    """When the rollouts of servers began."""
    at_work = {key: one.progress for key, one in tree.servers.items() if one.progress is not None}
    return {key: one.started_at for key, one in at_work.items() if one.work is Work.ROLLOUT}


def _brought(before: Sequence[Transition], after: Sequence[Transition]) -> Sequence[Transition] | None:
    """The last ten are kept, so that the oldest go."""
    for kept in range(min(len(before), len(after)), -1, -1):
        if tuple(after[:kept]) == tuple(before[len(before) - kept :]):
            whole = kept == len(before) or len(after) == _KEPT
            return after[kept:] if whole else None
    return None


def _one_look(fresh: Sequence[Transition]) -> Iterator[str]:
    """So many come in one commit only where nothing had to be waited for between them."""
    if len({one.at for one in fresh}) > 1:
        yield "none of its transitions is one of those before it, and they are not of one time"


def _message(old: ServerStatus | None, new: ServerStatus, fresh: Sequence[Transition]) -> Iterator[str]:
    """While work is in hand its last transition tells how it stands."""
    expected = fresh[-1].message if fresh else old.message if old is not None else new.message
    if new.progress is not None and new.message != expected:
        yield f"its message: expected {expected!r}, got {new.message!r}"


def _templates(old: ServerStatus | None, new: ServerStatus, fresh: Sequence[Transition]) -> Iterator[str]:
    """As much as every version has to keep to."""
    current, candidate = (old.current, old.candidate) if old is not None else (None, None)
    asked = any(one.evidence.source for one in fresh)
    if new.current != current:
        proven = any(one.step == DONE and one.evidence.pods for one in fresh) and new.current == candidate
        if new.current is None:
            yield "its current template is gone"
        elif not (proven or asked):
            yield "it has another template, which no pod has proven and no file asks for"
    if new.candidate is not None and new.candidate != candidate and not asked:
        yield "it has a new candidate, which no file asks for"


# ---- what the status must say where its transitions lead


def _arrived(walk: Walk, new: ServerStatus) -> Iterator[str]:
    yield from _settled(walk, new)
    yield from _in_hand(walk, new.progress)
    told = {name: Told(one.template, one.routed) for name, one in new.slices.items()}
    for name in sorted(walk.told.keys() | told.keys()):
        expected, got = walk.told.get(name, STEADY), told.get(name)
        if got is None:
            yield f"the slice {name} is gone, and was not taken away in order"
        elif got != expected:
            yield f"the slice {name}: expected {_words(expected)}, got {_words(got)}"


def _settled(walk: Walk, new: ServerStatus) -> Iterator[str]:
    if new.current is None and new.transitions:
        yield "its current template is gone"
    elif walk.is_sure and new.current != walk.current:
        yield f"its current template: expected {_template(walk.current)}, got {_template(new.current)}"
    if walk.is_sure and new.candidate != walk.candidate:
        yield f"its candidate: expected {_template(walk.candidate)}, got {_template(new.candidate)}"
    if (new.candidate is not None) is not (walk.work in (Work.ROLLOUT, Work.ROLLBACK)):
        yield f"there is {'a' if new.candidate is not None else 'no'} candidate, and {_work(walk)}"
    if walk.is_sure and new.failed is not None and new.failed != walk.failed:
        yield f"a template failed ({new.failed.reason}: {new.failed.message}), and was not rolled back for that"


def _in_hand(walk: Walk, progress: ServerProgress | None) -> Iterator[str]:
    if progress is None or walk.work is None:
        if (progress is None) is not (walk.work is None):
            yield f"there is {'no' if progress is None else 'still'} work in hand, expected: {_work(walk)}"
        return
    expected = {
        "work": walk.work,
        "step": walk.step,
        "startedAt": walk.started_at,
        "since": walk.since,
        "slices": dict(walk.pinned),
        "cause": walk.cause,
    }
    got = {
        "work": progress.work,
        "step": progress.step,
        "startedAt": progress.started_at,
        "since": progress.since,
        "slices": progress.slices,
        "cause": progress.cause,
    }
    for name, one in expected.items():
        if got[name] != one:
            yield f"progress.{name}: expected {_said(one)}, got {_said(got[name])}"
    if progress.gaps[: len(walk.gaps)] != walk.gaps:
        yield "progress.gaps: one that was there is gone, or another"


# ---- words


def _work(walk: Walk) -> str:
    return f"{walk.work}, {walk.step}" if walk.work is not None else "no work in hand"


def _template(one: ServerTemplate | None) -> str:
    return f"one with the image {one.image}" if one is not None else "none"


def _words(told: Told) -> str:
    return f"the {told.template} template {'on' if told.routed else 'off'} the routes"


def _said(value: object) -> str:
    return ", ".join(f"{name}: {one}" for name, one in value.items()) if isinstance(value, Mapping) else str(value)
