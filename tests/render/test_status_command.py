"""`fresco status` on a branch as the agent writes it: the table, one timeline, and waiting for a commit."""

import json
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from render import overview
from render.characters import columns, one_line
from render.cli import main
from render.commands import status as command
from render.load import load
from render.normal import accept
from render.repository import CommitFiles
from schemas.overview import Row
from schemas.report import Reason
from schemas.status import Stage
from tests.support import contracts, harness
from tests.support.branch import SimulatedBranch
from tests.support.git import commit_files, git
from tests.support.harness import CLUSTER, SCORER, STEPS, deployment, digest, repository, server
from tests.support.simulator import simulate

ROOT = Path(__file__).parents[2]
CLEARED = "\x1b[H\x1b[2J"
Output = pytest.CaptureFixture[str]
FIRST = {"fresco.yaml": repository(), "server.yaml": server(canary=1), "scorer.yaml": deployment(1, steps=STEPS)}


def told(contract: str, capsys: Output) -> dict[str, Any]:
    """What the command has printed as JSON, which keeps its contract."""
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    contracts.check(contract, said)
    return said


def named_scorer(name: str) -> str:
    """A Deployment that is served under the name of another one."""
    return deployment(1, name=name).replace("revision: '1'", "revision: '1'\n    name: scorer")


class World:
    """People commit to main of one repository; the rules decide on it, and write the cluster's branch there."""

    def __init__(self, path: Path) -> None:
        self.simulator = simulate()
        self.branch = SimulatedBranch(path, self.simulator, name=harness.BRANCH)
        self.path = path
        self.simulator.after_commit = self.written
        self.seen: str | None = None

    def commit(self, files: Mapping[str, str | None], *, seen: bool = True) -> str:
        """A commit on main, None deletes. `seen`: by the agent."""
        for path in [path for path, text in files.items() if text is None]:
            (self.path / path).unlink()
        commit = commit_files(self.path, {path: text for path, text in files.items() if text is not None})
        if seen:
            self.see(commit)
        return commit

    def see(self, commit: str) -> None:
        """The agent looks at main."""
        self.seen = self.branch.source = commit
        self._accept()

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """The agent works until nothing is left to do."""
        self.simulator.run(until=until)

    def to(self, stage: Stage, step: str | None = None) -> None:
        """The agent works until fraud/scorer is there."""
        self.simulator.run_to(stage, step)

    def status(self, *arguments: str) -> int:
        """Runs the command."""
        return main(["status", "-C", str(self.path), *arguments])

    def wait(self, commit: str, *arguments: str) -> int:
        """Runs the command, which does not wait long."""
        return self.status("--wait", commit, "--timeout", "1ms", *arguments)

    def written(self) -> None:
        """After each decision of the rules."""
        self.branch.write()
        self._accept()

    def _accept(self) -> None:
        assert self.seen is not None
        loaded = load(CommitFiles(self.branch.repository, self.seen))
        self.simulator.wanted = accept(loaded, CLUSTER, self.branch.written)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Revision 1 is served, on two pods of main and one of canary."""
    world = World(tmp_path / "repository")
    world.commit(FIRST)
    world.run()
    return world


# ---- the table


def test_the_table_tells_where_everything_stands(world: World, capsys: Output) -> None:
    assert world.status() == 0
    head, columns, row = capsys.readouterr().out.splitlines()
    assert head.startswith(f"cluster local: clusters/local at {world.branch.tip or '':.12}, written ")
    assert head.endswith(f", of {world.seen or '':.12}")
    assert columns.split() == ["DEPLOYMENT", "STAGE", "REVISION", "PROVEN", "AGE", "MESSAGE"]
    assert row.split()[:5] == [SCORER, "Rollout", "Complete", "1", "3/3"]
    assert row.endswith("revision 1 serves")


def test_what_needs_a_person_comes_first_then_what_is_in_hand(world: World, capsys: Output) -> None:
    world.simulator.faults[digest(2)] = Reason.LOAD_FAILED
    world.commit(
        {
            "a.yaml": deployment(1, name="a"),
            "z.yaml": deployment(2, name="z"),
            "scorer.yaml": deployment(3, steps=STEPS, paused=True),
        }
    )
    world.run()
    assert world.status() == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["fraud/z", SCORER, "fraud/a"]
    assert "LoadFailed" in rows[0]
    assert "1 -> 3" in rows[1]


def test_pods_are_proven_one_after_the_other(world: World) -> None:
    world.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    counts = []

    def note() -> None:
        world.written()
        counts.append(len(overview.proven(world.simulator.status(SCORER))))

    world.simulator.after_commit = note
    world.run()
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3}


def test_what_belongs_to_no_deployment_is_told_before_them(world: World, capsys: Output) -> None:
    world.commit({"broken.yaml": "apiVersion: serving.fresco.dev/v1alpha1\nkind: [\n"})
    world.run()
    assert world.status() == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("broken.yaml:")


def test_a_message_is_cut_to_the_width() -> None:
    row = Row(
        deployment="a/b", stage=Stage.VALIDATION, needs_person=False, revision="1", candidate=None, proven=1,
        replicas=2, age=3.0, message="long " * 40,
    )  # fmt: skip
    assert len(overview.table([row], 60)[1]) == 60
    assert overview.table([row], 60)[1].endswith("…")
    assert overview.table([row], None)[1].endswith("long")


def test_columns_stand_under_each_other_and_fit_whatever_script_they_are_in() -> None:
    row = Row(
        deployment="a/b", stage=Stage.VALIDATION, needs_person=False, revision="模型", candidate=None, proven=1,
        replicas=2, age=3.0, message="消息" * 40,
    )  # fmt: skip
    head, line = overview.table([row], 70)
    before = line[: line.index("1/2")]
    assert columns(before) == head.index("PROVEN")
    assert 69 <= columns(line) <= 70


def test_no_escape_sequence_reaches_the_terminal() -> None:
    assert one_line("a\x1b[2Jb\nc") == "a�[2Jb c"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5, "0s"), (0.4, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")],
)
def test_an_age_is_in_the_largest_unit_that_says_enough(seconds: float, expected: str) -> None:
    assert overview.duration(seconds) == expected


def test_the_table_as_json(world: World, capsys: Output) -> None:
    assert world.status("--format", "json") == 0
    (cluster,) = told("overview", capsys)["clusters"]
    assert cluster["cluster"] == "local"
    assert cluster["commit"] == world.branch.tip
    assert cluster["sourceCommit"] == world.seen
    (row,) = cluster["deployments"]
    assert (row["deployment"], row["stage"], row["revision"], row["candidate"]) == (
        SCORER,
        "Rollout Complete",
        "1",
        None,
    )
    assert (row["proven"], row["replicas"], row["needsPerson"]) == (3, 3, False)


# ---- one Deployment


def test_a_timeline_has_each_transition_with_its_evidence(world: World, capsys: Output) -> None:
    assert world.status(SCORER) == 0
    said = capsys.readouterr().out
    transitions = world.simulator.status(SCORER).transitions
    for one in transitions:
        assert f"{one.at:%Y-%m-%d %H:%M:%S}" in said
        assert one.message in said
    assert f"on evidence of {', '.join(transitions[-1].evidence.pods)}; digest {digest(1)[:19]}" in said
    assert "asked for in scorer.yaml:1" in said
    assert f"current:   revision 1, scorer on gpu-a, {digest(1)[:19]} from https://" in said


def test_a_timeline_tells_what_failed_and_what_is_wrong_on_main(world: World, capsys: Output) -> None:
    world.simulator.faults[digest(2)] = Reason.LOAD_FAILED
    world.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    world.run()
    world.commit({"scorer.yaml": deployment(3, on="nowhere")})
    world.run()
    assert world.status(SCORER) == 0
    said = capsys.readouterr().out
    assert "failed:    revision 2, LoadFailed: " in said
    assert "scorer.yaml:7:11: FR" in said


def test_a_timeline_as_json_has_the_whole_status(world: World, capsys: Output) -> None:
    assert world.status(SCORER, "--format", "json") == 0
    (cluster,) = told("overview", capsys)["clusters"]
    (one,) = cluster["deployments"]
    assert one["status"]["transitions"][-1]["step"] == "done"


def test_an_unknown_deployment_is_wrong_use_and_the_nearest_is_offered(world: World, capsys: Output) -> None:
    assert world.status("fraud/score") == 2
    assert "did you mean fraud/scorer?" in capsys.readouterr().err


# ---- waiting


def test_a_commit_is_complete_when_its_revision_is_current(world: World, capsys: Output) -> None:
    commit = world.commit({"scorer.yaml": deployment(2, steps=STEPS)}, seen=False)
    assert world.wait(commit) == 2
    assert "not begun yet: Rollout Complete, revision 1 serves" in capsys.readouterr().err
    world.see(commit)
    world.to(Stage.TRAFFIC_ROUTING)
    assert world.wait(commit) == 2
    output = capsys.readouterr()
    assert "Deployment fraud/scorer: in progress: Model Traffic Routing, revision 2: " in output.err
    assert f"{commit} is not complete after 0s" in output.err
    world.run()
    assert world.wait(commit) == 0
    assert capsys.readouterr().out == f"{commit[:12]}: 1 complete\n"


@pytest.mark.parametrize("files", [{"README.md": "hello\n"}, {"scorer.yaml": "# why\n" + FIRST["scorer.yaml"]}])
def test_a_commit_that_asks_for_nothing_new_returns_at_once(
    world: World, capsys: Output, files: dict[str, str]
) -> None:
    world.commit({"a.yaml": deployment(5, name="a", paused=True)})
    commit = world.commit(files, seen=False)
    assert world.wait(commit) == 0
    assert capsys.readouterr().out == f"{commit[:12]}: it asks for nothing new\n"


def test_a_commit_that_asks_for_what_is_there_returns_at_once(world: World) -> None:
    bad = world.commit({"scorer.yaml": deployment(2, steps=STEPS)}, seen=False)
    revert = world.commit({"scorer.yaml": deployment(1, steps=STEPS)}, seen=False)
    assert world.wait(revert) == 0
    assert world.wait(bad) == 2


def test_the_first_commit_has_everything(world: World, capsys: Output) -> None:
    first = git("rev-list", "--max-parents=0", "main", cwd=world.path)
    assert world.wait(first) == 0
    assert ": 3 complete\n" in capsys.readouterr().out


def test_a_commit_before_the_agents_first_look_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path / "repository")
    commit = world.commit(FIRST, seen=False)
    assert world.wait(commit) == 2
    world.see(commit)
    world.run()
    assert world.wait(commit) == 0


def test_a_revision_that_was_rolled_back_ends_with_1(world: World, capsys: Output) -> None:
    world.simulator.faults[digest(2)] = Reason.LOAD_FAILED
    commit = world.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    world.run()
    assert world.wait(commit) == 1
    output = capsys.readouterr()
    assert output.out == f"{commit[:12]}: 1 rolled back\n"
    assert "Deployment fraud/scorer: rolled back: revision 2: LoadFailed: " in output.err
    again = world.commit({"scorer.yaml": deployment(2, steps=STEPS, attempt=1)}, seen=False)
    assert world.wait(again) == 2


def test_what_is_invalid_ends_with_1_and_its_findings(world: World, capsys: Output) -> None:
    commit = world.commit({"scorer.yaml": deployment(2, on="gpu-b")}, seen=False)
    assert world.wait(commit) == 1
    output = capsys.readouterr()
    assert output.out.splitlines()[0].startswith("scorer.yaml:7:11: FR")
    assert output.out.splitlines()[1] == f"{commit[:12]}: 1 invalid"


def test_what_was_invalid_before_is_not_of_the_commit(world: World) -> None:
    world.commit({"bad.yaml": deployment(1, name="bad", on="gpu-b")})
    assert world.wait(world.commit({"README.md": "x"})) == 0
    assert world.wait(world.commit({"bad.yaml": deployment(2, name="bad", on="gpu-b")})) == 1


def test_a_broken_repository_file_ends_with_1(world: World, capsys: Output) -> None:
    commit = world.commit({"fresco.yaml": "apiVersion: serving.fresco.dev/v1alpha1\nkind: Repository\n"}, seen=False)
    assert world.wait(commit) == 1
    assert "fresco.yaml:1:1: FR" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_ends_with_1(world: World, capsys: Output) -> None:
    commit = world.commit({"new.yaml": "apiVersion: serving.fresco.dev/v1alpha1\nkind: [\n"}, seen=False)
    assert world.wait(commit) == 1
    assert "new.yaml:" in capsys.readouterr().out


def test_a_deletion_is_complete_when_it_is_gone(world: World) -> None:
    commit = world.commit({"scorer.yaml": None})
    assert world.wait(commit) == 2
    world.run()
    assert SCORER not in world.simulator.tree.deployments
    assert world.wait(commit) == 0


def test_what_waits_for_a_name_that_is_given_up_is_in_progress(world: World) -> None:
    """It is refused while the other one has the name; that is not its last word."""
    commit = world.commit({"scorer.yaml": None, "other.yaml": named_scorer("other")})
    assert world.wait(commit) == 2
    world.run()
    assert world.wait(commit) == 0


def test_a_name_that_another_one_keeps_is_invalid(world: World, capsys: Output) -> None:
    commit = world.commit({"other.yaml": named_scorer("other")})
    world.run()
    assert world.wait(commit) == 1
    assert "belongs to the Deployment fraud/scorer already" in capsys.readouterr().out


def test_a_name_that_an_older_commit_gives_up_is_waited_for(world: World) -> None:
    """The agent has seen neither, then the older one, then both; then the clean-up is through."""
    older = world.commit({"scorer.yaml": None}, seen=False)
    commit = world.commit({"other.yaml": named_scorer("other")}, seen=False)
    assert world.wait(commit) == 2
    world.see(older)
    assert world.wait(commit) == 2
    world.see(commit)
    world.run(until=lambda: True)
    assert world.wait(commit) == 2
    world.run()
    assert world.wait(commit) == 0


def test_why_something_is_held_back_is_told_while_it_is_waited_for(world: World, capsys: Output) -> None:
    commit = world.commit({"other.yaml": named_scorer("other")}, seen=False)
    assert world.wait(commit) == 2
    said = "Deployment fraud/other: held back: it cannot be accepted yet: other.yaml:10:11: FR022"
    assert said in capsys.readouterr().err


def test_a_deletion_that_is_held_is_invalid_once_the_agent_holds_it(world: World, capsys: Output) -> None:
    names = [f"d{number}" for number in range(5)]
    world.commit({f"{name}.yaml": deployment(1, name=name) for name in names})
    world.run()
    commit = world.commit({f"{name}.yaml": None for name in names}, seen=False)
    assert world.wait(commit) == 2
    world.see(commit)
    world.run()
    assert world.wait(commit) == 1
    assert capsys.readouterr().out.endswith(": 5 invalid\n")
    allowed = ", ".join(f"Deployment fraud/{name}" for name in names)
    allowing = world.commit({"fresco.yaml": f"{repository()}  guards: {{allowDeletion: [{allowed}]}}\n"}, seen=False)
    assert world.wait(allowing) == 2
    world.see(allowing)
    world.run()
    assert world.wait(allowing) == 0
    assert capsys.readouterr().out.endswith(": 5 complete\n")
    assert world.wait(world.commit({"fresco.yaml": repository()}, seen=False)) == 0
    assert capsys.readouterr().out.endswith(": it asks for nothing new\n")


def test_a_server_that_goes_while_something_is_served_on_it_is_not_waited_for(world: World, capsys: Output) -> None:
    commit = world.commit({"server.yaml": None})
    world.run()
    assert world.wait(commit) == 1
    said = "InferenceServer fraud/gpu-a: invalid: Deployment fraud/scorer, which cannot be accepted, is still on it"
    assert said in capsys.readouterr().err


def test_a_server_that_goes_with_what_is_served_on_it_is_waited_for(world: World) -> None:
    commit = world.commit({"server.yaml": None, "scorer.yaml": None})
    assert world.wait(commit) == 2
    world.run()
    assert world.wait(commit) == 0


def test_a_file_that_can_be_read_again_counts_once_the_agent_has_read_it(world: World) -> None:
    world.commit({"new.yaml": "apiVersion: serving.fresco.dev/v1alpha1\nkind: [\n"})
    world.run()
    mended = world.commit({"new.yaml": None}, seen=False)
    assert world.wait(mended) == 2
    world.see(mended)
    world.run()
    assert world.wait(mended) == 0


def test_policies_count_too(world: World) -> None:
    commit = world.commit({"scorer.yaml": deployment(1, steps=[{"weight": 5}])}, seen=False)
    assert world.wait(commit) == 2
    world.see(commit)
    world.run()
    assert world.wait(commit) == 0


def test_a_server_counts_with_template_and_replicas(world: World) -> None:
    commit = world.commit({"server.yaml": server(replicas=3, canary=1)})
    assert world.wait(commit) == 2
    world.run()
    assert world.wait(commit) == 0


def test_what_a_newer_commit_has_taken_over_is_superseded(world: World, capsys: Output) -> None:
    older = world.commit({"scorer.yaml": deployment(2, steps=STEPS)}, seen=False)
    newer = world.commit({"scorer.yaml": deployment(3, steps=STEPS)}, seen=False)
    assert world.wait(older) == 2
    world.see(newer)
    world.to(Stage.TRAFFIC_ROUTING)
    assert world.wait(older) == 1
    output = capsys.readouterr()
    assert "Deployment fraud/scorer: superseded: a newer commit asks for something else" in output.err
    assert output.out == f"{older[:12]}: 1 superseded\n"
    world.run()
    assert world.wait(older) == 1
    assert world.wait(newer) == 0


def test_a_newer_commit_about_something_else_supersedes_nothing(world: World) -> None:
    older = world.commit({"scorer.yaml": deployment(2, steps=STEPS)}, seen=False)
    world.commit({"a.yaml": deployment(1, name="a")})
    world.to(Stage.TRAFFIC_ROUTING)
    assert world.wait(older) == 2
    world.run()
    assert world.wait(older) == 0


def test_a_commit_for_several_clusters_is_complete_on_all_of_them(world: World, capsys: Output) -> None:
    """The branch of the second one is not there yet."""
    gateway = "{name: public, namespace: gateway}"
    both = repository().replace("  clusters:\n", f"  clusters:\n  - {{name: other, gateway: {gateway}}}\n")
    commit = world.commit({"fresco.yaml": both, "scorer.yaml": deployment(2, steps=STEPS)})
    world.run()
    assert world.wait(commit) == 2
    assert "other: Deployment fraud/scorer: in progress: the agent has not seen it yet" in capsys.readouterr().err
    assert world.wait(commit, "--cluster", CLUSTER) == 0


def test_the_outcome_as_json(world: World, capsys: Output) -> None:
    commit = world.commit({"scorer.yaml": deployment(2, on="gpu-b")}, seen=False)
    assert world.wait(commit, "--format", "json") == 1
    said = told("verdicts", capsys)
    (one,) = said["resources"]
    assert (said["commit"], one["cluster"], one["resource"]) == (commit, "local", "Deployment fraud/scorer")
    assert (one["outcome"], one["findings"][0]["rule"]) == ("invalid", "FR021")


def test_what_is_out_of_time_as_json_tells_where_it_stands(world: World, capsys: Output) -> None:
    commit = world.commit({"scorer.yaml": deployment(2, steps=STEPS), "other.yaml": named_scorer("other")}, seen=False)
    assert world.wait(commit, "--format", "json") == 2
    outcomes = {one["resource"]: one["outcome"] for one in told("verdicts", capsys)["resources"]}
    assert outcomes == {"Deployment fraud/other": "held back", "Deployment fraud/scorer": "in progress"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--wait", "no-such"], "there is no revision 'no-such'"),
        (["--wait", "main", "--cluster", "nowhere"], "fresco.yaml has no cluster 'nowhere', there is local"),
        (["--cluster", "nowhere"], "there is no cluster 'nowhere', there is "),
        (["--fetch"], "cannot fetch from origin"),
        ([SCORER, "--wait", "main"], "leave fraud/scorer out"),
    ],
)
def test_wrong_use_ends_with_2(world: World, capsys: Output, arguments: list[str], expected: str) -> None:
    assert world.status(*arguments) == 2
    assert expected in capsys.readouterr().err


def test_a_time_that_is_none_is_wrong_use(world: World, capsys: Output) -> None:
    with pytest.raises(SystemExit, match="2"):
        world.wait("main", "--timeout", "soon")
    assert "expected a time such as 90s, 30m or 1h30m, got 'soon'" in capsys.readouterr().err


# ---- a clone


@pytest.fixture
def clone(world: World, tmp_path: Path) -> Path:
    """A person's clone."""
    git("clone", "--quiet", str(world.path), str(tmp_path / "clone"), cwd=tmp_path)
    return tmp_path / "clone"


def test_a_clone_shows_what_it_has_fetched(world: World, clone: Path, capsys: Output) -> None:
    world.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    world.run()
    for arguments, expected in (([], "revision 1 serves"), (["--fetch"], "revision 2 serves")):
        assert main(["status", "-C", str(clone), *arguments]) == 0
        assert capsys.readouterr().out.splitlines()[-1].endswith(expected)


def test_a_commit_that_is_at_origin_alone_is_fetched(world: World, clone: Path) -> None:
    commit = world.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    world.run()
    assert main(["status", "-C", str(clone), "--wait", commit, "--timeout", "1ms"]) == 0


def test_waiting_fetches_by_itself_until_it_is_over(
    world: World, clone: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "INTERVAL", 0.05)
    commit_files(clone, {"scorer.yaml": deployment(2, steps=STEPS)})
    git("push", "--quiet", "origin", "HEAD:theirs", cwd=clone)
    git("merge", "--quiet", "--ff-only", "theirs", cwd=world.path)

    def agent() -> None:
        world.see(git("rev-parse", "main", cwd=world.path))
        world.run()

    working = threading.Timer(0.3, agent)
    working.start()
    try:
        assert main(["status", "-C", str(clone), "--wait", "HEAD", "--timeout", "60s"]) == 0
    finally:
        working.join()
    assert capsys.readouterr().out.endswith(": 1 complete\n")


def test_in_a_shallow_clone_a_commit_counts_with_all_that_it_has(world: World, tmp_path: Path, capsys: Output) -> None:
    """Its parent is not there to compare it with; a pipeline's checkout is often so."""
    world.commit({"README.md": "hello"})
    git(
        "clone",
        "--quiet",
        "--depth=1",
        "--branch=main",
        f"file://{world.path}",
        str(tmp_path / "shallow"),
        cwd=tmp_path,
    )
    assert main(["status", "-C", str(tmp_path / "shallow"), "--wait", "HEAD", "--timeout", "1ms"]) == 0
    assert capsys.readouterr().out.endswith(": 3 complete\n")


_PROGRAM = "import sys, signal; from render.cli import main; "
_PROGRAM += "signal.signal(signal.SIGINT, signal.default_int_handler); "  # in the background of a shell it is ignored
_PROGRAM += "sys.exit(main(sys.argv[1:]))"


def test_watching_shows_what_comes_and_ends_by_a_signal_without_a_traceback(world: World, clone: Path) -> None:
    command_line = [sys.executable, "-c", _PROGRAM, "status", "-C", str(clone), "--watch"]
    with subprocess.Popen(command_line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        _read_until(process.stdout.readline, "revision 1 serves")
        world.commit({"scorer.yaml": deployment(2, steps=STEPS)})
        world.run()
        _read_until(process.stdout.readline, "revision 2 serves")
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""
    assert process.returncode == 130


def _watched(repository: Path, count: int) -> list[str]:
    """The first `count` looks of `--watch` on a terminal of 24 lines and 80 columns."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = {name: text for name, text in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command_line = [sys.executable, "-c", _PROGRAM, "status", "-C", str(repository), "--watch"]
    with subprocess.Popen(command_line, cwd=ROOT, stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = ""
        while shown.count(CLEARED) <= count:
            shown += os.read(ours, 4096).decode()
        process.send_signal(signal.SIGINT)
    os.close(ours)
    assert process.returncode == 130
    return shown.split(CLEARED)[1 : count + 1]


def test_on_a_terminal_each_look_takes_the_place_of_the_last_and_no_line_is_too_long(world: World) -> None:
    world.commit({"a.yaml": deployment(1, name="a", on="a-server-with-a-name-that-makes-a-message-longer-than-a-line")})
    world.run()
    first, second = _watched(world.path, 2)
    assert [line.split()[0] for line in first.splitlines()[1:]] == ["DEPLOYMENT", "fraud/a", SCORER]
    assert len(first.splitlines()) == len(second.splitlines())
    assert max(len(line) for line in first.splitlines()[1:]) == 80


def test_what_needs_a_person_is_in_sight_however_many_there_are(world: World) -> None:
    """A terminal of 24 lines keeps the top of the table, and tells how much more there is."""
    world.commit({f"d{number}.yaml": deployment(number, name=f"d{number}", paused=True) for number in range(2, 30)})
    world.run()
    (shown,) = _watched(world.path, 1)
    lines = shown.splitlines()
    assert lines[1].split()[0] == "DEPLOYMENT"
    assert len(lines) == 23
    assert lines[-1] == "… and 9 lines more"


def _read_until(read: Callable[[], str], expected: str) -> None:
    end = time.monotonic() + 60.0
    while expected not in (line := read()):
        assert line, "it has ended"
        assert time.monotonic() < end
