"""Reading a cluster's branch, one commit after the other."""

from pathlib import Path

import pytest

from render import plan, tree
from render.branch_files import BranchReader
from render.errors import StatusUnreadable
from render.repository import Repository
from tests.support.branch import SimulatedBranch
from tests.support.simulator import SCORER, SERVER, deployment, model, simulate


@pytest.fixture
def branch(tmp_path: Path) -> SimulatedBranch:
    """Two revisions came, one after the other."""
    simulator = simulate()
    branch = SimulatedBranch(tmp_path / "repository", simulator)
    for revision in (1, 2):
        simulator.want(SCORER, deployment(model(revision)))
        simulator.run()
    return branch


def commits(branch: SimulatedBranch) -> list[str]:
    assert branch.tip is not None
    return branch.repository.line(branch.tip)


def test_each_commit_is_read_as_if_it_were_the_only_one(branch: SimulatedBranch) -> None:
    reader = BranchReader(branch.repository)
    for commit in [*commits(branch), *reversed(commits(branch))]:
        reader.turn_to(commit)
        files = {path: branch.repository.read(blob) for path, blob in branch.repository.files(commit).items()}
        assert reader.blobs == branch.repository.files(commit)
        assert reader.status() == tree.read(files)


def test_a_status_that_stays_is_the_same_object_and_is_not_read_again(
    branch: SimulatedBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = Repository.read

    def noting(self: Repository, blob: str) -> bytes:
        read.append(blob)
        return original(self, blob)

    monkeypatch.setattr(Repository, "read", noting)
    *_, before, last = commits(branch)
    reader = BranchReader(branch.repository)
    reader.turn_to(before)
    one = reader.status()
    read.clear()
    reader.turn_to(last)
    other = reader.status()
    assert one is not None
    assert other is not None
    assert one.servers[SERVER] is other.servers[SERVER]
    assert one.deployments[SCORER] != other.deployments[SCORER]
    assert read == [branch.repository.files(last)[tree.deployment_path(SCORER)]]


def test_what_cannot_be_read_is_told_until_it_is_mended(branch: SimulatedBranch) -> None:
    path = tree.server_path(SERVER)
    good = branch.read(path)
    broken, mended = branch.commit({path: b"kind: [\n"}, "broken"), branch.commit({path: good}, "mended")
    reader = BranchReader(branch.repository)
    reader.turn_to(broken)
    with pytest.raises(StatusUnreadable, match=path):
        reader.status()
    reader.turn_to(mended)
    status = reader.status()
    assert status is not None
    assert plan.files(status)[path] == good
