"""Replaying a cluster's branch: what the agent wrote passes, what anybody else did to it is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.status.writeback import Account, describe
from render import tree
from render.cli import main
from render.trailers import installed_version
from schemas.report import Reason
from schemas.status import RouteState, Stage
from tests.support.branch import BRANCH, SimulatedBranch
from tests.support.git import commit_files, git
from tests.support.simulator import SCORER, SERVER, Simulator, deployment, model, policy, replace, server, simulate

STATUS = tree.deployment_path(SCORER)
ROUTE = "manifests/fraud/routes/scorer.yaml"
STEPS = policy((10, 60.0), (50, 120.0), bake=600.0)


@pytest.fixture
def simulator() -> Simulator:
    """A cluster with a canary slice."""
    return simulate(main=2, canary=2)


@pytest.fixture
def branch(simulator: Simulator, tmp_path: Path) -> SimulatedBranch:
    """Revision 1 is served, and revision 2 came step by step."""
    branch = SimulatedBranch(tmp_path / "repository", simulator)
    for revision in (1, 2):
        simulator.want(SCORER, deployment(model(revision), STEPS))
        simulator.run()
    assert simulator.status().current == model(2)
    return branch


Output = pytest.CaptureFixture[str]


def verify(branch: SimulatedBranch, *arguments: str) -> int:
    """Runs the command in the branch's repository."""
    return main(["verify", "-C", str(branch.path), *arguments])


def message(branch: SimulatedBranch, *, epoch: int | None = None) -> str:
    """What the agent would say of another commit."""
    account = Account(reasons=("fraud/scorer: x",), because="test", source=None, version=branch.version, at=0)
    return describe(account, epoch if epoch is not None else branch.epoch)


def rewrite(branch: SimulatedBranch, simulator: Simulator, **changed: object) -> str:
    """A commit with a status of fraud/scorer that somebody has made up, and everything else rendered from it."""
    forged = replace(simulator.status(), **changed)
    after = replace(simulator.tree, deployments={**simulator.tree.deployments, SCORER: forged})
    return branch.put(after, message(branch))


def test_a_whole_history_of_the_agent_passes(branch: SimulatedBranch, simulator: Simulator, capsys: Output) -> None:
    simulator.faults[model(3).digest] = Reason.LOAD_FAILED
    simulator.want(SCORER, deployment(model(3), STEPS))
    simulator.run()
    assert simulator.status().stage is Stage.ROLLBACK_COMPLETE
    simulator.want_server(SERVER, server(main=3, canary=1, image="triton:25.01"))
    simulator.run()
    simulator.want(SCORER, None)
    simulator.run()
    assert verify(branch) == 0
    count = git("rev-list", "--count", BRANCH, cwd=branch.path)
    assert capsys.readouterr().out == f"{BRANCH}: {count} commits, all as they should be\n"


def test_what_is_asked_for_again_right_after_its_clean_up_begins_anew(
    branch: SimulatedBranch, simulator: Simulator
) -> None:
    simulator.want(SCORER, None)
    simulator.run(until=lambda: simulator.status().stage is Stage.CLEAN_UP_COMPLETE)
    simulator.want(SCORER, deployment(model(3), STEPS))
    simulator.run()
    assert verify(branch) == 0


def test_a_manifest_that_was_edited_by_hand_is_named_once(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output
) -> None:
    edited = branch.commit({ROUTE: branch.read(ROUTE) + b"# mine\n"}, message(branch))
    simulator.want(SCORER, deployment(model(3), STEPS))
    simulator.run(until=lambda: simulator.status().candidate is not None)
    assert verify(branch) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(edited[:12])
    assert lines[1:-1] == [f"  {ROUTE}: is not what its status renders"]


def test_who_else_commits_is_named_with_what_is_wrong(branch: SimulatedBranch, capsys: Output) -> None:
    git("checkout", "--quiet", BRANCH, cwd=branch.path)
    (branch.path / ROUTE).unlink()
    commit_files(branch.path, {"manifests/fraud/routes/mine.yaml": "a: 1\n"}, message="by hand")
    assert verify(branch) == 1
    said = capsys.readouterr().out
    assert "its author is Ada Tester <ada@example.com>, expected fresco-agent <" in said
    assert "missing: Source-Commit, Fresco-Version, Lease-Epoch, Reason" in said
    assert f"{ROUTE}: is missing" in said
    assert "mine.yaml: its status renders no such file" in said


def test_a_file_beside_the_agents_is_nobodys_business_but_its_authors(branch: SimulatedBranch) -> None:
    branch.commit({"README.md": b"ours\n"}, message(branch))
    assert verify(branch) == 0


@pytest.mark.parametrize(
    ("trailer", "expected"),
    [
        ("Lease-Epoch: 3", "missing: Lease-Epoch"),
        ("Source-Commit: none", "missing: Source-Commit"),
        ("Reason: test", "missing: Reason"),
    ],
)
def test_a_trailer_that_is_missing_is_named(
    branch: SimulatedBranch, capsys: Output, trailer: str, expected: str
) -> None:
    said = message(branch, epoch=3)
    assert trailer in said
    branch.commit({"a": b"1"}, said.replace(f"{trailer}\n", ""))
    assert verify(branch) == 1
    assert expected in capsys.readouterr().out


def test_an_epoch_that_falls_is_named(branch: SimulatedBranch, capsys: Output) -> None:
    branch.commit({"a": b"1"}, message(branch, epoch=5))
    branch.commit({"a": b"2"}, message(branch, epoch=4))
    assert verify(branch) == 1
    assert "Lease-Epoch: 4 writes after 5" in capsys.readouterr().out


def test_a_status_that_breaks_its_contract_is_named_and_the_rest_goes_on(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output
) -> None:
    before = branch.read(STATUS)
    broken = branch.commit({STATUS: before.replace(b"stage: Rollout", b"stage: Rolout")}, message(branch))
    branch.commit({STATUS: before}, message(branch))
    simulator.want(SCORER, deployment(model(3), STEPS))
    simulator.run()
    assert verify(branch) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(broken[:12])
    assert "Rolout" in lines[1]
    assert lines[-1].endswith("1 of them wrong")


def test_a_status_in_other_bytes_is_named(branch: SimulatedBranch, capsys: Output) -> None:
    branch.commit({STATUS: branch.read(STATUS) + b"# checked\n"}, message(branch))
    assert verify(branch) == 1
    assert f"{STATUS}: is not what its status renders" in capsys.readouterr().out


FORGERIES: dict[str, tuple[Callable[[Simulator], dict[str, object]], str]] = {
    "a stage without a transition": (
        lambda _: {"stage": Stage.ROLLBACK_COMPLETE},
        "it is in Rollback Complete, its last transition is to Rollout Complete",
    ),
    "a revision that was never rolled out": (
        lambda _: {"current": model(3)},
        "revision 3 is current, and no rollout of it was complete",
    ),
    "a candidate that was never accepted": (
        lambda _: {"candidate": model(3)},
        "revision 3 is the candidate, and was never accepted",
    ),
    "a history that was cut": (
        lambda simulator: {"transitions": simulator.status().transitions[:-1]},
        "its transitions are neither those before it and more, nor a new beginning",
    ),
    "a route that leads to some slices": (
        lambda _: {"route": RouteState(split={"main": 100, "canary": 0})},
        "route or slices are told something else than the current revision",
    ),
    "nothing current": (lambda _: {"current": None}, "what was current is gone"),
    "a transition after the end": (
        lambda simulator: {"transitions": (*simulator.status().transitions, simulator.status().transitions[-1])},
        "Rollout Complete, done cannot follow Rollout Complete, done",
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_status_that_was_made_up_is_named_though_everything_is_rendered_from_it(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output, what: str
) -> None:
    make, expected = FORGERIES[what]
    forged = rewrite(branch, simulator, **make(simulator))
    assert verify(branch) == 1
    said = capsys.readouterr().out
    assert said.startswith(forged[:12])
    assert f"Deployment {SCORER}: " in said
    assert expected in said


EVIDENCE: dict[str, tuple[str, dict[str, object], str]] = {
    "no pod proved it": ("canary", {"pods": ()}, "canary: no pod is named that proves 'canary first pod'"),
    "no pod has it on disk": ("drain", {"pods": ()}, "drain: no pod is named that proves 'stage'"),
    "another digest": ("canary", {"digest": model(9).digest}, f"canary: expected the digest {model(3).digest}, got"),
    "another route": ("weight 2", {"route": "0123"}, "Model Traffic Routing, weight 2: expected the live route "),
    "nobody asked for it": ("accepted", {"source": None}, "expected the file and line that it was asked for in"),
    "no pod served it in the end": ("done", {"pods": ()}, "Rollout Complete, done: no pod is named that proves 'bake'"),
}


@pytest.mark.parametrize("what", EVIDENCE)
def test_a_stage_without_its_evidence_is_named(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output, what: str
) -> None:
    step, evidence, expected = EVIDENCE[what]
    run_to_forge(branch, simulator, step)
    transitions = [
        replace(one, evidence=replace(one.evidence, **evidence)) if one.step == step else one
        for one in simulator.status().transitions
    ]
    rewrite(branch, simulator, transitions=tuple(transitions))
    assert verify(branch) == 1
    assert expected in capsys.readouterr().out


def test_a_step_that_was_not_watched_in_full_is_named(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output
) -> None:
    run_to_forge(branch, simulator, "weight 2")
    *before, last = simulator.status().transitions
    early = replace(last, at=before[-1].at)
    rewrite(branch, simulator, transitions=(*before, early))
    assert verify(branch) == 1
    assert "weight 2: 'weight 1' was watched for 0 s, expected 60 s" in capsys.readouterr().out


def test_a_row_that_is_skipped_is_named(branch: SimulatedBranch, simulator: Simulator, capsys: Output) -> None:
    run_to_forge(branch, simulator, "weight 1")
    *before, last = simulator.status().transitions
    rewrite(branch, simulator, transitions=(*before, replace(last, step="weight 2")))
    assert verify(branch) == 1
    assert "weight 2 follows Resource Acquisition, canary: a row of the plan is skipped" in capsys.readouterr().out


def run_to_forge(branch: SimulatedBranch, simulator: Simulator, step: str) -> None:
    """Revision 3 comes until `step` is entered; that commit is not on the branch."""

    def is_there() -> bool:
        status = simulator.tree.deployments[SCORER]
        return model(3) in (status.candidate, status.current) and any(one.step == step for one in status.transitions)

    def write() -> None:
        if not is_there():
            branch.write()

    simulator.after_commit = write
    simulator.want(SCORER, deployment(model(3), STEPS))
    simulator.run(until=is_there)
    assert is_there()


# ---- versions and ranges


def test_of_another_version_only_the_stage_changes_are_checked_and_it_says_so(
    branch: SimulatedBranch, simulator: Simulator, capsys: Output
) -> None:
    branch.version = "9.9.9"
    simulator.want(SCORER, deployment(model(3), STEPS))
    simulator.run()
    branch.commit({ROUTE: branch.read(ROUTE) + b"# as 9.9.9 renders it\n"}, message(branch))
    assert verify(branch) == 0
    said = capsys.readouterr().out
    assert f"commits by Fresco 9.9.9: only their stage changes were checked, this is {installed_version()}" in said
    forged = rewrite(branch, simulator, stage=Stage.ROLLBACK_COMPLETE)
    assert verify(branch) == 1
    assert capsys.readouterr().out.startswith(forged[:12])


def test_the_first_commit_after_another_version_is_compared_in_full(branch: SimulatedBranch, capsys: Output) -> None:
    mine, branch.version = branch.version, "9.9.9"
    branch.commit({ROUTE: branch.read(ROUTE) + b"# as 9.9.9 renders it\n"}, message(branch))
    branch.version = mine
    last = branch.commit({"a": b"1"}, message(branch))
    assert verify(branch) == 1
    said = capsys.readouterr().out
    assert said.startswith(last[:12])
    assert f"{ROUTE}: is not what its status renders" in said


def test_a_range_leaves_out_what_came_before(branch: SimulatedBranch, simulator: Simulator, capsys: Output) -> None:
    bad = branch.commit({"a": b"1"}, "by hand")
    for revision in (3, 4):
        simulator.want(SCORER, deployment(model(revision), STEPS))
        simulator.run()
    assert verify(branch, f"{bad}..") == 0
    assert verify(branch, f"{bad}^..") == 1
    assert verify(branch, f"{bad}^") == 0
    assert verify(branch, "no-such..") == 2
    assert "there is no revision 'no-such'" in capsys.readouterr().err
    assert verify(branch, "main..") == 2


def test_a_shallow_clone_accuses_nobody(
    branch: SimulatedBranch, simulator: Simulator, tmp_path: Path, capsys: Output
) -> None:
    """What came before its first commit is not there to hold that against."""
    simulator.want(SCORER, deployment(model(3), STEPS))
    simulator.run()
    shallow = tmp_path / "shallow"
    source = f"file://{branch.path}"
    git("clone", "--quiet", "--depth=3", f"--branch={BRANCH}", source, str(shallow), cwd=tmp_path)
    assert main(["verify", "-C", str(shallow)]) == 2
    assert "is not in this shallow clone: git fetch --unshallow" in capsys.readouterr().err
    assert main(["verify", "-C", str(shallow), "HEAD~2.."]) == 0
    assert capsys.readouterr().out == f"{BRANCH}: 2 commits, all as they should be\n"


def test_one_commit_is_told_as_one(branch: SimulatedBranch, capsys: Output) -> None:
    assert verify(branch, f"{BRANCH}~1..") == 0
    assert capsys.readouterr().out == f"{BRANCH}: 1 commit, all as they should be\n"


def test_several_clusters_are_verified_each(branch: SimulatedBranch, capsys: Output) -> None:
    git("branch", "clusters/test", BRANCH, cwd=branch.path)
    assert verify(branch) == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [BRANCH, "clusters/test"]
    assert verify(branch, "--cluster", "prod") == 0
    assert verify(branch, "--cluster", "nowhere") == 2
    assert "there is no cluster 'nowhere', there is " in capsys.readouterr().err


def test_with_quiet_only_what_is_wrong_is_said(branch: SimulatedBranch, capsys: Output) -> None:
    assert verify(branch, "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_a_repository_without_a_clusters_branch_is_wrong_use(tmp_path: Path, capsys: Output) -> None:
    git("init", "--quiet", cwd=tmp_path)
    assert main(["verify", "-C", str(tmp_path)]) == 2
    assert "there is no branch clusters/<name> in this repository" in capsys.readouterr().err
