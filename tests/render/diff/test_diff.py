"""`fresco diff` on real git repositories: what it says of a change, and that it is what will happen."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from render import plan
from render.cli import main
from render.diff.change import cluster_change
from render.diff.outcome import Sides, nothing, outcome
from render.diff.text import WIDTH
from render.load import Loaded, load_file
from render.normal import Wanted, accept
from render.settled import settled
from schemas.base import utc
from schemas.change import Action, ClusterChange, ServerWhat, What
from schemas.status import Cause, FailedRevision, FailedTemplate, Progress, ServerProgress, Stage, Tree, Work
from tests.render.diff.repository import (
    AFTER,
    BEFORE,
    CLUSTER,
    STEPS,
    Files,
    deployment,
    digest,
    repository,
    server,
    settings,
)
from tests.support import contracts
from tests.support.git import commit_files, git
from tests.support.golden import Golden
from tests.support.simulator import Simulator

EXPECTED = Path(__file__).parent / "expected"
replace = msgspec.structs.replace


def checkout(folder: Path, *commits: Files) -> Path:
    """A repository with a branch `main`, one commit for each set of files."""
    folder.mkdir()
    git("init", "--quiet", "--initial-branch=main", cwd=folder)
    for files in commits:
        put(folder, files)
        commit_files(folder, {})
    return folder


def put(folder: Path, files: Files) -> None:
    """Exactly `files` in the working tree."""
    for path in folder.rglob("*.yaml"):
        path.unlink()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    """What `fresco diff` prints as JSON, which keeps its contract."""
    assert main(["diff", "--format", "json", *map(str, arguments)]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    contracts.check("change", found)
    return found


# ---- from outside


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("change.txt", []),
        ("objects.txt", ["--objects"]),
        ("change.md", ["--format", "markdown"]),
        ("change.json", ["--format", "json"]),
    ],
)
def test_a_change_of_each_kind(
    name: str, arguments: list[str], tmp_path: Path, golden: Golden, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkout(tmp_path / "repository", BEFORE, AFTER)
    assert main(["diff", "-C", str(folder), "main~1", "main", *arguments]) == 1
    golden.check(EXPECTED / name, capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [[], ["--objects"]])
def test_json_keeps_its_contract(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = checkout(tmp_path / "repository", BEFORE, AFTER)
    change = told(capsys, "-C", folder, "main~1", "main", *arguments, code=1)
    assert {bool(one["patch"]) for one in change["clusters"][0]["objects"]["changes"]} == {bool(arguments)}


def test_text_fits_100_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["diff", "-C", str(checkout(tmp_path / "repository", BEFORE, AFTER)), "main~1", "main"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= WIDTH


def test_without_arguments_the_working_tree_is_compared_with_where_it_left_main(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = repository(server("gpu-a"), deployment("scorer", 1, on="gpu-a"))
    folder = checkout(tmp_path / "repository", one)
    start = git("rev-parse", "HEAD", cwd=folder)
    git("checkout", "--quiet", "-b", "mine", cwd=folder)
    put(folder, {**one, **repository(deployment("scorer", 2, on="gpu-a"))})
    commit_files(folder, {})
    git("checkout", "--quiet", "main", cwd=folder)
    commit_files(folder, repository(deployment("other", 1, on="gpu-a")))
    git("checkout", "--quiet", "mine", cwd=folder)
    put(folder, {**one, **repository(deployment("scorer", 3, on="gpu-a"))})
    change = told(capsys, "-C", folder)
    assert (change["base"], change["head"]) == (start[:10], "the working tree")
    (found,) = change["clusters"][0]["deployments"]
    assert (found["key"], found["before"]["revision"], found["after"]["revision"]) == ("fraud/scorer", "1", "3")


def test_without_a_commit_there_is_nothing_to_compare_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("init", "--quiet", cwd=tmp_path)
    assert main(["diff", "-C", str(tmp_path)]) == 2
    assert "has no commit yet that the working tree could be compared with" in capsys.readouterr().err


def test_nothing_changed_says_so_and_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = told(capsys, "-C", checkout(tmp_path / "repository", BEFORE))["clusters"][0]
    assert cluster["objects"]["changes"] == cluster["deployments"] == cluster["servers"] == cluster["memory"] == []
    assert cluster["objects"]["unchanged"] > 0


def test_a_warning_alone_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = repository(server("gpu-a"), deployment("scorer", 1, on="gpu-a"))
    folder = checkout(tmp_path / "repository", one)
    put(folder, {**one, **repository(deployment("scorer", 2, on="gpu-a", rollout={"steps": STEPS}))})
    (finding,) = told(capsys, "-C", folder)["clusters"][0]["findings"]
    assert finding["severity"] == "warning"


def test_a_warning_that_a_comment_silences_is_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = repository(server("gpu-a"), deployment("scorer", 1, on="gpu-a"))
    folder = checkout(tmp_path / "repository", one)
    text = deployment("scorer", 2, on="gpu-a", rollout={"steps": STEPS})
    silent = text.replace("steps:\n", "steps:\n    # fresco: ignore FR043 because it gets a canary slice soon\n")
    put(folder, {**one, **repository(silent)})
    assert told(capsys, "-C", folder)["clusters"][0]["findings"] == []


def test_the_repository_is_found_upwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkout(tmp_path / "repository", BEFORE)
    monkeypatch.chdir(folder / "deployments")
    assert told(capsys)["clusters"][0]["deployments"] == []


def test_a_folder_inside_a_repository_is_compared_with_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = repository(server("gpu-a"), deployment("scorer", 1, on="gpu-a"))
    folder = checkout(tmp_path / "repository", {f"inside/{path}": text for path, text in one.items()})
    (folder / "inside" / "deployments" / "scorer.yaml").write_text(deployment("scorer", 2, on="gpu-a"))
    (found,) = told(capsys, "-C", folder / "inside")["clusters"][0]["deployments"]
    assert found["what"] == What.ROLLOUT


def test_the_agents_branch_tells_the_state_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = checkout(tmp_path / "repository", repository(server("gpu-a"), deployment("scorer", 2, on="gpu-a")))
    status = settled(wanted(repository(server("gpu-a"), deployment("scorer", 1, on="gpu-a"))))
    git("checkout", "--quiet", "--orphan", f"clusters/{CLUSTER}", cwd=folder)
    put(folder, {path: content.decode() for path, content in plan.files(status).items()})
    tip = commit_files(folder, {})
    git("checkout", "--quiet", "main", cwd=folder)
    (folder / "deployments" / "scorer.yaml").write_text(deployment("scorer", 3, on="gpu-a"))
    (cluster,) = told(capsys, "-C", folder)["clusters"]
    assert cluster["now"] == f"clusters/{CLUSTER} at {tip[:10]}"
    assert cluster["deployments"][0]["before"]["revision"] == "1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nowhere"], "no revision 'nowhere'"), (["--cluster", "none"], "no cluster 'none': there is prod")],
)
def test_wrong_use_ends_with_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "-C", str(checkout(tmp_path / "repository", BEFORE)), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_broken_fresco_yaml_freezes_and_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = checkout(tmp_path / "repository", BEFORE)
    (folder / "fresco.yaml").write_text("apiVersion: serving.fresco.dev/v1alpha1\nkind: Repository\nspec: {}\n")
    (cluster,) = told(capsys, "-C", folder, code=1)["clusters"]
    assert cluster["deployments"] == cluster["servers"] == cluster["objects"]["changes"] == []
    assert "broken" in cluster["notes"][0]
    assert len(cluster["findings"]) == 1


def test_a_new_cluster_begins_with_nothing_and_one_that_goes_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = repository(server("gpu-a"), deployment("scorer", 1, on="gpu-a"))
    folder = checkout(tmp_path / "repository", files)
    gateway = {"name": "public", "namespace": "gateway"}
    (folder / "fresco.yaml").write_text(settings(clusters=[{"name": "second", "gateway": gateway}]))
    second, first = told(capsys, "-C", folder)["clusters"]
    assert {one["action"] for one in second["objects"]["changes"]} == {"created"}
    assert second["deployments"][0]["what"] == What.FIRST
    assert "not in fresco.yaml any more" in first["notes"][0]
    assert first["objects"]["changes"] == []


def test_what_is_broken_on_both_sides_is_told_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkout(tmp_path / "repository", {"fresco.yaml": "apiVersion: serving.fresco.dev/v1alpha1\nkind: no\n"})
    change = told(capsys, "-C", folder, code=1)
    assert change["clusters"] == []
    assert [one["rule"] for one in change["findings"]] == ["FR004"]


def test_settings_of_a_cluster_are_told_once_for_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = checkout(tmp_path / "repository", BEFORE)
    gateway = {"name": "other", "namespace": "gateway", "implementation": "envoy"}
    clusters = [{"name": CLUSTER, "gateway": gateway}]
    (folder / "fresco.yaml").write_text(settings(clusters=clusters, guards={"maxServersAtOnce": 1}))
    (cluster,) = told(capsys, "-C", folder)["clusters"]
    assert "gateway.name: public → other" in cluster["notes"]
    assert "settle: 2s → 500ms" in cluster["notes"]
    assert "maxServersAtOnce: 5 → 1" in cluster["notes"]
    assert {one["kind"] for one in cluster["objects"]["changes"]} == {"HTTPRoute"}


def test_servers_that_get_new_pods_do_so_a_few_at_a_time() -> None:
    names = [f"gpu-{number}" for number in range(6)]
    models = [deployment(f"on-{name}", 1, on=name) for name in names]
    before, after = (
        repository(*(server(name, version=version) for name in names), *models) for version in ("24.10", "24.11")
    )
    change = compared(before, after)
    assert {one.what for one in change.servers} == {ServerWhat.ROLLOUT}
    assert change.notes == ("6 servers get new pods, at most 5 at once",)


def test_a_bare_repository_needs_both_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, bare = checkout(tmp_path / "repository", BEFORE, AFTER), tmp_path / "bare.git"
    git("clone", "--quiet", "--bare", str(folder), str(bare), cwd=tmp_path)
    assert main(["diff", "-C", str(bare)]) == 2
    assert "say BASE and HEAD" in capsys.readouterr().err
    assert told(capsys, "-C", bare, "main~1", "main", code=1) == told(capsys, "-C", folder, "main~1", "main", code=1)


@pytest.mark.parametrize(
    ("is_terminal", "no_color", "colored"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_color_is_for_terminals_whose_users_want_it(
    is_terminal: bool,
    no_color: str,
    colored: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    main(["diff", "-C", str(checkout(tmp_path / "repository", BEFORE))])
    assert ("\x1b[" in capsys.readouterr().out) is colored


# ---- what begins


def wanted(files: Files, previous: Tree | None = None) -> Wanted:
    """What `files` ask of the cluster."""
    loaded = Loaded({path: load_file(path, text.encode()) for path, text in files.items()})
    return accept(loaded, CLUSTER, previous)


def compared(before: Files, after: Files, now: Tree | None = None) -> ClusterChange:
    """The change between two sets of files, on the status `now`, or on that of `before` when all is through."""
    status = now if now is not None else settled(wanted(before))
    return cluster_change(Sides(status, wanted(before, status), wanted(after, status)), now="here")


TWICE = "while both revisions are loaded, models need up to 4Gi of 24Gi in a pod"


def one_model(revision: int, *, canary: int = 2, **more: Any) -> Files:
    """A server with one Deployment."""
    return repository(server("gpu-a", canary=canary), deployment("scorer", revision, on="gpu-a", **more))


def at_work(files: Files, revision: int, *, step: str, stage: Stage, work: Work = Work.ROLLOUT) -> Tree:
    """The status in which `revision` is being rolled out, or taken back, over what `files` ask for."""
    status = settled(wanted(files))
    scorer = status.deployments["fraud/scorer"]
    candidate = settled(wanted(one_model(revision))).deployments["fraud/scorer"].current
    slices: Any = {"main": 4, "canary": 2}
    progress = Progress(work=work, step=step, started_at=utc(0), since=utc(0), slices=slices)
    busy = replace(scorer, stage=stage, candidate=candidate, progress=progress)
    return replace(status, deployments={"fraud/scorer": busy})


def test_an_older_branch_is_not_blamed_for_what_main_has_got_meanwhile() -> None:
    files, newer = one_model(1), {**one_model(3), **repository(deployment("other", 1, on="gpu-a"))}
    after = {**files, **repository(server("gpu-b"))}
    change = compared(files, after, settled(wanted(newer)))
    assert change.deployments == ()
    assert [one.key for one in change.servers] == ["fraud/gpu-b"]
    assert {one.action for one in change.objects.changes} == {Action.CREATED}


def test_an_older_branch_is_not_blamed_for_what_it_does_not_have_yet() -> None:
    files = repository(server("gpu-a"), deployment("model-0", 1, on="gpu-a"))
    newer = {**files, **repository(*(deployment(f"model-{number}", 1, on="gpu-a") for number in range(1, 6)))}
    change = compared(files, {**files, **repository(server("gpu-b"))}, settled(wanted(newer)))
    assert change.findings == ()
    assert change.deployments == ()


def test_a_resource_in_another_file_is_the_same() -> None:
    files = one_model(1)
    moved = {"elsewhere.yaml" if "scorer" in path else path: f"# moved\n{text}" for path, text in files.items()}
    change = compared(files, moved)
    assert (change.deployments, change.servers, change.objects.changes) == ((), (), ())


def test_a_slice_that_comes_serves_what_is_on_the_server_already() -> None:
    before, after = one_model(1, canary=0), one_model(1, canary=1)
    status = settled(wanted(before))
    head = outcome(Sides(status, wanted(before, status), wanted(after, status)))
    assert plan.manifests(head) == plan.manifests(settled(wanted(after)))


def test_many_deletions_are_held_until_they_are_allowed() -> None:
    names = [f"model-{number}" for number in range(5)]
    files = repository(server("gpu-a"), *(deployment(name, 1, on="gpu-a") for name in names))
    held = compared(files, repository(server("gpu-a")))
    assert [one.what for one in held.deployments] == [What.HELD] * 5
    assert "waits" in held.deployments[0].notes[0]
    assert held.objects.changes == ()
    guards = {"allowDeletion": [f"Deployment fraud/{name}" for name in names]}
    allowed = compared(files, repository(server("gpu-a"), top=settings(guards=guards)))
    assert [one.what for one in allowed.deployments] == [What.DELETION] * 5
    assert [one.name for one in allowed.deployments[0].plan.steps] == ["traffic", "unload"]


def test_what_cannot_be_read_deletes_nothing() -> None:
    files = one_model(1)
    change = compared(files, {**files, "deployments/scorer.yaml": "apiVersion: serving.fresco.dev/v1alpha1\n- a\n"})
    assert [one.what for one in change.deployments] == [What.HELD]
    assert change.objects.changes == ()


def test_what_is_in_hand_for_another_revision_ends_first() -> None:
    now = at_work(one_model(1), 2, step="weight 1", stage=Stage.TRAFFIC_ROUTING)
    (found,) = compared(one_model(2), one_model(3), now).deployments
    assert found.what is What.ROLLOUT
    assert found.before is not None
    assert found.before.revision == "1"
    assert found.notes == ("the rollout of revision 2, which is in hand, ends first", TWICE)


def test_a_policy_applies_to_what_is_in_hand_from_its_step_on() -> None:
    now = at_work(one_model(1), 2, step="weight 1", stage=Stage.TRAFFIC_ROUTING)
    rollout = {"steps": STEPS, "bake": "1s"}
    (found,) = compared(one_model(2, rollout={"steps": STEPS}), one_model(2, rollout=rollout), now).deployments
    assert found.what is What.GOES_ON
    assert [one.name for one in found.plan.steps] == ["weight 1", "weight 2", "main first pod", "main", "bake"]
    assert found.plan.at_least == 5 * 60 + 10 * 60 + 1


def test_a_revision_that_failed_is_not_tried_again_without_a_new_attempt() -> None:
    status = settled(wanted(one_model(1)))
    scorer = status.deployments["fraud/scorer"]
    model = settled(wanted(one_model(2))).deployments["fraud/scorer"].current
    assert model is not None
    failed = FailedRevision(
        model_hash=model.model_hash,
        attempt=0,
        revision="2",
        digest=digest(2),
        reason="LoadFailed",
        message="no such operator",
        at=utc(0),
    )
    now = replace(status, deployments={"fraud/scorer": replace(scorer, failed=failed)})
    change = compared(one_model(1), one_model(2), now)
    assert change.deployments[0].what is What.NOTHING
    assert "no such operator" in change.deployments[0].notes[0]
    assert change.objects.changes == ()
    again = compared(one_model(1), one_model(2, rollout={"attempt": 1}), now)
    assert again.deployments[0].what is What.ROLLOUT


def test_a_template_that_failed_is_not_tried_again() -> None:
    files, newer = one_model(1), {**one_model(1), **repository(server("gpu-a", canary=2, version="24.11"))}
    status = settled(wanted(files))
    template = settled(wanted(newer)).servers["fraud/gpu-a"].current
    assert template is not None
    failed = FailedTemplate(template=template, reason="LoadFailed", message="no", at=utc(0))
    now = replace(status, servers={"fraud/gpu-a": replace(status.servers["fraud/gpu-a"], failed=failed)})
    change = compared(files, newer, now)
    assert change.servers[0].what is ServerWhat.NOTHING
    assert change.objects.changes == ()


def test_a_rollout_of_a_server_that_is_in_hand_is_mentioned() -> None:
    files, newer = one_model(1), {**one_model(1), **repository(server("gpu-a", canary=2, version="24.11"))}
    status = settled(wanted(files))
    slices: Any = {"main": 4, "canary": 2}
    progress = ServerProgress(work=Work.ROLLOUT, step="turn", started_at=utc(0), since=utc(0), slices=slices)
    busy = replace(status.servers["fraud/gpu-a"], progress=progress)
    now = replace(status, servers={"fraud/gpu-a": busy})
    change = compared(files, {**newer, **repository(deployment("scorer", 2, on="gpu-a"))}, now)
    assert change.servers[0].what is ServerWhat.ROLLOUT
    assert change.servers[0].notes == ("after the work on its pods that is in hand",)
    assert change.deployments[0].notes == (
        "begins when the pods of fraud/gpu-a are replaced, or they are when this is through",
        TWICE,
    )


def test_a_rollout_of_a_server_goes_on_when_something_else_of_it_changes() -> None:
    files = {**one_model(1), **repository(server("gpu-a", canary=2, version="24.11"))}
    more = {**files, **repository(server("gpu-a", canary=2, version="24.11", replicas=6))}
    status = settled(wanted(one_model(1)))
    slices: Any = {"main": 4, "canary": 2}
    progress = ServerProgress(work=Work.ROLLOUT, step="main", started_at=utc(0), since=utc(0), slices=slices)
    template = settled(wanted(files)).servers["fraud/gpu-a"].current
    busy = replace(status.servers["fraud/gpu-a"], progress=progress, candidate=template)
    (found,) = compared(files, more, replace(status, servers={"fraud/gpu-a": busy})).servers
    assert found.what is ServerWhat.GOES_ON
    assert [one.name for one in found.plan.steps] == ["main"]


def test_what_is_being_rolled_back_as_failed_is_not_tried_again() -> None:
    now = at_work(one_model(1), 2, step="restore", stage=Stage.ROLLBACK_IN_PROGRESS, work=Work.ROLLBACK)
    scorer = now.deployments["fraud/scorer"]
    assert scorer.progress is not None
    cause = Cause(kind="failed", reason="LoadFailed", message="no such operator")
    failing = replace(scorer, progress=replace(scorer.progress, cause=cause))
    change = compared(
        one_model(2), one_model(2, rollout={"bake": "1s"}), replace(now, deployments={"fraud/scorer": failing})
    )
    assert change.deployments[0].what is What.NOTHING
    assert change.deployments[0].notes[0] == "after the rollback in hand"
    assert "no such operator" in change.deployments[0].notes[1]


def test_what_goes_together_with_its_server_goes_as_it_does_alone() -> None:
    one = repository(server("gpu-a"), server("gpu-b"), deployment("old", 1, on="gpu-a"))
    (alone,) = compared(one, repository(server("gpu-a"), server("gpu-b"))).deployments
    (together,) = compared(one, repository(server("gpu-b"))).deployments
    assert [step.name for step in alone.plan.steps] == ["traffic", "unload"]
    assert together == alone


def test_what_was_never_accepted_or_seen_goes_without_steps() -> None:
    files = repository(server("gpu-a"), deployment("new", 1, on="gpu-a"))
    refused = repository(server("gpu-a"), deployment("new", 1, on="gpu-z"))
    for one, now in ((files, repository(server("gpu-a"))), (refused, refused)):
        (change,) = compared(one, repository(server("gpu-a")), settled(wanted(now))).deployments
        assert (change.what, change.before, change.plan.steps) == (What.DELETION, None, ())


def test_a_status_by_hand_in_which_a_server_is_missing_is_compared_all_the_same() -> None:
    one, other = one_model(1), one_model(1, rollout={"bake": "1s"})
    now = replace(settled(wanted(one)), servers={})
    assert compared(one, other, now).memory == ()


def test_a_server_stays_while_something_is_served_on_it() -> None:
    change = compared(one_model(1), repository(deployment("scorer", 1, on="gpu-a")))
    assert change.servers[0].what is ServerWhat.DELETION
    assert change.servers[0].notes == ("stays until nothing is served on it any more",)
    assert change.deployments[0].what is What.REFUSED
    assert change.objects.changes == ()


def test_memory_counts_a_second_copy_of_each_emergency_and_of_the_largest_of_the_others() -> None:
    def files(revision: int) -> Files:
        urgent = {"strategy": "emergency", "reason": "it is wrong"}
        return repository(
            server("gpu-a"),
            deployment("one", revision, on="gpu-a", memory="1Gi"),
            deployment("two", revision, on="gpu-a", memory="3Gi"),
            deployment("three", revision, on="gpu-a", memory="2Gi", rollout=urgent),
            deployment("four", 1, on="gpu-a", memory="512Mi"),
        )

    (row,) = compared(files(1), files(2)).memory
    assert (row.before, row.during, row.after, row.room) == (
        6656 << 20,
        (6656 + 3072 + 2048) << 20,
        6656 << 20,
        24 << 30,
    )


def noted(base: Files, head: Files) -> tuple[str, ...]:
    """What is told beside the only Deployment that differs."""
    (change,) = compared(base, head).deployments
    return change.notes


def test_what_is_needed_meanwhile_is_told_where_both_revisions_are_loaded() -> None:
    assert noted(one_model(1), one_model(2)) == (TWICE,)
    assert noted(one_model(1), one_model(2, memory="512Mi")) == (TWICE.replace("4Gi of", "2560Mi of"),)
    roomy = repository(server("gpu-a", resources={"gpu": {"count": 1}}))
    one, two = ({**one_model(revision), **roomy} for revision in (1, 2))
    assert noted(one, two) == (TWICE.replace(" of 24Gi", ""),)


def test_where_one_revision_is_loaded_at_a_time_nothing_is_told_of_memory() -> None:
    servers = repository(server("gpu-a"), server("gpu-b"))
    one = {**servers, **repository(deployment("scorer", 1, on="gpu-a"))}
    assert noted(servers, one) == ()
    assert noted(one, servers) == ()
    assert noted(one, {**servers, **repository(deployment("scorer", 1, on="gpu-b"))}) == ()
    assert noted(one, {**one, **repository(deployment("scorer", 1, on="gpu-a", rollout={"bake": "1s"}))}) == ()


# ---- what differs

_REVISIONS = st.sampled_from((0, 1, 2))
_MODELS = st.fixed_dictionaries(
    {
        name: st.tuples(_REVISIONS, st.sampled_from(("gpu-a", "gpu-b")), st.booleans())
        for name in ("scorer", "ranker", "tagger")
    }
)
_SERVERS = st.fixed_dictionaries(
    {
        name: st.tuples(st.sampled_from((0, 2)), st.sampled_from(("24.10", "24.11")), st.sampled_from((3, 4)))
        for name in ("gpu-a", "gpu-b")
    }
)


@st.composite
def _repositories(draw: st.DrawFn) -> Files:
    servers = [
        server(name, canary=canary, version=version, replicas=replicas)
        for name, (canary, version, replicas) in draw(_SERVERS).items()
    ]
    models = [
        deployment(name, revision, on=home, traffic={"hostnames": ["models.example.com"]} if named else {})
        for name, (revision, home, named) in draw(_MODELS).items()
        if revision
    ]
    return repository(*servers, *models, top=settings(guards={"maxDeletions": 5}))


@hypothesis_settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(before=_repositories(), after=_repositories())
def test_exactly_the_objects_whose_bytes_differ_are_reported(before: Files, after: Files) -> None:
    old, new = (plan.manifests(settled(wanted(files))) for files in (before, after))
    objects = compared(before, after).objects
    assert {one.path: one.action for one in objects.changes} == {
        path: Action.CREATED if path not in old else Action.DELETED if path not in new else Action.CHANGED
        for path in old.keys() | new.keys()
        if old.get(path) != new.get(path)
    }
    assert objects.unchanged == sum(old[path] == new.get(path) for path in old)


@hypothesis_settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(before=_repositories(), after=_repositories())
def test_what_is_told_is_what_the_rules_then_do(before: Files, after: Files) -> None:
    simulator = Simulator(wanted(before))
    simulator.run(limit=1000)
    now = simulator.tree
    sides = Sides(now, wanted(before, now), wanted(after, now))
    change = cluster_change(sides, now="here")
    simulator.wanted = sides.head
    simulator.run(limit=1000)
    assert plan.manifests(simulator.tree) == plan.manifests(outcome(sides))
    resized = {one.key for one in change.servers if any(None in (each.before, each.after) for each in one.slices)}
    for one in change.deployments:
        # A move and a slice that comes where it leads race for which of them is seen first.
        is_clear = one.after is not None and (one.what is not What.MOVE or f"fraud/{one.after.server}" not in resized)
        if one.what in (What.FIRST, What.ROLLOUT, What.MOVE) and is_clear:
            _, *done, last = simulator.status(one.key).transitions
            assert [step.step for step in done] == [step.name for step in one.plan.steps]
            assert last.step == "done"
    for server_change in change.servers:
        if server_change.what is ServerWhat.ROLLOUT:
            entered = [one.step for one in simulator.tree.servers[server_change.key].transitions]
            assert {one.name for one in server_change.plan.steps} <= set(entered)


@hypothesis_settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(first=_repositories(), before=_repositories(), after=_repositories(), rounds=st.integers(0, 12))
def test_whatever_is_in_hand_what_is_told_is_served_in_the_end(
    first: Files, before: Files, after: Files, rounds: int
) -> None:
    simulator = Simulator(wanted(first))
    simulator.run(limit=1000)
    simulator.wanted = wanted(before, simulator.tree)
    for _ in range(rounds):
        simulator.step()
    now = simulator.tree
    sides = Sides(now, wanted(before, now), wanted(after, now))
    change = cluster_change(sides, now="here")
    simulator.wanted = sides.head
    simulator.after_commit = lambda: setattr(simulator, "wanted", wanted(after, simulator.tree))
    simulator.run(limit=2000)
    end = outcome(sides)
    keys = [one.key for one in change.deployments]
    assert [served(simulator.tree, key) for key in keys] == [served(end, key) for key in keys]


def served(tree: Tree, key: str) -> str | None:
    """The hash of what is current of a Deployment."""
    status = tree.deployments.get(key)
    return status.current.model_hash if status is not None and status.current is not None else None


def test_nothing_at_all_is_compared_with_everything() -> None:
    head = wanted(BEFORE)
    empty = nothing(head.repository)
    change = cluster_change(Sides(Tree(repository=empty.repository), empty, head), now="nothing")
    assert {one.path for one in change.objects.changes} == plan.manifests(settled(head)).keys()
    assert {one.what for one in change.deployments} == {What.FIRST}
    assert {one.what for one in change.servers} == {ServerWhat.CREATION}
