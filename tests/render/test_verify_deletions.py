"""What goes: deletions by the rules pass, and what was to stay is named where it does not."""

from collections.abc import Callable, Mapping
from dataclasses import replace as replaced
from pathlib import Path

import msgspec
import pytest

from agent.status.writeback import Account, describe
from render.cli import main
from render.normal import Kept
from render.rollout import stage
from schemas.status import (
    Cause,
    DeploymentStatus,
    Finding,
    RepositoryStatus,
    Role,
    ServerProgress,
    SliceState,
    Stage,
    Tree,
    Work,
)
from tests.support.branch import SimulatedBranch
from tests.support.simulator import SCORER, SERVER, Simulator, deployment, model, policy, server, simulate

replace = msgspec.structs.replace

HELD = Finding(file="fresco.yaml", line=1, column=1, rule="FR001", message="held")
OTHER = "fraud/gpu-b"
NEW = "triton:24.11"

Output = pytest.CaptureFixture[str]
Forge = Callable[[Tree], Tree]


@pytest.fixture
def simulator() -> Simulator:
    """Two servers, on one of which a revision is served."""
    simulator = simulate(main=2, canary=1)
    simulator.want_server(OTHER, server(main=2))
    simulator.want(SCORER, deployment(model(1), policy()))
    return simulator


@pytest.fixture
def branch(simulator: Simulator, tmp_path: Path) -> SimulatedBranch:
    """What became of it."""
    branch = SimulatedBranch(tmp_path / "repository", simulator)
    simulator.run()
    return branch


def verify(branch: SimulatedBranch) -> int:
    """Runs the command in the branch's repository."""
    return main(["verify", "-C", str(branch.path)])


def put(branch: SimulatedBranch, simulator: Simulator, tree: Tree) -> str:
    """A commit of a tree that somebody has made up; the agent goes on from it."""
    account = Account(reasons=("x",), because="test", source=None, version=branch.version, at=0)
    simulator.tree = tree
    return branch.put(tree, describe(account, branch.epoch))


def settings(simulator: Simulator, **changed: object) -> RepositoryStatus:
    """The settings with something else in them, which humans want from now on."""
    repository: RepositoryStatus = replace(simulator.wanted.repository, **changed)
    simulator.wanted = replaced(simulator.wanted, repository=repository)
    return repository


def without(tree: Tree, *keys: str) -> Tree:
    """The tree without these resources."""
    return replace(
        tree,
        servers={key: one for key, one in tree.servers.items() if key not in keys},
        deployments={key: one for key, one in tree.deployments.items() if key not in keys},
    )


# ---- true histories


def test_deletions_that_are_held_and_then_allowed_pass(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output
) -> None:
    settings(simulator, held_deletions=(f"Deployment {SCORER}", f"InferenceServer {OTHER}"))
    simulator.want(SCORER, Kept((HELD,)))
    simulator.want_server(OTHER, Kept((HELD,)))
    simulator.run()
    assert simulator.status().stage is Stage.ROLLOUT_COMPLETE
    settings(simulator, held_deletions=(f"Deployment {SCORER}",))
    simulator.want_server(OTHER, None)
    simulator.run()
    assert OTHER not in simulator.tree.servers
    settings(simulator, held_deletions=())
    simulator.want(SCORER, None)
    simulator.want_server(SERVER, None)
    simulator.run()
    assert simulator.tree.servers.keys() | simulator.tree.deployments.keys() == set()
    assert verify(branch) == 0, capsys.readouterr().out


def test_a_clean_up_goes_on_while_fresco_yaml_is_broken(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output
) -> None:
    simulator.want(SCORER, None)
    simulator.want_server(SERVER, None)
    simulator.run(until=lambda: simulator.status().stage is Stage.CLEAN_UP_IN_PROGRESS)
    settings(simulator, frozen=True)
    for name in (SERVER, OTHER):
        simulator.want_server(name, Kept(()))
    simulator.want(SCORER, Kept(()))
    simulator.run()
    assert simulator.tree.servers.keys() == {SERVER, OTHER}
    assert simulator.status().current is None, "its clean-up was over, and its file is not known to be gone"
    assert verify(branch) == 0, capsys.readouterr().out


def test_a_server_goes_with_the_last_that_was_on_it(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output
) -> None:
    simulator.want_server(SERVER, server(main=2, canary=1, image=NEW))
    simulator.run(until=lambda: simulator.tree.servers[SERVER].progress is not None)
    simulator.want_server(SERVER, None)
    simulator.want(SCORER, None)
    simulator.run()
    assert SERVER not in simulator.tree.servers
    assert verify(branch) == 0, capsys.readouterr().out


# ---- what is named


def _frozen(tree: Tree) -> Tree:
    return replace(tree, repository=replace(tree.repository, frozen=True))


def _held(tree: Tree, *names: str) -> Tree:
    return replace(tree, repository=replace(tree.repository, held_deletions=names))


def _of_scorer(tree: Tree, **changed: object) -> Tree:
    status: DeploymentStatus = replace(tree.deployments[SCORER], **changed)
    return replace(tree, deployments={**tree.deployments, SCORER: status})


WAITS = "it is deleted though its deletion waits for a permission"
FORGERIES: Mapping[str, tuple[Forge, str]] = {
    "a server that something is on": (
        lambda tree: without(tree, SERVER),
        f"InferenceServer {SERVER}: its status is gone, though Deployment {SCORER} is on it",
    ),
    "a Deployment without its clean-up": (
        lambda tree: without(tree, SCORER),
        f"Deployment {SCORER}: its status is gone in Rollout Complete: expected Clean Up Complete before",
    ),
    "a server that was to wait": (
        lambda tree: _held(without(tree, OTHER), f"InferenceServer {OTHER}"),
        f"InferenceServer {OTHER}: {WAITS}",
    ),
    "a Deployment that was to wait": (
        lambda tree: _held(without(tree, SCORER), f"Deployment {SCORER}"),
        f"Deployment {SCORER}: {WAITS}",
    ),
    "a server while fresco.yaml is broken": (
        lambda tree: _frozen(without(tree, OTHER)),
        f"InferenceServer {OTHER}: it is deleted while fresco.yaml is missing or broken",
    ),
    "a Deployment that is cleaned up at once": (
        lambda tree: _of_scorer(tree, stage=Stage.CLEAN_UP_COMPLETE, slices={}, route=None),
        f"Deployment {SCORER}: it is in Clean Up Complete, its last transition is to Rollout Complete",
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_what_somebody_has_deleted_is_named(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output, what: str
) -> None:
    forge, expected = FORGERIES[what]
    commit = put(branch, simulator, forge(simulator.tree))
    assert verify(branch) == 1
    said = capsys.readouterr().out
    assert said.startswith(commit[:12])
    assert expected in said


def _given_up(tree: Tree) -> Tree:
    status = tree.deployments[SCORER]
    again = replace(stage.new("fraud", "scorer"), rollout=status.rollout, traffic=status.traffic)
    return replace(tree, deployments={**tree.deployments, SCORER: again})


def _for_another_cause(tree: Tree) -> Tree:
    progress = tree.deployments[SCORER].progress
    assert progress is not None
    cause = Cause(kind="failed", reason="LoadFailed", message="x")
    return _of_scorer(tree, progress=replace(progress, cause=cause))


def _nothing_left(tree: Tree) -> Tree:
    left = {"main": SliceState(serve=Role.CURRENT)}
    return _of_scorer(tree, stage=Stage.CLEAN_UP_COMPLETE, progress=None, slices=left)


CLEAN_UPS: Mapping[str, tuple[Forge, str]] = {
    "it is forgotten": (lambda tree: without(tree, SCORER), "its status is gone in Clean Up In Progress"),
    "it begins anew": (_given_up, "its transitions are neither those before it and more, nor a new beginning"),
    "for another cause": (_for_another_cause, "expected as cause of its clean-up that it was deleted, got failed"),
    "something is left": (_nothing_left, "it is in Clean Up Complete, and something of it is still there"),
    "it deletes what it is held for": (
        lambda tree: _of_scorer(_held(tree, f"InferenceServer {OTHER}"), stage=Stage.ROLLOUT_COMPLETE),
        "its clean-up was in hand, and it is in Rollout Complete: expected Clean Up Complete before",
    ),
}


@pytest.mark.parametrize("what", CLEAN_UPS)
def test_a_clean_up_that_somebody_has_changed_is_named(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output, what: str
) -> None:
    forge, expected = CLEAN_UPS[what]
    simulator.want(SCORER, None)
    simulator.run(until=lambda: simulator.status().stage is Stage.CLEAN_UP_IN_PROGRESS)
    commit = put(branch, simulator, forge(simulator.tree))
    assert verify(branch) == 1
    said = capsys.readouterr().out
    assert said.startswith(commit[:12])
    assert f"Deployment {SCORER}: {expected}" in said


def test_more_servers_at_a_time_than_allowed_are_named(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output
) -> None:
    settings(simulator, max_servers_at_once=1)
    for name, one in ((SERVER, server(main=2, canary=1, image=NEW)), (OTHER, server(main=2, image=NEW))):
        simulator.want_server(name, one)
    simulator.run(until=lambda: simulator.tree.servers[SERVER].progress is not None)
    status, busy = simulator.tree.servers[OTHER], simulator.tree.servers[SERVER].progress
    assert busy is not None
    assert status.progress is None
    began = ServerProgress(
        work=Work.ROLLOUT, step="turn", started_at=busy.started_at, since=busy.since, slices={"main": 2}
    )
    servers = {**simulator.tree.servers, OTHER: replace(status, progress=began)}
    put(branch, simulator, replace(simulator.tree, servers=servers))
    assert verify(branch) == 1
    said = capsys.readouterr().out
    assert f"InferenceServer {OTHER}: its pods begin to be replaced as one of 2 servers, expected 1 at most" in said
