"""The agent's small web port: is it alive, is it ready, look at main now, metrics, and what it does at this moment.

Nothing here decides anything. `/` has what status files never hold: progress in bytes, and troubles of this process.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agent.status.health import Trouble
from agent.status.loop import Agent
from render.rollout import home
from render.rollout.observation import Pod
from schemas.status import DeploymentStatus

_AGENT: Final = web.AppKey("agent", Agent)
_UNREADY: Final = frozenset({Trouble.REPOSITORY, Trouble.CLONE, Trouble.LEADER})


def application(agent: Agent) -> web.Application:
    """The application that tells about `agent`."""
    app = web.Application(client_max_size=64 << 10)
    app[_AGENT] = agent
    app.router.add_get("/livez", _livez)
    app.router.add_get("/readyz", _readyz)
    app.router.add_post("/refresh", _refresh)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/", _now)
    return app


async def _livez(request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def _readyz(request: web.Request) -> web.Response:
    """Ready: it has seen the cluster and reaches the repository, and it may write."""
    agent = request.app[_AGENT]
    why = [f"{kind}: {text}" for kind, text in agent.health.troubles.items() if kind in _UNREADY]
    if not agent.observer.complete:
        why.append("cluster: not seen whole yet")
    return web.Response(text="\n".join(why or ["ready"]) + "\n", status=503 if why else 200)


async def _refresh(request: web.Request) -> web.Response:
    request.app[_AGENT].refresh()
    return web.Response(status=202, text="looking\n")


async def _metrics(request: web.Request) -> web.Response:
    body = generate_latest(request.app[_AGENT].health.registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _now(request: web.Request) -> web.Response:
    body = msgspec.json.format(msgspec.json.encode(now(request.app[_AGENT])), indent=2)
    return web.Response(body=body + b"\n", content_type="application/json")


def now(agent: Agent) -> dict[str, Any]:
    """What the agent knows at this moment, as plain values."""
    tree = agent.branch.tree
    return {
        "main": agent.branch.tips.main,
        "branch": agent.branch.tips.cluster,
        "applied": agent.observer.applied,
        "epoch": agent.branch.epoch,
        "troubles": dict(agent.health.troubles),
        "servers": {name: _words(one.stage, one.message) for name, one in tree.servers.items()} if tree else {},
        "deployments": {name: _deployment(agent, one) for name, one in tree.deployments.items()} if tree else {},
    }


def _deployment(agent: Agent, status: DeploymentStatus) -> dict[str, Any]:
    told = _words(status.stage, status.message)
    told |= {role: one.revision for role in ("current", "candidate") if (one := getattr(status, role)) is not None}
    if status.progress is not None:
        told["step"] = status.progress.step
        told["pods"] = dict(_pods(agent, status))
    return told


def _pods(agent: Agent, status: DeploymentStatus) -> Iterator[tuple[str, Any]]:
    """What each pod says of the model that is being rolled out or back."""
    revision = status.candidate or status.current
    for pod in agent.observer.pods(home(None, status) or ""):
        model = pod.report.models.get(revision.name) if pod.report and revision else None
        yield pod.name, _reach(pod) if model is None else msgspec.to_builtins(model)


def _reach(pod: Pod) -> str:
    return "out of reach" if pod.report is None else "says nothing of it"


def _words(stage: str, message: str) -> dict[str, Any]:
    return {"stage": stage, "message": message}
