"""What a change does to one cluster, put together. Pure."""

from collections.abc import Iterator
from typing import Any

import msgspec

from render import report
from render.diff import sentences, words
from render.diff.deployments import deployments
from render.diff.fields import differences
from render.diff.memory import memory, told
from render.diff.objects import objects
from render.diff.outcome import Sides, outcome
from render.diff.servers import rolling, servers
from render.normal import Wanted
from render.rules import Rule
from schemas.change import ClusterChange, ServerChange
from schemas.status import Finding, RepositoryStatus

_ABSENCES = (Rule.DELETION_HELD, Rule.DELETION_UNTRUSTED)


def cluster_change(sides: Sides, *, now: str, patches: bool = False) -> ClusterChange:
    """All that a change does to the cluster of `sides`. `now`: what its status was read from; `patches`: objects with
    unified diffs. Raises as `render.plan.manifests`."""
    after = outcome(sides)
    on_servers = servers(sides, after)
    on_deployments = deployments(sides, after, rolling(on_servers))
    rows = memory(sides, after, on_deployments)
    return ClusterChange(
        cluster=sides.head.repository.cluster,
        now=now,
        objects=objects(sides.now, after, patches=patches),
        servers=on_servers,
        deployments=told(on_deployments, rows),
        memory=rows,
        findings=tuple(_findings(sides.base, sides.head)),
        notes=tuple(_notes(sides, on_servers)),
    )


def _findings(base: Wanted, head: Wanted) -> Iterator[Finding]:
    """Errors, and what is new of the warnings and of what is only missing: a branch that is behind misses much."""
    known = {_gist(one) for one in report.of(base)}
    for one in report.of(head):
        if (one.severity == "error" and one.rule not in _ABSENCES) or _gist(one) not in known:
            yield one


def _gist(finding: Finding) -> tuple[str, str, str]:
    return finding.file, finding.rule, finding.message


def _notes(sides: Sides, on_servers: tuple[ServerChange, ...]) -> Iterator[str]:
    repository, before = sides.head.repository, sides.base.repository
    if repository.frozen:
        yield "fresco.yaml is missing or broken: nothing of this cluster would change until it is mended"
    count, most = len(rolling(on_servers)), repository.max_servers_at_once
    if count > most:
        yield f"{words.count(count, 'server')} get new pods, at most {most} at once"
    settings = differences(_settings(before), _settings(repository), normal=True)
    yield from (sentences.field(one, str) for one in settings.shown if not repository.frozen)


def _settings(repository: RepositoryStatus) -> dict[str, Any]:
    """What is the same for all of a cluster."""
    return {
        "gateway": msgspec.to_builtins(repository.gateway),
        "settle": repository.settle,
        "maxServersAtOnce": repository.max_servers_at_once,
    }
