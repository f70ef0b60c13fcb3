"""The small Deployment controller: examples, and that no way through it leaves its bounds."""

from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace

from agent.local.desired import Slice, Update, desired
from agent.local.rolling import PodView, step
from tests.e2e.artifacts import Artifact
from tests.support import manifests

MAIN = desired(manifests.slice_of(Artifact("one", "file:///m", "sha256:" + "0" * 64))).slices["fraud/gpu-a-main"]
NOW = MAIN.template.hash


def wanted(replicas: int, surge: int = 1, unavailable: int = 0) -> Slice:
    """The slice with these numbers."""
    return replace(MAIN, replicas=replicas, update=Update(surge, unavailable))


def pod(name: str, template: str = NOW, *, ready: bool = True, stopping: bool = False) -> PodView:
    """A pod."""
    return PodView(name, template, ready, stopping)


def test_pods_are_made_and_named_by_their_template() -> None:
    assert step(wanted(2), []).make == (f"gpu-a-main-{NOW[:6]}-0", f"gpu-a-main-{NOW[:6]}-1")
    first = pod(f"gpu-a-main-{NOW[:6]}-1")
    assert step(wanted(2), [first]).make == (f"gpu-a-main-{NOW[:6]}-0",)


def test_fewer_replicas_stop_what_is_missed_least() -> None:
    pods = [pod("p-0"), pod("p-1", ready=False), pod("p-2")]
    assert step(wanted(2), pods).stop == ("p-1",)
    assert step(wanted(1), pods).stop == ("p-1", "p-2")


def test_a_new_template_comes_first_and_one_at_a_time() -> None:
    old = [pod("o-0", "old"), pod("o-1", "old")]
    assert step(wanted(2), old).stop == ()
    assert len(step(wanted(2), old).make) == 1
    assert step(wanted(2), [*old, pod("n-0", ready=False)]) == ((), ())
    assert step(wanted(2), [*old, pod("n-0")]) == ((), ("o-0",))
    assert step(wanted(2), [pod("o-0", "old", stopping=True), old[1], pod("n-0")]) == ((), ())


def test_without_a_spare_the_old_one_goes_first() -> None:
    old = [pod("o-0", "old"), pod("o-1", "old")]
    spare = wanted(2, surge=0, unavailable=1)
    assert step(spare, old) == ((), ("o-0",))
    assert step(spare, [pod("o-0", "old", stopping=True), old[1]]) == ((), ())
    assert len(step(spare, old[1:]).make) == 1


@given(some.data(), some.integers(0, 4), some.integers(0, 2), some.integers(0, 2))
def test_every_way_ends_within_its_bounds(data: some.DataObject, replicas: int, surge: int, unavailable: int) -> None:
    goal = wanted(replicas, surge, unavailable if surge or unavailable else 1)
    pods = [pod(f"o-{number}", "old") for number in range(replicas)]
    for _ in range(60):
        todo = step(goal, pods)
        pods = [one._replace(stopping=True, ready=False) if one.name in todo.stop else one for one in pods]
        pods += [pod(name, ready=False) for name in todo.make]
        assert len(pods) <= replicas + goal.update.surge
        assert sum(one.ready for one in pods) >= replicas - goal.update.unavailable
        if not pods or all(one.ready and one.template == NOW for one in pods):
            break
        moving = [one for one in pods if one.stopping or not one.ready]
        one = data.draw(some.sampled_from(moving)) if moving else None
        pods = [
            other._replace(ready=True) if other is one else other
            for other in pods
            if other is not one or not one.stopping
        ]
    assert sorted(one.template for one in pods) == [NOW] * replicas
