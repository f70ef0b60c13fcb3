"""The picture of a cluster, from a simulated cluster whose pods answer real HTTP."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from agent.status import reports
from agent.status.cluster import PodState, RouteLive
from agent.status.observe import Observer
from schemas import limits
from schemas.report import ModelReport, ModelState, Requests, SidecarReport
from tests.support.simulated_cluster import SimulatedCluster, SimulatedPod


async def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for `condition`, generously; `what` is for the reader."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  any condition, wherever it comes from
            await asyncio.sleep(0.01)


@asynccontextmanager
async def observing(cluster: SimulatedCluster) -> AsyncIterator[Observer]:
    """An observer at work."""
    async with reports.session() as http:
        observer = Observer(cluster=cluster, http=http, clock=time.time, changed=asyncio.Event())
        task = asyncio.create_task(observer.run())
        try:
            yield observer
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), task.exception()


@pytest.fixture
async def cluster() -> AsyncIterator[SimulatedCluster]:
    """Two pods of one server."""
    cluster = SimulatedCluster(repository=Path("unused"))
    for name in ("p0", "p1"):
        pod = SimulatedPod(namespace="fraud", server="gpu-a", slice_="main", name=name, fates={})
        await pod.start()
        cluster.pods[f"fraud/{name}"] = pod
    try:
        yield cluster
    finally:
        await cluster.stop()


async def test_it_is_complete_once_every_pod_has_answered(cluster: SimulatedCluster) -> None:
    async with observing(cluster) as observer:
        assert not observer.complete
        await until(lambda: observer.complete, "complete")
        picture = observer.picture(5.0)
    assert picture.now == 5.0
    assert picture.complete
    assert [(pod.name, pod.live, pod.report and pod.report.pod) for pod in picture.pods["fraud/gpu-a"]] == [
        ("p0", True, "p0"),
        ("p1", True, "p1"),
    ]


async def test_no_more_pods_than_that_are_asked_for_the_first_time_at_once(
    cluster: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "FIRST_AT_ONCE", 1)
    asked: list[int] = []
    ask, now = reports._ask, 0

    async def counted(http: aiohttp.ClientSession, pod: PodState, *, after: str | None, wait: float) -> SidecarReport:
        nonlocal now
        now += after is None
        asked.append(now)
        try:
            return await ask(http, pod, after=after, wait=wait)
        finally:
            now -= after is None

    monkeypatch.setattr(reports, "_ask", counted)
    async with observing(cluster) as observer:
        await until(lambda: observer.complete, "complete")
        await until(lambda: len(asked) == 4, "a poll of each, both open")
    assert max(asked) == 1


async def test_still_pods_take_turns_and_those_that_are_followed_closely_wait_for_none(
    cluster: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "STILL_AT_ONCE", 1)
    monkeypatch.setattr(limits, "REPORT_POLL", 0.1)
    monkeypatch.setattr(reports, "SAMPLE", 0.1)
    open_polls: list[str] = []
    most, ask = 0, reports._ask

    async def counted(http: aiohttp.ClientSession, pod: PodState, *, after: str | None, wait: float) -> SidecarReport:
        nonlocal most
        open_polls.append(pod.name)
        most = max(most, len(open_polls))
        try:
            return await ask(http, pod, after=after, wait=wait)
        finally:
            open_polls.remove(pod.name)

    def serving(name: str) -> bool:
        pods = {pod.name: pod for pod in observer.picture(0.0).pods["fraud/gpu-a"]}
        report = pods[name].report
        return report is not None and "scorer" in report.models

    async with observing(cluster) as observer:
        await until(lambda: observer.complete, "complete")
        monkeypatch.setattr(reports, "_ask", counted)
        for name in ("p0", "p1"):  # each has its turn
            cluster.pods[f"fraud/{name}"].set("scorer", ModelReport(state=ModelState.SERVING))
            await until(lambda name=name: serving(name), "seen")  # type: ignore[misc]
        assert most == 1
        observer.look_closely({"fraud/gpu-a"})
        await until(lambda: len(open_polls) == 2, "both are asked")


@pytest.mark.parametrize(("pods", "seconds"), [(1, 1.0), (200, 1.0), (1000, 5.0), (100_000, 30.0)])
def test_many_pods_are_sampled_less_often(pods: int, seconds: float) -> None:
    turns = reports.Turns()
    with contextlib.ExitStack() as stack:
        for _ in range(pods):
            stack.enter_context(turns.sampled())
        assert turns.wait(closely=True) == seconds
    assert turns.wait(closely=True) == reports.SAMPLE


async def test_a_pod_that_comes_later_is_unknown_and_holds_nobody_up(cluster: SimulatedCluster) -> None:
    async with observing(cluster) as observer:
        await until(lambda: observer.complete, "complete")
        late = SimulatedPod(namespace="fraud", server="gpu-b", slice_="main", name="late", fates={})
        await late.start()
        await late.stop()
        cluster.pods["fraud/late"] = late
        cluster.changed()
        await until(lambda: len(observer.pods("fraud/gpu-b")) == 1, "the new pod")
        assert observer.complete
        assert observer.pods("fraud/gpu-b")[0].report is None
        del cluster.pods["fraud/late"]


async def test_a_change_of_a_report_names_its_server_alone(cluster: SimulatedCluster) -> None:
    async with observing(cluster) as observer:
        await until(lambda: observer.complete, "complete")
        observer.take()
        observer._changed.clear()
        cluster.pods["fraud/p1"].set("scorer", ModelReport(state=ModelState.LOADING))
        await until(observer._changed.is_set, "told")
        changes = observer.take()
        report = observer.picture(0.0).pods["fraud/gpu-a"][1].report
    assert changes.servers == {"fraud/gpu-a"}
    assert not changes.routes
    assert report is not None
    assert report.models["scorer"].state is ModelState.LOADING


async def test_a_pod_out_of_reach_is_unknown_and_never_holds_completeness_up(cluster: SimulatedCluster) -> None:
    await cluster.pods["fraud/p0"]._runner.cleanup()
    async with observing(cluster) as observer:
        await until(lambda: observer.complete, "complete without the pod's answer")
        pods = observer.picture(0.0).pods["fraud/gpu-a"]
    assert pods[0].report is None
    assert pods[1].report is not None


async def test_a_report_is_believed_for_a_moment_then_unknown_then_back(cluster: SimulatedCluster) -> None:
    pod = cluster.pods["fraud/p0"]
    async with observing(cluster) as observer:
        await until(lambda: observer.complete, "complete")

        def report_is_known() -> bool:
            return observer.picture(0.0).pods["fraud/gpu-a"][0].report is not None

        await pod.stop()
        assert report_is_known()
        await until(lambda: not report_is_known(), "unknown after the grace")
        await cluster.restart_pod("fraud/p0")
        await until(report_is_known, "known again")


async def test_a_liar_is_out_of_reach(cluster: SimulatedCluster) -> None:
    liar = cluster.pods["fraud/p0"]
    liar.overridden = msgspec.json.encode(cluster.pods["fraud/p1"].report())
    async with observing(cluster) as observer:
        await until(lambda: observer.complete, "complete")
        assert observer.picture(0.0).pods["fraud/gpu-a"][0].report is None


async def test_an_endless_answer_is_refused(cluster: SimulatedCluster) -> None:
    cluster.pods["fraud/p0"].overridden = b" " * (5 << 20)
    async with observing(cluster) as observer:
        await until(lambda: observer.complete, "complete")
        assert observer.picture(0.0).pods["fraud/gpu-a"][0].report is None


async def test_counters_are_sampled_where_they_matter(cluster: SimulatedCluster) -> None:
    pod = cluster.pods["fraud/p0"]
    async with observing(cluster) as observer:
        await until(lambda: observer.complete, "complete")
        observer.look_closely({"fraud/gpu-a"})

        def count() -> int:
            report = observer.picture(0.0).pods["fraud/gpu-a"][0].report
            return report.models["scorer"].requests.count if report and "scorer" in report.models else 0

        for wanted in (7, 9):  # without a move of `seq`
            requests = Requests(count=wanted)
            pod.models = {"scorer": ModelReport(state=ModelState.SERVING, requests=requests)}
            await until(lambda wanted=wanted: count() == wanted, "sampled")  # type: ignore[misc]


async def test_a_route_is_live_since_it_was_seen_so_with_that_content(cluster: SimulatedCluster) -> None:
    async with observing(cluster) as observer:
        for content, live in (("a", False), ("a", True), ("a", True), ("b", True)):
            cluster.routes = {"fraud/scorer": RouteLive(content=content, live=live, message="no\nparent")}
            cluster.changed()
            await until(lambda: observer._state is not None and observer._state.seq == cluster._seq, "seen")
            route = observer.picture(0.0).routes["fraud/scorer"]
            assert route.content == content
            assert (route.live_since is not None) == live
            assert route.message == ("" if live else "no\\nparent")
        cluster.routes = {}
        cluster.changed()
        await until(lambda: not observer.picture(0.0).routes, "gone")


async def test_a_pod_that_goes_is_forgotten(cluster: SimulatedCluster) -> None:
    async with observing(cluster) as observer:
        await until(lambda: observer.complete, "complete")
        observer.take()
        for name in list(cluster.pods):
            await cluster.pods.pop(name).stop()
        cluster.changed()
        await until(lambda: not observer.picture(0.0).pods, "gone")
        assert observer.take().servers == {"fraud/gpu-a"}
        assert observer.complete
