"""The agent's branch, read over HTTP as the demo does: each change of stage once, in order, with what it is about."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.demo.history import History
from agent.local.git_server import GitServer
from render import tree
from render.emit import emit
from render.repository import Author, Repository
from schemas.resources import Gateway, ModelType, Strategy
from schemas.status import (
    Deadlines,
    DeploymentStatus,
    Evidence,
    ModelRevision,
    Progress,
    RepositoryStatus,
    RolloutPolicy,
    Stage,
    StatusMetadata,
    StepPolicy,
    Transition,
    Work,
)
from tests.support.git import bare_repository

BRANCH, KEY = "clusters/local", "fraud/scorer"
SETTINGS = RepositoryStatus(
    api_version="serving.fresco.dev/v1alpha1",
    kind="RepositoryStatus",
    schema_version=1,
    cluster="local",
    gateway=Gateway(name="gateway", namespace="gateway"),
    settle=0.5,
)
POLICY = RolloutPolicy(
    strategy=Strategy.PROGRESSIVE,
    steps=(StepPolicy(weight=10, soak=5), StepPolicy(weight=50, soak=5)),
    deadlines=Deadlines(asset_preparation=60, resource_acquisition=60, traffic_routing=60, rollback=60),
    bake=1,
    max_failed_replicas=10,
    paused=False,
)


def revision(label: str) -> ModelRevision:
    """A revision whose digest is its own."""
    digest = "sha256:" + label * 64
    return ModelRevision(
        model_hash=digest,
        server="cpu-a",
        name="scorer",
        type=ModelType.REPOSITORY,
        revision=label,
        uri=f"https://models.example.com/{label}.tar",
        digest=digest,
        options={},
        attempt=0,
        path="/fraud/cpu-a/scorer",
    )


def moment(second: int) -> datetime:
    """A time of the story."""
    return datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)


def change(second: int, stage: Stage, step: str, about: str) -> Transition:
    """A change of stage, as the rules note it."""
    evidence = Evidence(digest="sha256:" + about * 64)
    return Transition(at=moment(second), stage=stage, step=step, message=f"at {step}", evidence=evidence)


def status(*transitions: Transition, step: str, soaking: int | None = None) -> DeploymentStatus:
    """Revision 2 on its way, after 1."""
    progress = Progress(
        work=Work.ROLLOUT,
        step=step,
        started_at=moment(0),
        since=moment(0),
        slices={"main": 2, "canary": 1},
        live_since=None if soaking is None else moment(soaking),
    )
    return DeploymentStatus(
        api_version="serving.fresco.dev/v1alpha1",
        kind="DeploymentStatus",
        schema_version=1,
        metadata=StatusMetadata(name="scorer", namespace="fraud"),
        stage=Stage(transitions[-1].stage),
        message="",
        rollout=POLICY,
        current=revision("1"),
        candidate=revision("2"),
        progress=progress,
        transitions=transitions,
    )


class Writer:
    """Writes the branch, in the agent's stead."""

    def __init__(self, directory: Path, url: str) -> None:
        self._repository, self._url = Repository.open_or_clone(directory, url), url
        self._tip: str | None = None

    def write(self, one: DeploymentStatus | None) -> str:
        """One commit with this status, or without any."""
        content = None if one is None else emit(tree.builtins(one))
        files = {tree.REPOSITORY_PATH: emit(tree.builtins(SETTINGS)), tree.deployment_path(KEY): content}
        author = Author("agent", "agent@example.com", 0)
        commit = self._repository.commit_tree(self._tip, files, "a change\n\nReason: test\n", author)
        self._repository.push(self._url, commit, f"refs/heads/{BRANCH}")
        self._tip = commit
        return commit


@pytest.fixture
def url(repositories: Path, git_server: GitServer) -> str:
    """A served repository, empty."""
    bare_repository(repositories / "models.git")
    return git_server.url("models.git")


def history_of(url: str, directory: Path) -> History:
    """As the demo makes it."""
    return History.clone(directory, url=url, branch=BRANCH, deployment=KEY)


def test_nothing_is_known_of_a_branch_that_is_not_there(url: str, tmp_path: Path) -> None:
    """The agent makes it with its first commit."""
    assert history_of(url, tmp_path / "clone").refresh() == []


def test_each_change_is_told_once_and_in_order(url: str, tmp_path: Path) -> None:
    """However many commits came since the last look, and however many changes one commit has."""
    writer, history = Writer(tmp_path / "writer", url), history_of(url, tmp_path / "clone")
    accepted = change(1, Stage.VALIDATION, "accepted", "2")
    staged = change(2, Stage.ASSET_PREPARATION, "stage", "2")
    first = writer.write(status(accepted, staged, step="stage"))
    assert [(event.step, event.commit, event.revision) for event in history.refresh()] == [
        ("accepted", first, "2"),
        ("stage", first, "2"),
    ]
    weights = [change(number + 2, Stage.TRAFFIC_ROUTING, f"weight {number}", "2") for number in (1, 2)]
    commits = [writer.write(status(accepted, staged, *weights[:count], step=f"weight {count}")) for count in (1, 2)]
    assert [(event.commit, event.weight) for event in history.refresh()] == [(commits[0], 10), (commits[1], 50)]
    assert history.refresh() == []
    assert history.commits == [first, *commits]


def test_the_soak_of_a_step_is_learnt_later(url: str, tmp_path: Path) -> None:
    """When its route has been seen live, another commit says so."""
    writer, history = Writer(tmp_path / "writer", url), history_of(url, tmp_path / "clone")
    weight = change(3, Stage.TRAFFIC_ROUTING, "weight 1", "2")
    writer.write(status(weight, step="weight 1"))
    history.refresh()
    assert history.events[0].soaking_since is None
    writer.write(status(weight, step="weight 1", soaking=4))
    assert history.refresh() == []
    assert history.events[0].soaking_since == moment(4).timestamp()


def test_a_status_that_goes_leaves_what_was_told(url: str, tmp_path: Path) -> None:
    """And every commit is known, with its trailers."""
    writer, history = Writer(tmp_path / "writer", url), history_of(url, tmp_path / "clone")
    existed = []
    for one in (status(change(1, Stage.CLEAN_UP_COMPLETE, "done", "1"), step="unload"), None):
        writer.write(one)
        history.refresh()
        existed.append(history.exists)
    assert existed == [True, False]
    assert [event.stage for event in history.events] == [Stage.CLEAN_UP_COMPLETE]
    assert [account["Reason"] for account in history.accounts().values()] == ["test", "test"]
