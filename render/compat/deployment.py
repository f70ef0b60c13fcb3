"""Michelangelo's Deployment in Fresco's form. Pure."""

import math
from collections.abc import Iterator
from typing import Any

from render.compat.words import LINK, annotated, something, user
from render.document import Path
from render.resource import Resource
from render.rules import Rule
from schemas.michelangelo import Reference, ShadowSpec, TheirDeployment, TheirStrategy
from schemas.resources import Michelangelo, Strategy
from schemas.status import Finding

_STRATEGY: Path = ("spec", "strategy")


def spec(theirs: TheirDeployment, settings: Michelangelo) -> dict[str, Any] | None:
    """The spec in Fresco's form; None where it names no revision or no server."""
    revision, server = theirs.spec.desired_revision, theirs.spec.inference_server
    if revision is None or server is None:
        return None
    return something(
        {
            "server": server.name,
            "model": {"revision": revision.name, "uri": _address(theirs, revision, settings)},
            "rollout": _rollout(theirs.spec.strategy),
            "traffic": something({"path": _path(theirs, server, settings), "mirror": _mirror(theirs.spec.shadow_spec)}),
        }
    )


def findings(bare: Resource, theirs: TheirDeployment, settings: Michelangelo | None) -> Iterator[Finding]:
    """What Fresco has against it besides single fields that it cannot honour."""
    if theirs.spec.desired_revision is None:
        hint = "to delete the Deployment, write deletionSpec.deleted: true"
        yield bare.finding(Rule.MISSING_FIELD, ("spec", "desiredRevision"), "this field is required", hint=hint)
    elif settings is None:
        message = "fresco.yaml does not say where the artifacts of revisions are"
        hint = "add spec.michelangelo.artifacts there"
        yield bare.finding(Rule.NO_ARTIFACTS, ("spec", "desiredRevision"), message, hint=hint)
    yield from _server(bare, theirs)
    yield from _strategy(bare, theirs.spec.strategy)


def annotations(theirs: TheirDeployment) -> dict[str, str]:
    """What says nothing of serving."""
    family = theirs.spec.model_family
    told = "/".join(part for part in (family.namespace, family.name) if part) if family is not None else ""
    links = {f"{LINK}{name}": link for name, link in theirs.spec.resource_links.items()}
    return annotated({**user(theirs.spec.owner), "model-family": told, **links})


def _server(bare: Resource, theirs: TheirDeployment) -> Iterator[Finding]:
    server, own = theirs.spec.inference_server, theirs.metadata.namespace
    if server is None and theirs.spec.mobile_spec is None:
        yield bare.finding(Rule.MISSING_FIELD, ("spec", "inferenceServer"), "this field is required")
    if server is not None and server.namespace not in (None, own):
        message = f"a Deployment's server is in its own namespace, {own!r}, got {server.namespace!r}"
        hint = "write both in one namespace"
        yield bare.finding(Rule.NOT_HONOURED, ("spec", "inferenceServer", "namespace"), message, hint=hint)


def _strategy(bare: Resource, strategy: TheirStrategy) -> Iterator[Finding]:
    chosen = (strategy.rolling, strategy.zonal, strategy.blast, strategy.red_black, strategy.disaggregated)
    if sum(one is not None for one in chosen) > 1:
        yield bare.finding(Rule.WRONG_VALUE, _STRATEGY, "expected one strategy, got several")
    if strategy.blast is not None and not _reason(strategy).strip():
        message = "an emergency skips every precaution, so it needs a reason"
        yield bare.finding(Rule.NO_REASON, (*_STRATEGY, "blast"), message, hint="add issueLink")


def _address(theirs: TheirDeployment, revision: Reference, settings: Michelangelo) -> str:
    family = theirs.spec.model_family
    return _filled(
        settings.artifacts,
        namespace=revision.namespace or theirs.metadata.namespace,
        model=family.name if family is not None else theirs.metadata.name,
        revision=revision.name,
    )


def _path(theirs: TheirDeployment, server: Reference, settings: Michelangelo) -> str | None:
    if settings.path is None:
        return None
    metadata = theirs.metadata
    return _filled(settings.path, namespace=metadata.namespace, server=server.name, deployment=metadata.name)


def _filled(template: str, **values: str) -> str:
    """`template` with the values, which hold no braces, in place of their names."""
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _rollout(strategy: TheirStrategy) -> dict[str, Any]:
    if strategy.blast is not None and _reason(strategy).strip():
        return {"strategy": Strategy.EMERGENCY.value, "reason": _reason(strategy)}
    if strategy.rolling is not None and strategy.rolling.increment_percentage:
        increment = strategy.rolling.increment_percentage
        return {"steps": [{"weight": weight} for weight in range(increment, 100, increment)]}
    if strategy.zonal is not None and strategy.zonal.rollout_period_in_seconds:
        return {"bake": f"{strategy.zonal.rollout_period_in_seconds:.3f}".rstrip("0").rstrip(".") + "s"}
    return {}


def _reason(strategy: TheirStrategy) -> str:
    return (strategy.blast.issue_link or strategy.blast.jira_link) if strategy.blast is not None else ""


def _mirror(shadow: ShadowSpec) -> dict[str, int] | None:
    if not shadow.enabled or shadow.dryrun or not shadow.traffic_percentage:
        return None
    return {"percent": math.ceil(shadow.traffic_percentage)}
