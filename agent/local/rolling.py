"""Which pods of a slice to make and which to stop next: a small Deployment controller's rule. Pure."""

from collections.abc import Collection, Sequence
from itertools import count
from typing import NamedTuple

from agent.local.desired import Slice


class PodView(NamedTuple):
    """A pod as this rule sees it. `template`: hash of its template; `stopping`: it was told to go, and still runs."""

    name: str
    template: str
    ready: bool
    stopping: bool


class Step(NamedTuple):
    """Names of pods to make and to stop now."""

    make: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()


def step(wanted: Slice, pods: Sequence[PodView]) -> Step:
    """The next step of `wanted` from `pods`, all of that slice. Nothing more to do: an empty step.

    A new template comes in within the slice's `update`: at most `surge` pods beyond the replicas, and at most
    `unavailable` fewer ready ones. Pods that are not ready go first, since nobody misses them.
    """
    staying = [pod for pod in pods if not pod.stopping]
    current = [pod for pod in staying if pod.template == wanted.template.hash]
    old = [pod for pod in staying if pod.template != wanted.template.hash]
    surplus = _last(current, len(current) - wanted.replicas)
    room = wanted.replicas + wanted.update.surge - len(pods)
    missing = wanted.replicas - len(current)
    return Step(
        make=_names(wanted, {pod.name for pod in pods}, max(0, min(missing, room))),
        stop=tuple(pod.name for pod in (*surplus, *_replaced(wanted, staying, old))),
    )


def _last(pods: Sequence[PodView], number: int) -> list[PodView]:
    """The `number` pods that are missed least: not ready, then the youngest."""
    return sorted(pods, key=lambda pod: (pod.ready, -_ordinal(pod.name)))[: max(0, number)]


def _replaced(wanted: Slice, staying: Sequence[PodView], old: Sequence[PodView]) -> list[PodView]:
    """Old pods that may go now."""
    unready = [pod for pod in old if not pod.ready]
    ready = sorted((pod for pod in old if pod.ready), key=lambda pod: _ordinal(pod.name))
    spare = sum(pod.ready for pod in staying) - (wanted.replicas - wanted.update.unavailable)
    return [*unready, *ready[: max(0, spare)]]


def _names(wanted: Slice, taken: Collection[str], number: int) -> tuple[str, ...]:
    """Names of a Deployment's pods tell its template, too: a name is never that of a pod of another template."""
    names = (f"{wanted.name}-{wanted.template.hash[:6]}-{ordinal}" for ordinal in count())
    free = (name for name in names if name not in taken)
    return tuple(next(free) for _ in range(number))


def _ordinal(name: str) -> int:
    return int(name.rpartition("-")[2])
