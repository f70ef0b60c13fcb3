"""Mistakes in people's files: they are said where people look, what was accepted stays, everything else goes on."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from schemas.status import Finding, Stage
from tests.e2e import repository
from tests.e2e.artifacts import Artifact
from tests.e2e.world import NEIGHBOUR, SERVER_FILE, SUBJECT, SUBJECT_FILE, World, server_text

MANY = tuple(f"many-{number}" for number in range(3))


@dataclass(frozen=True)
class Mistake:
    """What a person commits at `path`, and what is said of it: the rule, the line, and words of the message."""

    path: str
    text: str
    rule: str
    line: int
    words: str


def _mistakes(good: Artifact) -> dict[str, Mistake]:
    fine, server = repository.deployment(SUBJECT, good), server_text()
    copy = repository.path_of("deployments", "copy")
    below = len(fine.splitlines()) + 1
    replicas = server.splitlines().index("  replicas: 2") + 1
    return {
        "unreadable": Mistake(SUBJECT_FILE, f"{fine}  broken: [1, 2\n", "FR001", below + 1, "expected YAML"),
        "unknown field": Mistake(SUBJECT_FILE, f"{fine}  priority: high\n", "FR010", below, "spec.priority"),
        "wrong type": Mistake(SERVER_FILE, server.replace("replicas: 2", "replicas: two"), "FR012", replicas, "'two'"),
        "missing server": Mistake(SUBJECT_FILE, repository.deployment(SUBJECT, good, on="cpu-z"), "FR021", 7, "cpu-z"),
        "duplicate name": Mistake(copy, fine, "FR020", 4, SUBJECT_FILE),
    }


@pytest.mark.parametrize("kind", _mistakes(Artifact("", "file:///", "")))
def test_a_mistake_is_said_and_changes_nothing(subject: World, kind: str) -> None:
    mistake = _mistakes(subject.good)[kind]
    before, tip = subject.status(), subject.fresco.tip()
    subject.fresco.commit({mistake.path: mistake.text}, message=kind)
    subject.fresco.until(lambda: _finding(subject, mistake) is not None, f"a finding {mistake.rule}")

    finding = _finding(subject, mistake)
    assert finding is not None
    assert (finding.file, finding.line) == (mistake.path, mistake.line)
    assert mistake.words in finding.message
    assert f"{mistake.path}:{mistake.line}" in subject.fresco.pages()
    code, output = _validate(subject)
    assert (code, f"{mistake.path}:{mistake.line}:{finding.column}: {mistake.rule} " in output) == (1, True)
    after = subject.status()
    assert (after.current, after.stage, after.slices) == (before.current, before.stage, before.slices)
    assert subject.fresco.manifests() == subject.fresco.manifests(tip)


def test_the_others_go_on_beside_a_mistake(subject: World) -> None:
    mistake = _mistakes(subject.good)["unknown field"]
    subject.fresco.commit({mistake.path: mistake.text})
    subject.fresco.until(lambda: _finding(subject, mistake) is not None, "a finding")
    subject.loads[NEIGHBOUR].expect("n1", "n2")
    subject.fresco.deploy(NEIGHBOUR, subject.fresco.model("n2"))
    subject.fresco.until_stage(NEIGHBOUR, Stage.ROLLOUT_COMPLETE, "n2")
    subject.loads[NEIGHBOUR].expect("n2")
    assert _finding(subject, mistake) is not None


def test_many_deletions_at_once_wait_until_they_are_allowed_by_name(subject: World) -> None:
    fresco = subject.fresco
    paths = {name: repository.path_of("deployments", name) for name in MANY}
    models = {name: fresco.model(name) for name in MANY}
    how = {"strategy": "emergency", "reason": "nobody uses them"}
    fresco.commit({paths[name]: repository.deployment(name, models[name], **how) for name in MANY})
    for name in MANY:
        fresco.until_stage(name, Stage.ROLLOUT_COMPLETE, name)

    tip = fresco.tip()
    fresco.commit(dict.fromkeys(paths.values()), message="a mistake, perhaps")
    fresco.until(lambda: len(_held(subject)) == len(MANY), "the deletions are held")
    assert fresco.manifests() == fresco.manifests(tip)
    assert all("guards.allowDeletion" in fresco.pages() and name in fresco.pages() for name in MANY)

    allowed = repository.fresco(storage=fresco.grants, allow=_held(subject))
    fresco.commit({"fresco.yaml": allowed}, message="it is meant")
    fresco.until(lambda: not any(fresco.status(name) for name in MANY), "they are cleaned up")
    fresco.commit({"fresco.yaml": repository.fresco(storage=fresco.grants)}, message="and that was all")
    assert not _held(subject)


def _finding(world: World, mistake: Mistake) -> Finding | None:
    """What is said at the place of the mistake, in the status of whichever resource, or else the repository's."""
    fresco = world.fresco
    places: Iterable[Any] = (fresco.status(SUBJECT), fresco.server_status(), fresco.repository_status())
    findings = (finding for place in places if place is not None for finding in place.findings)
    return next((one for one in findings if (one.rule, one.file) == (mistake.rule, mistake.path)), None)


def _validate(world: World) -> tuple[int, str]:
    """The exit code of `fresco validate` in the person's clone, and what it prints."""
    program = "import sys; from render.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "validate", str(world.fresco.clone)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def _held(world: World) -> tuple[str, ...]:
    status = world.fresco.repository_status()
    assert status is not None
    return status.held_deletions
