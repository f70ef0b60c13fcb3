"""Status files of older versions of the contract, brought to the newest, one version after the other. Pure.

Each version that the contract has left behind keeps its step here for good: a cluster may have been without an agent
for long. The agent writes the whole tree anew with the first commit after an upgrade.
"""

from collections.abc import Callable, Mapping
from typing import Any

Value = dict[str, Any]


def migrate(value: Value) -> Value:
    """A status file of any known version, in plain values, as one of the newest. Others are given back as they are."""
    version = value.get("schemaVersion")
    while isinstance(version, int) and version in STEPS:
        version, value = version + 1, {**STEPS[version](value), "schemaVersion": version + 1}
    return value


def _path_to_the_revisions(value: Value) -> Value:
    """1 to 2: a path belongs to the place where a revision is served, since a Deployment can move to another."""
    traffic = value.get("traffic")
    if value.get("kind") != "DeploymentStatus" or not isinstance(traffic, dict):
        return value
    path = traffic.get("path")
    revisions = {role: {**value[role], "path": path} for role in ("current", "candidate") if value.get(role)}
    return {**value, "traffic": {key: one for key, one in traffic.items() if key != "path"}, **revisions}


STEPS: Mapping[int, Callable[[Value], Value]] = {1: _path_to_the_revisions}
