"""A changed InferenceServer on real Triton: its pods are replaced slice by slice, under load that must not notice."""

import msgspec
import yaml

from schemas.status import Role, ServerStatus
from tests.e2e import repository
from tests.e2e.world import SERVER_FILE, SUBJECT, World, server_text
from tests.support.git import git

FINE, BROKEN = "--exit-timeout-secs=20", "--no-such-flag"
STATUS = f"status/{repository.NAMESPACE}/servers/{repository.SERVER}.yaml"


def args(status: ServerStatus | None) -> tuple[str, ...] | None:
    """The arguments that the server has, None while work is in hand."""
    if status is None or status.progress is not None or status.current is None:
        return None
    return status.current.args


def test_new_arguments_reach_canary_off_every_route_and_then_main(subject: World) -> None:
    fresco = subject.fresco
    before, tip = _pods(subject), fresco.tip()
    fresco.commit({SERVER_FILE: server_text(args=[FINE])}, message="new arguments")
    fresco.until(lambda: args(fresco.server_status()) == (FINE,), "every pod has the new arguments")
    fresco.until(fresco.is_settled, "every pod is ready")
    assert not _pods(subject) & before
    seen = _history(subject, tip)
    assert all(one.slices["canary"].routed is False for one in seen if one.progress and one.progress.step == "canary")
    canary_first = [one for one in seen if one.slices["canary"].template is Role.CANDIDATE]
    assert canary_first[0].slices["main"].template is Role.CURRENT
    assert [one.progress.step for one in seen if one.progress][-1] == "main"


def test_arguments_that_no_server_starts_with_never_reach_main(subject: World) -> None:
    fresco = subject.fresco
    main, tip = set(fresco.pods("main")), fresco.tip()
    settings = repository.fresco(storage=fresco.grants, deadlines={"resourceAcquisition": "5s"})
    fresco.commit({"fresco.yaml": settings, SERVER_FILE: server_text(args=[BROKEN])}, message="broken arguments")
    fresco.until(lambda: _failed(subject) is not None, "the arguments are refused")
    assert _failed(subject) == "DeadlineMissed"
    assert args(fresco.server_status()) == ()
    assert set(fresco.pods("main")) == main
    assert all(one.slices["main"].template is Role.CURRENT for one in _history(subject, tip))
    assert "DeadlineMissed" in fresco.pages()
    fresco.commit({"fresco.yaml": repository.fresco(storage=fresco.grants)}, message="deadlines as they were")


def test_a_new_default_image_replaces_the_pods(subject: World) -> None:
    fresco, before = subject.fresco, _pods(subject)
    images = {"triton": "registry.example.com/triton:{version}"}
    fresco.commit({"fresco.yaml": repository.fresco(storage=fresco.grants, images=images)}, message="a mirror")
    fresco.until(lambda: _image(subject) == "registry.example.com/triton:24.10", "every pod has the new default image")
    assert not _pods(subject) & before
    fresco.commit({"fresco.yaml": repository.fresco(storage=fresco.grants)}, message="no mirror")
    fresco.until(lambda: _image(subject) not in (None, "registry.example.com/triton:24.10"), "the image before")


def test_a_revert_in_the_middle_puts_the_old_arguments_back(subject: World) -> None:
    fresco = subject.fresco
    fresco.commit({SERVER_FILE: server_text(args=[FINE])}, message="new arguments")
    fresco.until(lambda: _step(subject) == "canary", "the canary slice gets the new arguments")
    fresco.commit({SERVER_FILE: subject.server}, message="the old ones again")
    fresco.until(lambda: args(fresco.server_status()) == (), "every pod has the old arguments")
    status = fresco.server_status()
    assert status is not None
    assert status.failed is None


def test_a_canary_slice_that_is_removed_leaves_the_routes_first(subject: World) -> None:
    fresco = subject.fresco
    fresco.commit({SERVER_FILE: server_text(canary=0)}, message="no canary slice")
    fresco.until(lambda: fresco.pods("canary") == [], "the canary slice is gone")
    fresco.until(fresco.is_settled, "every pod is ready")
    status = fresco.server_status()
    assert status is not None
    assert set(status.slices) == {"main"}


def test_pods_that_come_and_go_take_no_request_that_they_cannot_answer(subject: World) -> None:
    fresco = subject.fresco
    fresco.commit({SERVER_FILE: server_text(replicas=4)}, message="more replicas")
    fresco.until(lambda: len(fresco.pods("main")) == 4 and fresco.is_settled(), "four replicas that are ready")
    subject.answers_go_on()
    fresco.commit({SERVER_FILE: server_text(replicas=1)}, message="fewer replicas")
    fresco.until(lambda: len(fresco.pods("main")) == 1 and fresco.is_settled(), "one replica that is ready")


def test_a_new_pod_that_cannot_get_a_model_is_named_and_the_others_serve(subject: World) -> None:
    fresco, model = subject.fresco, subject.fresco.model("vanishing")
    subject.replace(model)
    hidden = fresco.storage / "hidden"
    (fresco.storage / "vanishing").rename(hidden)
    fresco.commit({SERVER_FILE: server_text(replicas=3)}, message="one more replica")

    def named() -> bool:
        status = fresco.server_status()
        return status is not None and f": {SUBJECT}: " in status.message

    fresco.until(named, "the server's status names the model")
    status = fresco.server_status()
    assert status is not None
    assert status.message.startswith("serving; cpu-a-main-")
    hidden.rename(fresco.storage / "vanishing")
    fresco.until(lambda: len(fresco.pods("main")) == 3 and fresco.is_settled(), "three replicas that are ready")


# ---- what was seen


def _pods(world: World) -> set[str]:
    return {*world.fresco.pods("main"), *world.fresco.pods("canary")}


def _step(world: World) -> str | None:
    status = world.fresco.server_status()
    return status.progress.step if status is not None and status.progress is not None else None


def _image(world: World) -> str | None:
    """The server's image, None while work is in hand."""
    status = world.fresco.server_status()
    if status is None or status.progress is not None or status.current is None:
        return None
    return status.current.image


def _failed(world: World) -> str | None:
    status = world.fresco.server_status()
    return status.failed.reason if status is not None and status.failed is not None else None


def _history(world: World, since: str | None) -> list[ServerStatus]:
    """The server's status in every commit of the agent since, oldest first."""
    span = f"{since}..{repository.BRANCH}"
    commits = git("log", "--reverse", "--format=%H", span, cwd=world.fresco.bare).split()
    texts = (world.fresco.show(STATUS, commit) for commit in commits)
    return [msgspec.convert(yaml.safe_load(text), ServerStatus) for text in texts if text is not None]
