"""What can happen to an InferenceServer, each as a history of the agent's trees: all the paths that the rules know.

Each is a function that drives a simulated cluster on which revision 1 is served, with a canary slice of two pods.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace as replaced

import msgspec

from render.normal import WantedServer
from schemas.report import Reason
from schemas.resources import Strategy
from schemas.status import ServerStage, Stage, Tree
from tests.support.simulator import SCORER, SERVER, Simulator, deployment, model, policy, server, simulate

NEW, NEWER = "triton:24.11", "triton:24.12"
OTHER = "fraud/gpu-b"

Path = Callable[[Simulator], None]


def run_to(simulator: Simulator, step: str, name: str = SERVER) -> None:
    """Runs until the server is in a step of its work."""

    def there() -> bool:
        one = simulator.tree.servers[name].progress
        return one is not None and one.step == step

    simulator.run(until=there)
    assert there(), simulator.tree.servers[name].message


def _ask(simulator: Simulator, one: WantedServer) -> None:
    simulator.want_server(SERVER, one)
    simulator.run()


def _rollout(simulator: Simulator) -> None:
    _ask(simulator, server(main=3, canary=2, image=NEW))


def _in_place(simulator: Simulator) -> None:
    """Without a canary slice, with spare pods and without; and back to a single pod."""
    _ask(simulator, server(main=3))
    _ask(simulator, server(main=3, image=NEW))
    _ask(simulator, server(main=3, image=NEW, update="replace"))
    _ask(simulator, server(main=3, image=NEWER, update="replace"))
    _ask(simulator, server(main=1, image=NEW))


def _broken_image(simulator: Simulator) -> None:
    """A deadline is missed on the canary slice, then on main."""
    simulator.broken.add(NEW)
    _ask(simulator, server(main=3, canary=2, image=NEW))
    _ask(simulator, server(main=3))
    _ask(simulator, server(main=3, image=NEW))


def _model_fails(simulator: Simulator) -> None:
    simulator.breaks[NEW] = {model(1).digest}
    _ask(simulator, server(main=3, canary=2, image=NEW))


def _slow_way_back(simulator: Simulator) -> None:
    """Pods that cannot be replaced in time on the way back."""
    simulator.want_server(SERVER, server(main=3, canary=2, image=NEW))
    run_to(simulator, "canary")
    simulator.want_server(SERVER, server(main=3, canary=2))
    run_to(simulator, "restore")
    for one in simulator.pods[SERVER]:
        one.behind = one.crashed = True
        one.live, one.serving, one.told = False, {}, {}
    simulator.now += 7200
    simulator.step()
    for one in simulator.pods[SERVER]:
        one.behind = False
    simulator.run()


def _canary(simulator: Simulator) -> None:
    """The canary slice is taken away, comes back, and is made smaller and larger."""
    for count in (0, 1, 3, 2):
        _ask(simulator, server(main=3, canary=count))


def _canary_stays(simulator: Simulator) -> None:
    """Somebody removes the canary slice, and thinks better of it while requests are still answered there."""
    for one in simulator.pods[SERVER]:
        one.busy = one.slice == "canary"
    simulator.want_server(SERVER, server(main=3))
    run_to(simulator, "drain")
    _ask(simulator, server(main=3, canary=2))


def _thinks_again(simulator: Simulator) -> None:
    """A newer template or a return, in turn, in each of the steps."""
    here, tried, other = "triton:24.10", NEW, NEWER
    for step in ("drain", "canary first pod", "canary", "route", "main first pod", "main"):
        simulator.want_server(SERVER, server(main=3, canary=2, image=tried))
        run_to(simulator, step)
        _ask(simulator, server(main=3, canary=2, image=here))
        simulator.want_server(SERVER, server(main=3, canary=2, image=tried))
        run_to(simulator, step)
        _ask(simulator, server(main=3, canary=2, image=other))
        here, tried, other = other, here, tried


def _waits(simulator: Simulator) -> None:
    """The rollout of a model is in hand: it waits, is changed, waits again, and is held."""
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0))))
    simulator.run(until=lambda: simulator.status().candidate is not None)
    simulator.want_server(SERVER, server(main=3, canary=2, image=NEW))
    run_to(simulator, "turn")
    simulator.want_server(SERVER, server(main=3, canary=2, image=NEWER))
    simulator.step()
    run_to(simulator, "turn")
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0), paused=True)))
    simulator.run()
    assert simulator.tree.servers[SERVER].progress is None
    simulator.want(SCORER, deployment(model(2), policy((10, 60.0))))
    simulator.run()


def _unseen(simulator: Simulator) -> None:
    """Nothing of the pods can be seen: the rollout in hand is not waited for."""
    simulator.want(SCORER, deployment(model(2), policy()))
    simulator.run(until=lambda: simulator.status().candidate is not None)
    for one in simulator.pods[SERVER]:
        one.silent = True
    _ask(simulator, server(main=3, canary=2, image=NEW))


def _emergency(simulator: Simulator) -> None:
    """An emergency does not wait for a server whose pods are being replaced."""
    simulator.want_server(SERVER, server(main=3, canary=2, image=NEW))
    run_to(simulator, "canary")
    simulator.want(SCORER, deployment(model(2), policy(strategy=Strategy.EMERGENCY)))
    simulator.run()
    simulator.faults[model(3).digest] = Reason.LOAD_FAILED
    simulator.want(SCORER, deployment(model(3), policy(strategy=Strategy.EMERGENCY)))
    _rollout(simulator)


def _deletion(simulator: Simulator) -> None:
    """The file goes while pods are replaced, comes back, and goes for good."""
    simulator.want_server(SERVER, server(main=3, canary=2, image=NEW))
    run_to(simulator, "canary")
    simulator.want_server(SERVER, None)
    simulator.run()
    assert simulator.tree.servers[SERVER].stage is ServerStage.DELETE
    _ask(simulator, server(main=3, canary=2, image=NEWER))
    simulator.want_server(SERVER, None)
    simulator.want(SCORER, None)
    simulator.run()
    assert SERVER not in simulator.tree.servers


def _at_once(simulator: Simulator) -> None:
    """What needs no new pods while no route leads there: a rollout, and the end of the canary slice, in one commit."""
    for size in (1, 3):
        _ask(simulator, server(main=size, canary=1))
        simulator.want(SCORER, None)
        for one in simulator.pods[SERVER]:
            one.behind = True
        simulator.run()
        assert simulator.status().stage is Stage.CLEAN_UP_IN_PROGRESS
        simulator.want_server(SERVER, server(main=size, update="replace"))
        simulator.step()
        assert set(simulator.tree.servers[SERVER].slices) == {"main"}
        for one in simulator.pods[SERVER]:
            one.behind = False
        simulator.run()
        simulator.want(SCORER, deployment(model(1), policy()))
        simulator.run()


def _nothing_served(simulator: Simulator) -> None:
    """Another server, on which nothing is served: its pods are replaced at once, and not before they are live."""
    simulator.broken.add("triton:24.10")
    simulator.want_server(OTHER, server(main=2, canary=1))
    simulator.run()
    simulator.want_server(OTHER, server(main=2, canary=1, image=NEW))
    simulator.run()
    assert simulator.tree.servers[OTHER].stage is ServerStage.SERVE
    simulator.want_server(OTHER, None)
    simulator.run()


def _move(simulator: Simulator) -> None:
    """What is served moves from a server whose pods are replaced to one whose pods are, too."""
    simulator.want_server(OTHER, server(main=2, canary=1))
    simulator.run()
    simulator.want(SCORER, deployment(model(1, on="gpu-b"), policy(bake=60.0)))
    simulator.run(until=lambda: simulator.status().candidate is not None)
    for name, size in ((SERVER, 3), (OTHER, 2)):
        simulator.want_server(name, server(main=size, canary=2, image=NEW))
    simulator.run()


def _crash(simulator: Simulator) -> None:
    """Every server dies, and comes back after a while."""
    simulator.broken.add("triton:24.10")
    for one in simulator.pods[SERVER]:
        simulator.crash(one)
    simulator.run()
    assert simulator.tree.servers[SERVER].stage is ServerStage.HEALTH_CHECK
    simulator.broken.clear()
    for one in simulator.pods[SERVER]:
        one.crashed = True
    simulator.run()


def upgrade(simulator: Simulator) -> None:
    """The second version of the pod template comes. There has to be one."""
    newer = server(main=3, canary=2)
    _ask(simulator, replaced(newer, template=msgspec.structs.replace(newer.template, template_version=2)))


PATHS: Mapping[str, Path] = {
    "a new image": _rollout,
    "without a canary slice": _in_place,
    "a broken image": _broken_image,
    "a model that new pods cannot load": _model_fails,
    "a way back that takes long": _slow_way_back,
    "a canary slice that comes and goes": _canary,
    "a canary slice that stays": _canary_stays,
    "somebody who thinks again": _thinks_again,
    "a rollout that is waited for": _waits,
    "pods that cannot be seen": _unseen,
    "an emergency": _emergency,
    "a deletion": _deletion,
    "two works in one commit": _at_once,
    "a server on which nothing is served": _nothing_served,
    "a move between servers": _move,
    "servers that die": _crash,
}


def trees(path: Path) -> list[Tree]:
    """The tree of each commit, as it is read from a branch."""
    simulator = simulate(main=3, canary=2)
    made: list[Tree] = []

    def take() -> None:
        made.append(simulator.tree)
        simulator.now += 1.0

    simulator.after_commit = take
    drive(simulator, path)
    return [msgspec.convert(msgspec.to_builtins(tree), Tree) for tree in made]


def drive(simulator: Simulator, path: Path) -> None:
    """Revision 1 is served; then what the path is about."""
    simulator.want(SCORER, deployment(model(1), policy()))
    simulator.run()
    path(simulator)
