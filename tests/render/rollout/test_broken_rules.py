"""The check of the check: rules that are broken on purpose, one line each, must all be caught by the machine.

Every one of them is a mistake that somebody could make. If the machine lets one pass, it proves less than it says.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import rule, run_state_machine_as_test

from render import plan as rendered
from render import rollout
from render.normal import Kept
from render.places import is_moving
from render.rollout import judge, plan, queue, server, server_judge, server_plan, stage
from render.rollout.judge import Held
from render.rollout.plan import Until
from render.rollout.server_plan import Until as ServerUntil
from tests.render.rollout.test_machine import Humans, looks, names, numbers
from tests.support.simulator import policy

Break = Callable[[pytest.MonkeyPatch], None]
SEEDS = (1, 2, 3)
PLACES = [(server, ending) for server in ("gpu-a", "gpu-b") for ending in ("", "-too")]
EXAMPLES, STEPS = 60, 80  # for each of them, at most


def _yes(*_: object) -> Held:
    return Held(ok=True)


def _believes(checks: Mapping[Any, object], until: object) -> Break:
    """The condition is taken for true without a look."""
    return lambda patch: patch.setitem(checks, until, _yes)


def _instead(owner: object, name: str, value: object) -> Break:
    """Something else is done instead."""
    return lambda patch: patch.setattr(owner, name, value)


def _around(owner: object, name: str, change: Callable[..., object]) -> Break:
    """The result is changed: `change(result, *arguments)`."""
    original = getattr(owner, name)
    return lambda patch: patch.setattr(owner, name, lambda *args, **kwargs: change(original(*args, **kwargs), *args))


def _keeps_nothing(patch: pytest.MonkeyPatch) -> None:
    original = stage.advance
    patch.setattr(stage, "advance", lambda wanted, *rest: original(None if isinstance(wanted, Kept) else wanted, *rest))


BROKEN: dict[str, Break] = {
    "the first pod is not waited for": _believes(judge._CHECKS, Until.FIRST_PROVEN),
    "the proof of all is not waited for": _believes(judge._CHECKS, Until.PROVEN),
    "the end of a route is not waited for": _believes(judge._CHECKS, Until.UNROUTED),
    "the last requests are not waited for": _believes(judge._CHECKS, Until.DRAINED),
    "old observations count": _instead(
        judge, "report", lambda pod, about: pod.report and pod.report.models.get(about.model)
    ),
    "all pods go first": _instead(
        judge, "first_pod", lambda status, scene, name: tuple(pod.name for pod in scene.pods(name))
    ),
    "nobody has the turn": _instead(queue, "turn", lambda deployments: None),
    "deadlines never pass": _instead(stage, "elapsed", lambda *_: 0.0),
    "the model goes with its route": _around(
        plan, "_take_down", lambda rows, *_: (replace(rows[0], slices={}), rows[1])
    ),
    "what is broken is deleted": _keeps_nothing,
    "later slices are told nothing": _instead(stage, "_with_later", lambda told, pinned, scene: told),
    "a rollback forgets what is current": _around(
        stage, "_rolled_back", lambda done, *_: stage.replace(done, current=None, slices={}, route=None)
    ),
    "a rollout completes without its candidate": _around(
        stage, "_complete", lambda done, status, *_: stage.replace(done, current=status.current or done.current)
    ),
    "canaries are replaced on the route": _instead(
        sys.modules["render.objects.route"], "_allowed", lambda fleet, state: state
    ),
    "new canaries are not waited for": _believes(server_judge._CHECKS, ServerUntil.REPLACED),
    "a canary slice goes at once": _believes(server_judge._CHECKS, ServerUntil.DRAINED),
    "all servers at a time": _instead(rollout, "_rolling", lambda servers: set()),
    "main gets the new template first": _around(server_plan, "_rollout", lambda rows, *_: rows[:1] + rows[-2:]),
    "servers do not wait for rollouts": _believes(server_judge._CHECKS, ServerUntil.FREE),
    "a server's deadline never passes": _instead(server, "elapsed", lambda *_: 0.0),
    "routes are not rendered anew": _instead(rendered, "_route_input", lambda *_: None),
    "configs are not rendered anew": _around(rendered, "_server_input", lambda made, *_: made and made[0]),
}

OF_MOVES: dict[str, Break] = {
    "the gateway is not waited for": _believes(judge._CHECKS, Until.ROUTED),
    "the last requests here are not waited for": _believes(judge._CHECKS, Until.LEFT),
    "a move unloads here as it turns the route": _around(
        plan, "_route", lambda row, status, *_: replace(row, here={}) if is_moving(status) else row
    ),
    "a move turns the route before it serves there": _around(
        plan, "_stage", lambda row, status, *_: replace(row, route=plan.THERE) if is_moving(status) else row
    ),
    "a move back unloads before it turns the route": _around(plan, "_stay", lambda rows, *_: rows[1:]),
}


class Movers(Humans):
    """Humans who do little else than to move Deployments and to think better of it."""

    spoil = break_image = commit_server = delete_server = misbehave = hurt = change_policy = None  # type: ignore[assignment]

    @rule(name=names, number=numbers, to=st.sampled_from(PLACES), then=looks)
    def move(self, name: str, number: int, to: tuple[str, str], then: int) -> None:
        """To one of all places, with a bake time to think in."""
        self.commit(name, number, policy(bake=600.0), 0, to, then)


@pytest.mark.parametrize("name", [*BROKEN, *OF_MOVES])
def test_a_broken_rule_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (BROKEN | OF_MOVES)[name](monkeypatch)
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    with pytest.raises((AssertionError, KeyError)):
        _run(how, Movers if name in OF_MOVES else Humans)


def _run(how: settings, machine: type[Humans]) -> None:
    for number in SEEDS:
        run_state_machine_as_test(seed(number)(type("Seeded", (machine,), {})), settings=how)
