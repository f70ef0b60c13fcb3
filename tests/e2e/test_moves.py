"""A Deployment that moves to another server or another served name, on real Triton, under load that must not notice."""

import pytest

from schemas.status import DeploymentStatus, Role, Stage
from tests.e2e import artifacts, repository
from tests.e2e.artifacts import Artifact
from tests.e2e.world import SUBJECT, SUBJECT_FILE, World
from tests.support.git import git

OTHER = "cpu-b"
OTHER_FILE = repository.path_of("servers", OTHER)
PATH = f"/{repository.NAMESPACE}/{repository.SERVER}/{SUBJECT}"


def ask(world: World, artifact: Artifact, *, on: str = repository.SERVER, served: str = SUBJECT) -> None:
    """Somebody asks for the subject elsewhere, under the path that it has."""
    text = repository.deployment(SUBJECT, artifact, on=on, served=served, path=PATH)
    other = repository.server(name=OTHER, replicas=1, canary=1, load_deadline="8s")
    world.fresco.commit({SUBJECT_FILE: text, OTHER_FILE: other}, message=f"{artifact.revision} as {served} on {on}")


def until_there(world: World, *, on: str, served: str) -> None:
    """Waits until the move is over."""

    def there() -> bool:
        status = world.status()
        place = (status.current.server, status.current.name) if status.current is not None else None
        return (place, status.progress) == ((on, served), None)

    world.fresco.until(there, f"{served} on {on}")


def statuses(world: World, since: str | None) -> list[DeploymentStatus]:
    """The subject's status in every commit since `since`, oldest first."""
    commits = git("rev-list", "--reverse", f"{since}..{repository.BRANCH}", cwd=world.fresco.bare).split()
    return [one for commit in commits if (one := world.fresco.status(SUBJECT, commit)) is not None]


@pytest.mark.parametrize(("on", "served"), [(OTHER, SUBJECT), (repository.SERVER, "renamed"), (OTHER, "renamed")])
def test_no_request_notices_a_move_and_nothing_stays_behind(subject: World, on: str, served: str) -> None:
    fresco, tip, revision = subject.fresco, subject.fresco.tip(), f"{served}-{on}"
    subject.load.expect(subject.good.revision, revision)
    ask(subject, moved := fresco.model(revision), on=on, served=served)
    until_there(subject, on=on, served=served)
    subject.settle(moved)
    subject.answers_go_on()
    before = [one for one in statuses(subject, tip) if one.route is not None and one.route.to is Role.CURRENT]
    moving = [one for one in before if one.progress is not None]
    assert moving[-1].progress is not None
    assert moving[-1].progress.step == "main"  # then the route is turned
    assert all({state.serve for state in one.slices.values()} == {Role.CURRENT} for one in moving)
    assert fresco.served_names(repository.SERVER) == {"neighbour"} | ({served} if on == repository.SERVER else set())


def test_what_cannot_be_loaded_there_is_served_here_all_the_time(subject: World) -> None:
    fresco, tip = subject.fresco, subject.fresco.tip()
    bad = fresco.model("bad-move", artifacts.RAISES)
    ask(subject, bad, on=OTHER)
    status = subject.until_refused(bad)
    assert status.stage is Stage.ROLLBACK_COMPLETE
    assert status.current is not None
    assert status.current.server == repository.SERVER
    assert not [one for one in statuses(subject, tip) if one.route is not None and one.route.to is Role.CANDIDATE]
    assert fresco.served_names(OTHER) == set()


def test_a_revert_in_the_bake_time_turns_the_route_back(subject: World) -> None:
    fresco = subject.fresco
    fresco.commit({"fresco.yaml": repository.fresco(storage=fresco.grants, bake="60s")}, message="a long bake time")
    subject.load.expect(subject.good.revision, "half-moved")
    ask(subject, fresco.model("half-moved"), on=OTHER)
    fresco.until(lambda: (one := subject.status().progress) is not None and one.step == "bake", "the bake time")
    subject.answers_go_on()
    fresco.deploy(SUBJECT, subject.good)
    until_there(subject, on=repository.SERVER, served=SUBJECT)
    subject.settle(subject.good)
    assert fresco.served_names(OTHER) == set()
    fresco.commit({"fresco.yaml": repository.fresco(storage=fresco.grants)}, message="as it was")
