"""The gateway with a real Envoy: what the Gateway API promises, and that no change of it fails a request."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.local.desired import Port, Route, Service
from agent.local.gateway import Gateway, Plan, PortTaken
from agent.local.ports import Pool
from tests.support.backends import Backend, backend, load
from tests.support.eventually import eventually

Rule = dict[str, Any]


def service(name: str) -> Service:
    """A Service of the namespace `fraud` with one HTTP port."""
    return Service("fraud", name, {}, (Port(8000, "http", http2=False),))


def to(**weights: int) -> list[dict[str, Any]]:
    """backendRefs with these weights."""
    return [{"kind": "Service", "group": "", "name": name, "port": 8000, "weight": n} for name, n in weights.items()]


def exact(path: str, **more: Any) -> dict[str, Any]:
    """A match of one path."""
    return {"path": {"type": "Exact", "value": path}, **more}


def prefix(path: str, **more: Any) -> dict[str, Any]:
    """A match of all below a path."""
    return {"path": {"type": "PathPrefix", "value": path}, **more}


def header(name: str, value: str) -> dict[str, Any]:
    """A match of a header, as part of a match."""
    return {"headers": [{"type": "Exact", "name": name, "value": value}]}


def rewrite(**path: str) -> dict[str, Any]:
    """A URLRewrite filter: `full="/x"` or `prefix="/x"`."""
    ((kind, value),) = path.items()
    key = {"full": "replaceFullPath", "prefix": "replacePrefixMatch"}[kind]
    return {"type": "URLRewrite", "urlRewrite": {"path": {"type": key[0].upper() + key[1:], key: value}}}


def route(name: str, *rules: Rule, hostnames: tuple[str, ...] = (), content: str = "c") -> Route:
    """An HTTPRoute of the namespace `fraud`."""
    return Route(
        "fraud", name, content, {"rules": list(rules), **({"hostnames": list(hostnames)} if hostnames else {})}
    )


class Bed:
    """A running gateway with backends `main`, `canary`, each the sole endpoint of a Service of that name."""

    def __init__(self, gateway: Gateway, backends: Mapping[str, Backend], http: aiohttp.ClientSession) -> None:
        self.gateway, self.backends, self._http = gateway, backends, http

    def url(self, path: str) -> str:
        """The address of `path` behind the gateway."""
        return f"http://{self.gateway.address}{path}"

    async def take(self, *routes: Route) -> None:
        """Gives the gateway these routes and waits until it has them."""
        self.gateway.apply(
            Plan({f"fraud/{n}": service(n) for n in self.backends}, {f"fraud/{r.name}": r for r in routes})
        )
        wanted = {f"fraud/{route.name}": route.content for route in routes}
        await eventually(lambda: {k: v.content for k, v in self.gateway.live.items()} == wanted, what="routes are live")

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, str]]:
        """Status and answer of a GET; `host` and other headers by keyword, `_` for `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._http.get(self.url(path), headers=sent) as answer:
            return answer.status, await answer.json() if answer.status == 200 else {}


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[Gateway]:
    """Runs a gateway; its Envoy is ended after the block."""
    task = asyncio.create_task(gateway.run())
    try:
        yield gateway
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await gateway.stop()


def a_gateway(tmp_path: Path, http: aiohttp.ClientSession, port: int | None = None) -> Gateway:
    """A gateway that keeps its files in `tmp_path`."""
    return Gateway(tmp_path / "gateway", http, port=port, pool=Pool(), changed=lambda: None)


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """A running Bed."""
    async with AsyncExitStack() as stack:
        backends = {name: await stack.enter_async_context(backend(name)) for name in ("main", "canary")}
        http = await stack.enter_async_context(aiohttp.ClientSession())
        gateway = a_gateway(tmp_path, http)
        gateway.set_endpoints({f"fraud/{name}/8000": [server.port] for name, server in backends.items()})
        await stack.enter_async_context(running(gateway))
        yield Bed(gateway, backends, http)


async def test_exact_paths_are_rewritten_and_nothing_else_passes(bed: Bed) -> None:
    rule = {
        "matches": [exact("/f/g/scorer/infer")],
        "filters": [rewrite(full="/v2/models/m/infer")],
        "backendRefs": to(main=1),
    }
    await bed.take(route("scorer", rule))
    assert await bed.get("/f/g/scorer/infer?a=b") == (
        200,
        {"name": "main", "path": "/v2/models/m/infer?a=b", "host": "127.0.0.1"},
    )
    for path in (
        "/f/g/scorer/infer/",
        "/f/g/scorer/infer/x",
        "/f/g/scorer",
        "/v2/models/m/infer",
        "/v2/repository/index",
    ):
        assert (await bed.get(path))[0] == 404
    for path in ("/f/g/scorer/infer%2F..%2Funload", "/f/g/scorer/infer/../../../../v2/repository/models/m/unload"):
        assert (await bed.get(path))[0] in (400, 404)
    assert bed.backends["main"].seen == ["/v2/models/m/infer"]


@pytest.mark.parametrize(
    ("old", "new", "asked", "got"),
    [
        ("/a", "/x", "/a/b", "/x/b"),
        ("/a", "/x", "/a", "/x"),
        ("/a/", "/x/", "/a/b", "/x/b"),
        ("/a", "/", "/a/b", "/b"),
        ("/a", "/", "/a", "/"),
        ("/", "/x", "/b", "/x/b"),
    ],
)
async def test_prefixes_are_rewritten_by_segment(bed: Bed, old: str, new: str, asked: str, got: str) -> None:
    await bed.take(route("r", {"matches": [prefix(old)], "filters": [rewrite(prefix=new)], "backendRefs": to(main=1)}))
    assert (await bed.get(asked))[1]["path"] == got
    if old.rstrip("/"):
        assert (await bed.get(f"{old.rstrip('/')}bc"))[0] == 404


async def test_more_specific_matches_win_whatever_their_place(bed: Bed) -> None:
    rules = [
        {"matches": [prefix("/")], "filters": [rewrite(full="/root")], "backendRefs": to(main=1)},
        {"matches": [prefix("/a")], "filters": [rewrite(full="/prefix")], "backendRefs": to(main=1)},
        {"matches": [exact("/a/b")], "filters": [rewrite(full="/exact")], "backendRefs": to(main=1)},
        {
            "matches": [exact("/a/b", **header("x-canary", "1"))],
            "filters": [rewrite(full="/header")],
            "backendRefs": to(main=1),
        },
        {"matches": [exact("/a/b", method="POST")], "filters": [rewrite(full="/method")], "backendRefs": to(main=1)},
    ]
    await bed.take(route("r", *rules))
    assert (await bed.get("/z"))[1]["path"] == "/root"
    assert (await bed.get("/a/c"))[1]["path"] == "/prefix"
    assert (await bed.get("/a/b"))[1]["path"] == "/exact"
    assert (await bed.get("/a/b", x_canary="1"))[1]["path"] == "/header"
    assert (await bed.get("/a/b", x_canary="2"))[1]["path"] == "/exact"


async def test_hostnames_choose_the_most_specific_route(bed: Bed) -> None:
    def named(name: str, *hostnames: str) -> Route:
        rule = {"matches": [exact("/a")], "filters": [rewrite(full=f"/{name}")], "backendRefs": to(main=1)}
        return route(name, rule, hostnames=hostnames)

    below = {"matches": [exact("/below")], "backendRefs": to(main=1)}
    await bed.take(named("any"), named("wild", "*.example.com"), named("exact", "m.example.com"), route("below", below))
    assert (await bed.get("/a", host="m.example.com"))[1]["path"] == "/exact"
    assert (await bed.get("/a", host="m.example.com:8080"))[1]["path"] == "/exact"
    assert (await bed.get("/a", host="x.example.com"))[1]["path"] == "/wild"
    assert (await bed.get("/a", host="example.com"))[1]["path"] == "/any"
    assert (await bed.get("/below", host="m.example.com"))[0] == 200


async def test_mirrors_a_share_and_answers_from_the_backend(bed: Bed) -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": to(canary=1)[0], "percent": 50}}
    await bed.take(route("r", {"matches": [exact("/a")], "filters": [mirror], "backendRefs": to(main=1)}))
    assert {(await bed.get("/a"))[1]["name"] for _ in range(300)} == {"main"}
    assert 75 < len(bed.backends["canary"].seen) < 225


async def test_weights_share_the_requests_and_no_change_of_them_fails_one(bed: Bed) -> None:
    def split(main: int, canary: int) -> Route:
        rule = {"matches": [exact("/a")], "backendRefs": to(main=main, canary=canary)}
        return route("r", rule, content=f"{main}:{canary}")

    await bed.take(split(100, 0))
    async with load(bed.url("/a")) as sent:
        await sent.more(50)
        assert set(sent.answers) == {"main"}
        for main in (90, 50, 0, 100, 50, 10, 100, 50):
            await bed.take(split(main, 100 - main))
            await sent.more(50)
        before = dict(sent.answers)
        await sent.more(1000)
    share = (sent.answers["canary"] - before["canary"]) / (sent.answers.total() - sum(before.values()))
    assert sent.failed == 0
    assert 0.4 < share < 0.6


async def test_no_change_of_endpoints_fails_a_request(bed: Bed) -> None:
    await bed.take(route("r", {"matches": [exact("/a")], "backendRefs": to(main=1)}))
    both = [server.port for server in bed.backends.values()]
    async with load(bed.url("/a")) as sent:
        for endpoints in (both, both[:1], both[1:], both, both[1:], both[:1]) * 2:
            bed.gateway.set_endpoints({"fraud/main/8000": endpoints})
            assert await bed.gateway.settled()
            await sent.more(50)
    assert sent.failed == 0
    assert sent.answers["canary"] > 0


async def test_a_backend_without_endpoints_fails_no_request_while_another_has_a_share(bed: Bed) -> None:
    every = {f"fraud/{name}/8000": [server.port] for name, server in bed.backends.items()}
    await bed.take(route("r", {"matches": [exact("/a")], "backendRefs": to(main=50, canary=50)}))
    async with load(bed.url("/a")) as sent:
        for name in ("canary", "main"):
            bed.gateway.set_endpoints({**every, f"fraud/{name}/8000": []})
            assert await bed.gateway.settled()
            before = sent.answers[name]
            await sent.more(50)
            assert sent.answers[name] <= before + 4  # those that were in flight
            bed.gateway.set_endpoints(every)
            assert await bed.gateway.settled()
            await sent.more(50)
            assert sent.answers[name] > before
    assert sent.failed == 0


async def test_taking_its_share_from_a_backend_without_endpoints_fails_no_request(bed: Bed) -> None:
    shared = route("r", {"matches": [exact("/a")], "backendRefs": to(main=50, canary=50)}, content="shared")
    alone = route("r", {"matches": [exact("/a")], "backendRefs": to(main=100, canary=0)}, content="alone")
    every = {f"fraud/{name}/8000": [server.port] for name, server in bed.backends.items()}
    await bed.take(shared)
    async with load(bed.url("/a"), clients=8, pause=0) as sent:
        for _ in range(10):
            bed.gateway.set_endpoints({**every, "fraud/canary/8000": []})
            await sent.more(20)
            await bed.take(alone)
            bed.gateway.set_endpoints(every)
            await bed.take(shared)
            await sent.more(20)
    assert sent.failed == 0


async def test_routes_come_and_go_with_their_services(bed: Bed) -> None:
    canary = bed.backends
    await bed.take(route("r", {"matches": [exact("/a")], "backendRefs": to(canary=1)}))
    bed.backends = {"main": canary["main"]}
    await bed.take(route("r", {"matches": [exact("/a")], "backendRefs": to(main=1)}, content="2"))
    assert (await bed.get("/a"))[1]["name"] == "main"
    bed.backends = {}
    await bed.take()
    assert (await bed.get("/a"))[0] == 404


async def test_a_route_without_its_service_is_not_live_and_says_so(bed: Bed) -> None:
    good = route("good", {"matches": [exact("/good")], "backendRefs": to(main=1)})
    bad = route("bad", {"matches": [exact("/bad")], "backendRefs": to(absent=1)})
    await bed.take(good, bad)
    assert bed.gateway.live["fraud/good"].live
    assert not bed.gateway.live["fraud/bad"].live
    assert "fraud/absent/8000" in bed.gateway.live["fraud/bad"].message
    assert (await bed.get("/good"))[0] == 200
    assert (await bed.get("/bad"))[0] == 503


async def test_what_the_gateway_cannot_do_is_not_half_done(bed: Bed) -> None:
    odd = {"matches": [exact("/a")], "filters": [{"type": "ExtensionRef"}], "backendRefs": to(main=1)}
    await bed.take(route("r", odd))
    assert "ExtensionRef" in bed.gateway.live["fraud/r"].message
    assert (await bed.get("/a"))[0] == 500


async def test_envoy_is_started_again_with_the_same_state_on_the_same_port(bed: Bed) -> None:
    await bed.take(route("r", {"matches": [exact("/a")], "backendRefs": to(main=1)}))
    seen = set()

    async def another_answers() -> bool:
        assert bed.gateway.process is not None
        try:
            return (await bed.get("/a"))[0] == 200 and bed.gateway.process.pid not in seen
        except aiohttp.ClientConnectionError:
            return False

    for _ in range(2):
        assert bed.gateway.process is not None
        seen.add(bed.gateway.process.pid)
        os.kill(bed.gateway.process.pid, signal.SIGKILL)
        await eventually(another_answers, what="the route answers again")


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    async with backend("other") as other, aiohttp.ClientSession() as http:
        with pytest.raises(PortTaken, match=str(other.port)):
            a_gateway(tmp_path, http, other.port)
