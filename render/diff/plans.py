"""The plans that the rules of rollouts make, as people read them. Pure."""

from collections.abc import Iterable

from render.rollout import server_plan
from render.rollout.plan import Row
from schemas.change import Plan, Step
from schemas.status import Role, RouteState


def of_deployment(rows: Iterable[Row]) -> Plan:
    """The plan of a Deployment's work."""
    return _plan(Step(row.step, row.message, where_to(row.route), _weight(row), row.soak, row.deadline) for row in rows)


def of_server(rows: Iterable[server_plan.Row]) -> Plan:
    """The plan of an InferenceServer's work."""
    return _plan(Step(row.step, row.message, _open(row), None, 0.0, row.deadline) for row in rows)


def _plan(steps: Iterable[Step]) -> Plan:
    steps = tuple(steps)
    return Plan(
        steps,
        at_least=sum(one.soak for one in steps),
        at_most=sum(one.soak + (one.deadline or 0.0) for one in steps),
    )


def _weight(row: Row) -> int | None:
    split = row.route.split if row.route is not None else None
    return split.get("canary") if split is not None and row.step.startswith("weight") else None


def _open(row: server_plan.Row) -> str:
    return "every slice" if all(told.routed for told in row.slices.values()) else "main alone"


def where_to(route: RouteState | None) -> str:
    """Where a route leads, in words."""
    if route is None:
        return "no route"
    if route.split is None:
        return "every slice there" if route.to is Role.CANDIDATE else "every slice"
    return ", ".join(f"{name} {weight} %" for name, weight in route.split.items())
