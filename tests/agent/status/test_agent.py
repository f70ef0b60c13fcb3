"""The whole agent: real git over HTTP, real commits, a simulated cluster. The stories of a model's life."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import yaml

from agent.local.git_server import GitServer
from agent.status.branch import Moved
from agent.status.health import Trouble
from agent.status.writeback import Tips, WriteBack
from render.errors import RemoteUnavailable
from schemas.report import ModelState, Reason, ReportError, Requests
from schemas.status import Finding, ServerStage, Stage
from tests.support.bad_proxy import Mode, bad_proxy
from tests.support.git import commit_files, git
from tests.support.harness import BRANCH, SCORER, STEPS, Harness, deployment, digest, harness, repository, server
from tests.support.simulated_cluster import Fate, SimulatedPod

FIRST = {"fresco.yaml": repository(), "server.yaml": server(), "scorer.yaml": deployment(1)}
WITH_CANARY = {**FIRST, "server.yaml": server(canary=1), "scorer.yaml": deployment(1, steps=STEPS)}


@pytest.fixture
async def scene(git_server: GitServer, repositories: Path, tmp_path: Path) -> AsyncIterator[Harness]:
    """A repository, a cluster and no agent yet; what must be true of every history is checked at the end."""
    async with harness(git_server, repositories, tmp_path) as made:
        yield made
        await made.kill()
        if git("for-each-ref", f"refs/heads/{BRANCH}", cwd=made.served):
            made.check_history()


@pytest.fixture
async def served(scene: Harness) -> Harness:
    """Revision 1 is served on two pods of main and one canary."""
    scene.commit(WITH_CANARY)
    await scene.start()
    await scene.until_at(Stage.ROLLOUT_COMPLETE, 1)
    return scene


def stages(scene: Harness, name: str = SCORER) -> list[str]:
    """The stages of a Deployment as `git log` tells them, repetitions left out."""
    told = [line for subject in scene.subjects() for line in [subject] if line.startswith(f"{name}: ")]
    found = [line.removeprefix(f"{name}: ").partition(",")[0] for line in told]
    return [stage for index, stage in enumerate(found) if index == 0 or found[index - 1] != stage]


# ---- the life of a model


async def test_a_first_rollout_from_an_empty_repository(scene: Harness) -> None:
    await scene.start()
    await scene.until(
        lambda: scene.agent is not None and bool(scene.agent.health.troubles), "a word on what is missing"
    )
    scene.commit(FIRST)
    await scene.until_at(Stage.ROLLOUT_COMPLETE, 1)

    assert scene.serving() == {digest(1)}
    assert "fraud/scorer" in scene.cluster.routes
    assert scene.tree.servers["fraud/gpu-a"].stage is ServerStage.SERVE
    assert "manifests/fraud/routes/scorer.yaml" in scene.files()
    assert "status/fraud/deployments/scorer.yaml" in scene.files()
    assert "Rollout Complete" in scene.show("status/fraud/README.md")


async def test_a_progressive_rollout_by_steps(served: Harness) -> None:
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert served.serving() == {digest(2)}
    assert weights(served) == [(100, 0), (90, 10), (50, 50), None]


async def test_an_analysis_beyond_its_limits_rolls_back(served: Harness) -> None:
    steps = [{"weight": 10, "soak": "1h"}]
    served.commit({"scorer.yaml": deployment(2, steps=steps, analysis={"maxErrorRate": 0.1, "minRequests": 10})})
    await served.until(lambda: (90, 10) in weights(served), "the first step")
    await served.until(
        lambda: bool((status := served.scorer()) and status.progress and status.progress.baseline), "soak"
    )
    canary = served.cluster.pods["fraud/gpu-a-canary-0"]
    model = msgspec.structs.replace(canary.models["scorer"], requests=Requests(count=100, failures=50))
    canary.models = {**canary.models, "scorer": model}  # counters alone do not move `seq`
    await served.until_at(Stage.ROLLBACK_COMPLETE, 1)
    status = served.scorer()
    assert status is not None
    assert status.failed is not None
    assert status.failed.reason == "AnalysisErrorRate"
    assert served.serving() == {digest(1)}


async def test_what_an_analysis_subtracts_survives_a_restart(served: Harness) -> None:
    """What had failed before its soak is none of the candidate's."""
    canary = served.cluster.pods["fraud/gpu-a-canary-0"]

    def count(requests: int, failures: int) -> None:
        model = msgspec.structs.replace(canary.models["scorer"], requests=Requests(count=requests, failures=failures))
        canary.models = {**canary.models, "scorer": model}

    def counted() -> int:
        progress = status.progress if (status := served.scorer()) is not None else None
        return progress.baseline["canary"].count if progress is not None and progress.baseline else 0

    analysis = {"maxErrorRate": 0.1, "minRequests": 10}
    count(1000, 900)
    served.commit({"scorer.yaml": deployment(2, steps=[{"weight": 10, "soak": "1h"}], analysis=analysis)})
    await served.until(lambda: counted() == 1000, "the soak begins")
    await served.kill()
    count(1100, 900)
    agent = await served.start()

    def seen() -> int:
        pods = [pod for pod in agent.observer.pods("fraud/gpu-a") if pod.slice == "canary" and pod.report is not None]
        return sum(pod.report.models["scorer"].requests.count for pod in pods if pod.report is not None)

    await served.until(lambda: served.scorer() is not None and seen() == 1100, "the next agent sees the newer count")
    assert (status := served.scorer()) is not None
    assert status.stage is Stage.TRAFFIC_ROUTING
    count(1200, 990)
    await served.until_at(Stage.ROLLBACK_COMPLETE, 1)
    assert (status := served.scorer()) is not None
    assert status.failed is not None
    assert status.failed.reason == "AnalysisErrorRate"


@pytest.mark.parametrize("reason", [Reason.LOAD_FAILED, Reason.PROOF_MISMATCH])
async def test_a_revision_that_does_not_load_is_rolled_back(served: Harness, reason: Reason) -> None:
    served.cluster.fates[digest(2)] = Fate(load=reason)
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLBACK_COMPLETE, 1)
    status = served.scorer()
    assert status is not None
    assert status.failed is not None
    assert status.failed.reason == reason
    assert served.serving() == {digest(1)}
    before = served.commits()

    served.cluster.fates.clear()
    served.commit({"scorer.yaml": deployment(2, steps=STEPS, attempt=1)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert served.commits()[: len(before)] == before


async def test_a_wrong_digest_never_leaves_asset_preparation(served: Harness) -> None:
    served.cluster.fates[digest(2)] = Fate(stage=Reason.DIGEST_MISMATCH)
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLBACK_COMPLETE, 1)
    assert all(name != "scorer" or one in (None, digest(1)) for pod in pods(served) for name, one in pod.served)


async def test_a_load_that_hangs_is_rolled_back_at_its_deadline(served: Harness) -> None:
    served.cluster.fates[digest(2)] = Fate(hangs=True)
    served.commit({"scorer.yaml": deployment(2, steps=STEPS, deadlines={"resourceAcquisition": "500ms"})})
    await served.until_at(Stage.ROLLBACK_COMPLETE, 1)
    status = served.scorer()
    assert status is not None
    assert status.failed is not None
    assert status.failed.reason == "DeadlineMissed"


async def test_a_revert_in_mid_rollout(served: Harness) -> None:
    served.commit({"scorer.yaml": deployment(2, steps=[{"weight": 10, "soak": "1h"}])})
    await served.until(lambda: (90, 10) in weights(served), "the first step")
    served.commit({"scorer.yaml": deployment(1, steps=STEPS)}, message="Revert")
    await served.until_at(Stage.ROLLBACK_COMPLETE, 1)
    status = served.scorer()
    assert status is not None
    assert status.failed is None
    assert served.serving() == {digest(1)}


async def test_a_newer_revision_in_mid_rollout(served: Harness) -> None:
    served.commit({"scorer.yaml": deployment(2, steps=[{"weight": 10, "soak": "1h"}])})
    await served.until(lambda: (90, 10) in weights(served), "the first step")
    served.commit({"scorer.yaml": deployment(3, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 3)
    assert served.serving() == {digest(3)}


async def test_an_emergency_skips_waves_and_soaks(served: Harness) -> None:
    served.commit({"scorer.yaml": deployment(2, strategy="emergency", reason="credentials leaked")})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert weights(served) == [None]


async def test_a_paused_rollout_waits_and_goes_on(served: Harness) -> None:
    served.commit({"scorer.yaml": deployment(2, steps=STEPS, paused=True)})
    await served.until(lambda: (status := served.scorer()) is not None and "paused" in status.message, "paused")
    assert served.serving() == {digest(1)}
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)


async def test_a_deletion_takes_the_route_first_then_the_model_then_the_files(served: Harness) -> None:
    served.commit({"scorer.yaml": None})
    await served.until(lambda: served.scorer() is None, "forgotten")
    assert served.serving() == {None}
    assert not served.cluster.routes
    told = stages(served)
    assert told.index("Clean Up In Progress") + 1 == told.index("Clean Up Complete") == len(told) - 2
    gone = {"manifests/fraud/routes/scorer.yaml", "status/fraud/deployments/scorer.yaml"}
    assert not gone & set(served.files())

    served.commit({"server.yaml": None})
    await served.until(lambda: not served.tree.servers, "the server is forgotten")
    assert not [path for path in served.files() if path.startswith("manifests/")]
    await served.until(lambda: not served.cluster.pods, "its pods are gone")


async def test_models_share_a_server_and_commits(scene: Harness) -> None:
    names = [f"model-{index}" for index in range(8)]
    files = {f"{name}.yaml": deployment(1, name=name) for name in names}
    scene.commit({"fresco.yaml": repository(), "server.yaml": server(), **files})
    await scene.start()
    wanted = {f"fraud/{name}" for name in names}

    def complete() -> bool:
        tree = scene.agent.branch.tree if scene.agent else None
        done = (
            {name for name, one in tree.deployments.items() if one.stage is Stage.ROLLOUT_COMPLETE} if tree else set()
        )
        return done == wanted

    await scene.until(complete, "all complete")
    assert any(" changes: " in subject for subject in scene.subjects())


# ---- what humans get wrong


async def test_a_broken_file_keeps_its_resource_and_lets_the_others_go_on(served: Harness) -> None:
    served.commit({"other.yaml": deployment(1, name="other")})
    await served.until(lambda: "fraud/other" in served.tree.deployments, "the other is accepted")
    served.commit({"scorer.yaml": deployment(2) + "  unknownField: 1\n", "other.yaml": deployment(2, name="other")})

    def other_is_done() -> bool:
        status = served.tree.deployments["fraud/other"]
        return status.current is not None and status.current.revision == "2" and status.progress is None

    await served.until(other_is_done, "the other goes on")
    status = served.scorer()
    assert status is not None
    assert [finding.file for finding in status.findings if finding.severity == "error"] == ["scorer.yaml"]
    assert served.is_at(Stage.ROLLOUT_COMPLETE, 1)
    assert "scorer.yaml" in "".join(served.show(path) for path in served.files() if path.endswith(".md"))


async def test_a_file_that_cannot_be_read_deletes_nothing(served: Harness) -> None:
    before = served.scorer()
    served.commit({"scorer.yaml": "apiVersion: serving.fresco.dev/v1alpha1\nkind: [\n"})
    await served.until(lambda: bool(findings(served)), "the finding")
    status = served.scorer()
    assert before is not None
    assert status is not None
    assert status.current == before.current
    assert served.serving() == {digest(1)}


async def test_a_name_defined_twice_keeps_what_was_accepted(served: Harness) -> None:
    served.commit({"copy.yaml": deployment(2)})
    await served.until(lambda: bool((status := served.scorer()) and status.findings), "the finding")
    assert served.is_at(Stage.ROLLOUT_COMPLETE, 1)
    served.commit({"copy.yaml": None})
    await served.until(lambda: bool((status := served.scorer()) and not status.findings), "mended")


async def test_a_server_that_goes_before_its_model_stays(served: Harness) -> None:
    served.commit({"server.yaml": None})
    await served.until(lambda: bool(findings(served)), "the finding")
    assert served.serving() == {digest(1)}
    assert "fraud/gpu-a" in served.tree.servers


async def test_a_name_that_gets_free_goes_to_who_waits_for_it(served: Harness) -> None:
    heir = deployment(2, name="heir").replace("model:\n", "model:\n    name: scorer\n")
    served.commit({"scorer.yaml": None, "heir.yaml": heir}, message="another Deployment of the same name")
    await served.until(lambda: SCORER not in served.tree.deployments, "the one before is cleaned up")

    def done() -> bool:
        status = served.tree.deployments.get("fraud/heir")
        return status is not None and status.stage is Stage.ROLLOUT_COMPLETE and status.progress is None

    await served.until(done, "its heir is served, without another commit")
    assert served.serving() == {digest(2)}


async def test_a_deployment_without_its_server_says_so(scene: Harness) -> None:
    scene.commit({"fresco.yaml": repository(), "scorer.yaml": deployment(1, on="absent")})
    await scene.start()
    await scene.until(lambda: bool((status := scene.scorer()) and status.findings), "the finding")
    status = scene.scorer()
    assert status is not None
    assert status.stage is Stage.VALIDATION
    scene.commit({"server.yaml": server("absent")})
    await scene.until_at(Stage.ROLLOUT_COMPLETE, 1)


async def test_a_broken_fresco_yaml_freezes_everything(served: Harness) -> None:
    served.commit({"fresco.yaml": "kind: nonsense\n", "scorer.yaml": deployment(2)})
    await served.until(lambda: served.tree.repository.frozen, "frozen")
    assert served.is_at(Stage.ROLLOUT_COMPLETE, 1)
    served.commit({"fresco.yaml": repository()})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert not served.tree.repository.frozen


# ---- git


async def test_nothing_new_no_commit(served: Harness) -> None:
    before = served.commits()
    commit = served.commit({"README.md": "hello"})
    assert served.agent is not None
    await served.until(lambda: served.agent is not None and served.agent.branch.tips.main == commit, "main seen")
    served.agent.refresh()
    await asyncio.sleep(0.3)
    assert served.commits() == before


async def test_what_a_human_adds_to_the_branch_stays_and_what_is_in_the_way_goes(served: Harness) -> None:
    by_hand(served, {"README.md": "ours", "manifests/fraud/routes/stray.yaml": "a: 1\n", "status/stray.yaml": "b: 1\n"})
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert "README.md" in served.files()
    assert not [path for path in served.files() if "stray" in path]


async def test_a_rival_push_between_fetch_and_push_is_kept(served: Harness) -> None:
    served.commit({"scorer.yaml": deployment(2, steps=[{"weight": share, "soak": "200ms"} for share in (10, 20, 30)])})
    for number in range(5):
        with contextlib.suppress(Exception):
            by_hand(served, {f"notes-{number}.md": "ours"}, again=number)
        await asyncio.sleep(0.1)
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert "notes-0.md" in served.files()


async def test_a_refused_push_is_said_and_not_tried_for_ever(served: Harness) -> None:
    log = served.directory / "pushes"
    hook(served, f"while read old new ref; do case $ref in refs/heads/{BRANCH}) echo no >> {log}; exit 1;; esac; done")
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    assert served.agent is not None
    await served.until(lambda: served.agent is not None and Trouble.PUSH in served.agent.health.troubles, "refusal")
    await asyncio.sleep(1.0)
    assert log.read_text().count("no") == 1
    assert served.serving() == {digest(1)}

    (served.served / "hooks" / "pre-receive").unlink()
    served.commit({"README.md": "try again"})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert not served.agent.health.troubles


async def test_a_repository_that_is_away_for_a_while(served: Harness) -> None:
    away = served.served.with_name("away.git")
    served.served.rename(away)
    assert served.agent is not None
    served.agent.refresh()
    await served.until(lambda: served.agent is not None and Trouble.REPOSITORY in served.agent.health.troubles, "away")
    away.rename(served.served)
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)


async def test_a_branch_that_vanishes_is_put_back_as_it_was(served: Harness) -> None:
    before = served.commits()
    git("update-ref", "-d", f"refs/heads/{BRANCH}", cwd=served.served)
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert served.commits()[: len(before)] == before


def branch_named(name: str) -> str:
    """A `fresco.yaml` that gives the cluster a branch of this name."""
    text = yaml.safe_load(repository())
    text["spec"]["clusters"][0]["branch"] = name
    return yaml.safe_dump(text)


async def test_another_name_for_the_branch_goes_on_with_what_is_there(served: Harness) -> None:
    applied = len(served.cluster.applied)
    before = served.commits()
    served.commit({"fresco.yaml": branch_named("envs/local"), "scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    new = git("log", "--reverse", "--format=%H", "envs/local", cwd=served.served).splitlines()
    assert new[: len(before)] == before
    for commit in served.cluster.applied[applied:]:
        assert "manifests/fraud/routes/scorer.yaml" in served.files(commit)


async def test_another_name_for_the_branch_waits_for_a_repository_that_is_away_just_then(
    served: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what is there under the old name the cluster would begin anew under the new one."""
    before, fetch, failed = served.commits(), WriteBack.fetch, list[str]()

    def once_away(writeback: WriteBack) -> Tips:
        tips = fetch(writeback)
        if tips.cluster is None and not failed:
            failed.append("away")
            raise RemoteUnavailable("away")
        return tips

    monkeypatch.setattr(WriteBack, "fetch", once_away)
    served.commit({"fresco.yaml": branch_named("envs/local"), "scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert failed
    new = git("log", "--reverse", "--format=%H", "envs/local", cwd=served.served).splitlines()
    assert new[: len(before)] == before
    assert served.serving() == {digest(2)}


async def test_a_branch_that_vanishes_while_nobody_watches_is_put_back_too(served: Harness) -> None:
    before = served.commits()
    await served.kill()
    git("update-ref", "-d", f"refs/heads/{BRANCH}", cwd=served.served)
    await served.start()
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert served.commits()[: len(before)] == before


async def test_a_memory_of_the_branch_that_is_empty_is_none(served: Harness) -> None:
    await served.kill()
    (memory,) = served.directory.rglob("fresco-branch")
    memory.write_text("")
    await served.start()
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)


async def test_the_branch_where_people_work_is_never_written(scene: Harness) -> None:
    scene.commit({**FIRST, "fresco.yaml": branch_named("people")})
    git("push", "--quiet", scene.url, "HEAD:people", cwd=scene.checkout)
    await scene.start(main="people")
    await scene.until(lambda: scene.agent is not None and Trouble.MAIN in scene.agent.health.troubles, "a word on it")
    assert git("log", "--author=fresco-agent", "--format=%H", "people", cwd=scene.served) == ""


async def test_a_branch_that_is_set_back_goes_on_from_there(served: Harness) -> None:
    """Somebody has forced it back into the middle of a rollout: what the agent finds is what it goes on from."""
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    commits = served.commits()
    middle = next(one for one, subject in zip(commits, served.subjects(), strict=True) if "10 %" in subject)
    git("update-ref", f"refs/heads/{BRANCH}", middle, cwd=served.served)
    served.commit({"README.md": "somebody was here"})
    await served.until(lambda: served.commits()[-1] not in commits, "a commit on top of the old one")
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert middle in served.commits()
    assert served.serving() == {digest(2)}


@pytest.mark.parametrize("how", [Mode.SLOW, Mode.SHUT, Mode.HALF])
async def test_a_git_server_that_is_slow_refuses_or_answers_half(served: Harness, how: Mode) -> None:
    await served.kill()
    async with bad_proxy(served.url) as way:
        agent = await served.start(url=way.url(served.url))
        await served.until_at(Stage.ROLLOUT_COMPLETE, 1)
        way.mode = how
        served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
        if how is Mode.SLOW:
            await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
        else:
            await served.until(lambda: Trouble.REPOSITORY in agent.health.troubles, "it says that the server is away")
            assert served.serving() == {digest(1)}
        way.mode = Mode.THROUGH
        agent.refresh()
        await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
        await served.until(lambda: not agent.health.troubles, "no trouble is left")
        await served.kill()


async def test_a_push_whose_answer_is_lost_is_not_made_again(served: Harness) -> None:
    await served.kill()
    async with bad_proxy(served.url) as way:
        agent = await served.start(url=way.url(served.url))
        await served.until_at(Stage.ROLLOUT_COMPLETE, 1)
        way.mode = Mode.DEAF
        served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
        await served.until(lambda: way.deaf == 1, "a push whose answer is lost")
        agent.refresh()
        await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
        told = [subject for subject in served.subjects() if "revision 2: 10 % of the requests" in subject]
        assert len(told) == len(set(told))
        await served.kill()


async def test_only_pods_whose_config_was_applied_are_nudged(served: Harness) -> None:
    served.cluster.nudged.clear()
    served.commit({"scorer.yaml": deployment(2, steps=[{"weight": 10, "soak": "1h"}])})
    await served.until(lambda: (90, 10) in weights(served), "the first step")
    assert set(served.cluster.nudged) == {"fraud/gpu-a-canary-0", "fraud/gpu-a-main-0", "fraud/gpu-a-main-1"}
    served.cluster.nudged.clear()
    served.commit({"scorer.yaml": deployment(2, steps=[{"weight": 20, "soak": "1h"}])})
    await served.until(lambda: (80, 20) in weights(served), "the policy applies live")
    assert not served.cluster.nudged


async def test_a_broken_status_file_stops_the_writing_until_it_is_mended(served: Harness) -> None:
    path = "status/fraud/deployments/scorer.yaml"
    good = served.show(path) + "\n"
    by_hand(served, {path: "stage: nonsense\n"})
    assert served.agent is not None
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until(lambda: served.agent is not None and Trouble.STATUS in served.agent.health.troubles, "told")
    assert served.serving() == {digest(1)}
    by_hand(served, {path: good}, again=1)
    served.agent.refresh()
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)


async def test_the_older_of_two_agents_stops_writing(served: Harness) -> None:
    older = served.agent
    older_task = served.task
    assert older is not None
    assert older_task is not None
    served.agent = served.task = None
    await served.start(fresh=True)
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    served.commit({"scorer.yaml": deployment(3, steps=STEPS)})
    older.refresh()
    await served.until_at(Stage.ROLLOUT_COMPLETE, 3)
    older.refresh()
    await served.until(lambda: Trouble.LEADER in older.health.troubles, "the older one says so")
    older_task.cancel()
    await asyncio.wait([older_task])


# ---- restarts


@pytest.mark.parametrize("seed", range(3))
async def test_killed_at_any_moment_and_started_again_it_goes_on(scene: Harness, seed: int) -> None:
    dice = random.Random(seed)
    scene.commit(WITH_CANARY)
    for revision in (1, 2):
        scene.commit({"scorer.yaml": deployment(revision, steps=STEPS), "note.md": str(revision)})
        while True:
            await scene.start(fresh=dice.random() < 0.5)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(dice.uniform(0.1, 1.2)):
                    await scene.until_at(Stage.ROLLOUT_COMPLETE, revision)
            done = scene.is_at(Stage.ROLLOUT_COMPLETE, revision)
            await scene.kill()
            if done:
                break
    assert scene.serving() == {digest(2)}
    assert [one for one in weights(scene) if one] == sorted({one for one in weights(scene) if one}, reverse=True)


async def test_a_time_that_nobody_watched_counts_for_no_soak(served: Harness) -> None:
    served.commit({"scorer.yaml": deployment(2, steps=[{"weight": 10, "soak": "1h"}])})
    await served.until(lambda: bool((one := served.scorer()) and one.progress and one.progress.live_since), "the soak")
    await served.kill()
    served.cluster.renewals.append(served.cluster.renewals[-1] - 100.0)
    await served.start(fresh=True)
    await served.until(lambda: bool((one := served.scorer()) and one.progress and one.progress.gaps), "the gap")
    status = served.scorer()
    assert status is not None
    assert status.progress is not None
    (gap,) = status.progress.gaps
    assert (gap.end - gap.start).total_seconds() >= 100.0


async def test_a_process_that_slept_counts_that_for_no_soak_either(served: Harness) -> None:
    served.commit({"scorer.yaml": deployment(2, steps=[{"weight": 10, "soak": "1h"}])})
    await served.until(lambda: bool((one := served.scorer()) and one.progress and one.progress.live_since), "the soak")
    served.skew += 10 * 3600.0  # as if it had been stopped, or the machine had slept
    await served.until(lambda: bool((one := served.scorer()) and one.progress and one.progress.gaps), "the gap")
    status = served.scorer()
    assert status is not None
    assert status.progress is not None
    assert status.progress.step == "weight 1"
    assert sum((gap.end - gap.start).total_seconds() for gap in status.progress.gaps) >= 10 * 3600.0 - 5.0


# ---- a clock that somebody sets


HOURS = 10 * 3600.0


def unannounced(scene: Harness, files: dict[str, str]) -> str:
    """A human's commit on main of which nobody tells the agent."""
    commit = commit_files(scene.checkout, files)
    git("push", "--quiet", scene.url, "HEAD:main", cwd=scene.checkout)
    return commit


def in_the_next_fetch(scene: Harness, seconds: float) -> None:
    """The clock steps, or the process sleeps, between the beginning and the end of a look at the repository."""
    assert scene.agent is not None
    branch, refresh = scene.agent.branch, scene.agent.branch.refresh

    def stepping() -> Moved:
        branch.refresh = refresh  # type: ignore[method-assign]
        moved = refresh()
        scene.skew += seconds
        return moved

    branch.refresh = stepping  # type: ignore[method-assign]


async def test_a_clock_that_is_set_back_stalls_no_poll(served: Harness) -> None:
    await served.kill()
    await served.start(poll=0.1)
    commit = unannounced(served, {"README.md": "hello"})
    await served.until(lambda: served.agent is not None and served.agent.branch.tips.main == commit, "main seen")
    served.skew -= HOURS
    unannounced(served, {"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)


@pytest.mark.parametrize("again", [False, True], ids=["it runs on", "it is started again"])
async def test_a_clock_that_is_set_back_lengthens_no_soak(served: Harness, again: bool) -> None:
    served.commit({"scorer.yaml": deployment(2, steps=[{"weight": 10, "soak": "700ms"}])})
    await served.until(lambda: bool((one := served.scorer()) and one.progress and one.progress.live_since), "the soak")
    if again:
        await served.kill()
    served.skew -= HOURS
    if again:
        await served.start()
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert "Rollback In Progress" not in stages(served)


@pytest.mark.parametrize("seconds", [HOURS, -HOURS])
async def test_a_clock_that_steps_in_a_fetch_makes_nothing_late(served: Harness, seconds: float) -> None:
    served.cluster.fates[digest(2)] = Fate(load_seconds=1.0)
    served.commit({"scorer.yaml": deployment(2, steps=STEPS, deadlines={"resourceAcquisition": "1h"})})
    await served.until(lambda: step(served) == "canary", "the load")
    assert served.agent is not None
    in_the_next_fetch(served, seconds)
    served.agent.refresh()
    await served.until(lambda: served.skew != 0.0, "the step")
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    assert "Rollback In Progress" not in stages(served)


async def test_a_clock_that_was_ahead_is_right_again_after_a_start_with_nothing_in_hand(served: Harness) -> None:
    served.skew += HOURS
    served.commit({"scorer.yaml": deployment(2, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 2)
    served.skew -= HOURS
    await served.kill()
    await served.start()
    served.commit({"scorer.yaml": deployment(3, steps=STEPS)})
    await served.until_at(Stage.ROLLOUT_COMPLETE, 3)
    assert float(git("log", "-1", "--format=%at", BRANCH, cwd=served.served)) < served.now() + 60.0


async def test_a_missed_deadline_names_what_a_pod_has_against_the_candidate(served: Harness) -> None:
    served.cluster.fates[digest(2)] = Fate(stage_seconds=3600.0)
    served.commit({"scorer.yaml": deployment(2, steps=STEPS, deadlines={"assetPreparation": "2s"})})
    pods = list(served.cluster.pods.values())
    await served.until(lambda: all(pod.models["scorer"].state is ModelState.DOWNLOADING for pod in pods), "downloads")
    full = ReportError(reason=Reason.INSUFFICIENT_DISK, message="no room here", permanent=False, digest=digest(2))
    for pod in pods:
        pod.set("scorer", msgspec.structs.replace(pod.models["scorer"], error=full))
    await served.until_at(Stage.ROLLBACK_COMPLETE, 1)
    status = served.scorer()
    assert status is not None
    assert status.failed is not None
    assert "InsufficientDisk: no room here" in status.failed.message


async def test_every_commit_says_from_what_by_whom_and_why(served: Harness) -> None:
    form = "%an|%(trailers:key=Source-Commit,valueonly,separator=)|%(trailers:key=Lease-Epoch,valueonly,separator=)|"
    form += "%(trailers:key=Fresco-Version,valueonly,separator=)|%(trailers:key=Reason,valueonly,separator=)"
    main = git("rev-parse", "main", cwd=served.served)
    for line in git("log", f"--format={form}", BRANCH, cwd=served.served).splitlines():
        author, source, epoch, version, reason = line.split("|")
        assert (author, source, epoch, version) == ("fresco-agent", main, "1", "0")
        assert reason


# ---- small parts


def step(scene: Harness) -> str | None:
    """The step that is in hand."""
    status = scene.scorer()
    return status.progress.step if status is not None and status.progress is not None else None


def weights(scene: Harness) -> list[tuple[int, int] | None]:
    """The route's (main, canary) weights as they were applied since the first rollout, None for the common Service."""
    found: list[tuple[int, int] | None] = []
    for applied in scene.cluster.routed.get(SCORER, []):
        references = applied["spec"]["rules"][0]["backendRefs"]
        shares = {one["name"].rpartition("-")[2]: one["weight"] for one in references}
        pair = (shares["main"], shares["canary"]) if "canary" in shares else None
        if not found or found[-1] != pair:
            found.append(pair)
    return found[1:] if found[:1] == [None] and len(found) > 1 else found


def pods(scene: Harness) -> list[SimulatedPod]:
    """The simulated pods."""
    return list(scene.cluster.pods.values())


def findings(scene: Harness) -> list[Finding]:
    """Everything that is said to be wrong."""
    tree = scene.tree
    servers = [finding for one in tree.servers.values() for finding in one.findings]
    deployments = [finding for one in tree.deployments.values() for finding in one.findings]
    return [*servers, *deployments, *tree.repository.findings]


def by_hand(scene: Harness, files: dict[str, str], *, again: int = 0) -> None:
    """A human's commit on the agent's branch."""
    checkout = scene.directory / f"hand-{again}-{len(scene.commits())}"
    git("clone", "--quiet", "--branch", BRANCH, scene.url, str(checkout), cwd=scene.directory)
    commit_files(checkout, files)
    git("push", "--quiet", "origin", BRANCH, cwd=checkout)


def hook(scene: Harness, script: str) -> None:
    """A real pre-receive hook."""
    path = scene.served / "hooks" / "pre-receive"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
