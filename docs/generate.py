"""Writes the parts of the documentation that the code itself knows: limits, rules, fields, the plans of a rollout.

`make docs` runs it. Those parts stand between markers in hand-written pages; a test holds them to the code. I/O: files.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from render.compat.fields import UNHONOURED, WRITTEN
from render.diff.plans import where_to
from render.explain import dotted
from render.rollout import server_plan
from render.rollout.plan import Row, rows
from render.rules import Rule
from render.rules.explained import BASE, Example, Explained
from render.rules.second import places
from render.rules.table import RULES
from schemas import limits
from schemas.examples import EXAMPLES
from schemas.resources import ModelType, Strategy
from schemas.status import (
    Deadlines,
    DeploymentStatus,
    ModelRevision,
    Progress,
    Replicas,
    Role,
    RolloutPolicy,
    RouteState,
    ServerProgress,
    ServerSlice,
    ServerStage,
    ServerStatus,
    SliceName,
    SliceState,
    Stage,
    StatusMetadata,
    StepPolicy,
    Work,
)

PAGES: Final = Path(__file__).parent
_GENERATED: Final = ("contracts.md", "limits.md", "michelangelo.md", "rollout.md", "rules.md")


def pages() -> dict[Path, str]:
    """Every page with generated parts, as it should be."""
    parts = {
        "limits": _limits(),
        "rules": _rules(),
        **{f"michelangelo {kind.lower()}": _their_fields(kind) for kind in WRITTEN},
        "base": _base(),
        **{f"plan {name}": _plan(status) for name, status in _plans().items()},
        **{f"plan server {name}": _server_plan(status) for name, status in _server_plans().items()},
        **{f"example {name.replace('-', ' ')}": _json(example) for name, example in EXAMPLES.items()},
    }
    return {PAGES / name: _filled((PAGES / name).read_text("utf-8"), parts) for name in _GENERATED}


def main() -> None:
    """Writes them."""
    for path, text in pages().items():
        path.write_text(text, "utf-8")


def _filled(page: str, parts: dict[str, str]) -> str:
    def fill(marker: re.Match[str]) -> str:
        return f"{marker[1]}\n{parts[marker[2]]}\n{marker[3]}"

    return re.sub(r"(<!-- generated: ([a-z ]+) -->\n).*?(\n<!-- end -->)", fill, page, flags=re.DOTALL)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines))


def _json(value: object) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


# ---- limits


def _seconds(value: float) -> str:
    return f"{value / 60:g} min" if value >= 60 and value % 60 == 0 else f"{value:g} s"


def _bytes(value: float) -> str:
    return f"{value / 2**20:g} MiB" if value >= 2**20 else f"{value / 2**10:g} KiB"


def _percent(value: float) -> str:
    return f"{value:g} %"


def _count(value: float) -> str:
    return f"{value:g}"


class Limit(NamedTuple):
    """What a constant of `schemas.limits` limits, in which unit, and where people change it."""

    what: str
    unit: Callable[[float], str]
    where: str


_ROLLOUT, _DEADLINES = "Repository, Deployment: `rollout.{}`".format, "Repository, Deployment: `rollout.deadlines`"
_GUARDS, _GATEWAY = "Repository: `guards`", "Repository: `clusters[].gateway.settle`"
_SYNC, _AGENT, _FIXED = "InferenceServer: `sync.{}`".format, "agent", "fixed"
LIMITS: Final = {
    "DEADLINE_ASSET_PREPARATION": Limit(
        "deadline: every replica has the artifact on disk, verified", _seconds, _DEADLINES
    ),
    "DEADLINE_RESOURCE_ACQUISITION": Limit("deadline: each step of Resource Acquisition", _seconds, _DEADLINES),
    "DEADLINE_TRAFFIC_ROUTING": Limit("deadline: each traffic step, besides its soak", _seconds, _DEADLINES),
    "DEADLINE_ROLLBACK": Limit("deadline: each step of a rollback or a clean-up", _seconds, _DEADLINES),
    "BAKE": Limit("bake time after the promotion", _seconds, _ROLLOUT("bake")),
    "MAX_FAILED_REPLICAS": Limit(
        "replicas of a later wave that may fail, rounded down", _percent, _ROLLOUT("maxFailedReplicas")
    ),
    "QUORUM": Limit('live pods that "every replica" needs at least, rounded up', _percent, "InferenceServer: `quorum`"),
    "SIDECAR_RESYNC": Limit("sidecar: looks at everything again", _seconds, _SYNC("resync")),
    "DOWNLOAD_CONNECTIONS": Limit("sidecar: connections for downloads", _count, _SYNC("connections")),
    "DOWNLOAD_BYTES_IN_FLIGHT": Limit("sidecar: bytes in flight", _bytes, _FIXED),
    "MAX_DELETIONS_SHARE": Limit(
        "share of deletions (or unloads) that wants a permission: more than", _percent, _GUARDS
    ),
    "MAX_DELETIONS_COUNT": Limit("… and more than so many", _count, _GUARDS),
    "MAX_SERVERS_AT_ONCE": Limit("servers whose pods are replaced at the same time", _count, _GUARDS),
    "SETTLE": Limit("time a gateway needs for a change of weights", _seconds, _GATEWAY),
    "SETTLE_ENVOY": Limit("… where it is Envoy or Envoy Gateway", _seconds, _GATEWAY),
    "COMMIT_WINDOW": Limit("a commit each so long, on average: changes meanwhile share one", _seconds, _AGENT),
    "POLL_MAIN": Limit("looks at the repository without a webhook", _seconds, _AGENT),
    "RESYNC": Limit("looks at everything again", _seconds, _AGENT),
    "MAX_REPLICAS": Limit("replicas of one slice", _count, _FIXED),
    "MODEL_CONFIG_BYTES": Limit("model config of one slice", _bytes, _FIXED),
    "REPORT_BYTES": Limit("report of one sidecar", _bytes, _FIXED),
    "MESSAGE_CHARACTERS": Limit("message of a report: characters", _count, _FIXED),
    "REPORT_POLL": Limit("long poll of a report", _seconds, _FIXED),
    "LOAD_DEADLINE": Limit("one load by the server", _seconds, _SYNC("loadDeadline")),
    "LOAD_ATTEMPTS": Limit("loads that the server refuses before that is taken for certain", _count, _FIXED),
}


def _limits() -> str:
    names = [name for name in vars(limits) if name.isupper()]
    missing = LIMITS.keys() ^ set(names)
    if missing:
        raise KeyError(f"limits that are in one place only: {', '.join(sorted(missing))}")
    found = ((LIMITS[name], getattr(limits, name)) for name in names)
    return _table(("what", "default", "set in"), [(one.what, one.unit(value), one.where) for one, value in found])


# ---- rules


def _rules() -> str:
    lines = [(f"[`{rule}`](#{rule.lower()})", one.title) for rule, one in RULES.items()]
    return "\n\n".join([_table(("id", "rule"), lines), *(_rule(rule, one) for rule, one in RULES.items())])


def _rule(rule: Rule, one: Explained) -> str:
    parts = [f"## {rule}", " ".join([f"**{one.title}.** {one.why}", *places(rule)])]
    return "\n\n".join([*parts, *_side("Wrong", one.wrong), *_side("Right", one.right)])


def _side(word: str, example: Example) -> list[str]:
    before = ["Before:", _yaml(example.before)] if example.before is not None else []
    file = f" (`{example.file}`)" if example.file is not None else ""
    return [*before, f"{word}{file}:", _yaml(example.text)]


def _base() -> str:
    return "\n\n".join(_yaml(text) for text in BASE.values())


def _yaml(text: str) -> str:
    return f"```yaml\n{text.rstrip()}\n```"


# ---- Michelangelo's fields


def _their_fields(kind: str) -> str:
    """Each field of theirs that is used, and each that has a finding."""
    used = [
        (f"`{dotted(theirs)}`", f"`{dotted(ours)}`")
        for ours, theirs in WRITTEN[kind].items()
        if ours[0] == "spec" and len(ours) > 1
    ]
    others = [
        (f"`{dotted(one.path)}`", f"{'error' if one.is_error else 'warning'}: {one.message}; {one.instead}")
        for one in UNHONOURED[kind]
    ]
    return _table(("Michelangelo's", "Fresco's"), [*used, *others])


# ---- plans


_THEN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_STEPS: Final = (StepPolicy(weight=10, soak=300.0), StepPolicy(weight=50, soak=600.0))
_CANARY: Final[dict[SliceName, int]] = {"main": 4, "canary": 2}
_MAIN: Final[dict[SliceName, int]] = {"main": 4}


def _plans() -> dict[str, DeploymentStatus]:
    """A Deployment at the beginning of each kind of work."""
    return {
        "first": _at_work(Work.ROLLOUT, _CANARY, first=True),
        "with canary": _at_work(Work.ROLLOUT, _CANARY),
        "in place": _at_work(Work.ROLLOUT, _MAIN),
        "move": _moving(_at_work(Work.ROLLOUT, _CANARY)),
        "move back": _moving(_at_work(Work.ROLLBACK, _CANARY)),
        "emergency": _at_work(Work.ROLLOUT, _CANARY, strategy=Strategy.EMERGENCY),
        "rollback": _at_work(Work.ROLLBACK, _CANARY),
        "clean up": _at_work(Work.CLEAN_UP, _CANARY),
    }


def _at_work(
    work: Work,
    slices: dict[SliceName, int],
    *,
    first: bool = False,
    strategy: Strategy = Strategy.PROGRESSIVE,
) -> DeploymentStatus:
    moved: tuple[SliceName, ...] = ("canary",) if work is Work.ROLLBACK else ()
    progress = Progress(work=work, step="stage", started_at=_THEN, since=_THEN, slices=slices, first=first, moved=moved)
    return DeploymentStatus(
        api_version="serving.fresco.dev/v1alpha1",
        kind="DeploymentStatus",
        schema_version=1,
        metadata=StatusMetadata(name="scorer", namespace="fraud"),
        stage=Stage.VALIDATION,
        message="",
        rollout=_policy(strategy),
        progress=progress,
        slices=dict.fromkeys(slices, SliceState(serve=Role.CURRENT)),
        route=None if first else RouteState(),
    )


def _moving(status: DeploymentStatus) -> DeploymentStatus:
    """Its revisions are on two servers."""
    here, there = (_revision(server) for server in ("gpu-a", "gpu-b"))
    return msgspec.structs.replace(status, current=here, candidate=there)


def _revision(server: str) -> ModelRevision:
    digest = "sha256:" + "0" * 64
    return ModelRevision(
        model_hash=digest,
        server=server,
        name="scorer",
        type=ModelType.REPOSITORY,
        revision="1",
        uri="s3://models/scorer/1",
        digest=digest,
        options={},
        attempt=0,
        path=f"/fraud/{server}/scorer",
    )


def _policy(strategy: Strategy) -> RolloutPolicy:
    return RolloutPolicy(
        strategy=strategy,
        steps=_STEPS,
        deadlines=Deadlines(
            asset_preparation=limits.DEADLINE_ASSET_PREPARATION,
            resource_acquisition=limits.DEADLINE_RESOURCE_ACQUISITION,
            traffic_routing=limits.DEADLINE_TRAFFIC_ROUTING,
            rollback=limits.DEADLINE_ROLLBACK,
        ),
        bake=limits.BAKE,
        max_failed_replicas=limits.MAX_FAILED_REPLICAS,
        paused=False,
    )


def _plan(status: DeploymentStatus) -> str:
    head = ("stage", "step", "the slices are told", "the route goes to", "goes on when", "soak", "deadline")
    return _table(head, [_cells(row) for row in rows(status)])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.stage,
        f"`{row.step}`",
        _told(row),
        where_to(row.route),
        "; ".join(row.until),
        _seconds(row.soak) if row.soak else "–",
        _seconds(row.deadline),
    )


def _told(row: Row) -> str:
    told = ["where it was: nothing"] if row.here == {} else []
    if row.slices is None:
        return "; ".join(["as before", *told])
    slices = [f"{name}: {_state(state, first=row.first == name)}" for name, state in sorted(row.slices.items())]
    return "; ".join([*(slices or ["nothing"]), *told])


def _state(state: SliceState, *, first: bool) -> str:
    serves = f"serve {state.serve}" if state.serve else "serve nothing"
    tries = ", one pod the candidate" if first else ""
    staged = f" ({', '.join(state.stage)} on disk)" if state.stage and not first else ""
    return serves + tries + staged


# ---- plans of servers


def _server_plans() -> dict[str, ServerStatus]:
    """An InferenceServer at the beginning of each kind of work."""
    return {
        "with canary": _server_at_work(Work.ROLLOUT, _CANARY),
        "in place": _server_at_work(Work.ROLLOUT, _MAIN),
        "rollback": _server_at_work(Work.ROLLBACK, _CANARY),
        "removal": _server_at_work(Work.CLEAN_UP, _CANARY),
    }


def _server_at_work(work: Work, slices: dict[SliceName, int]) -> ServerStatus:
    return ServerStatus(
        api_version="serving.fresco.dev/v1alpha1",
        kind="InferenceServerStatus",
        schema_version=1,
        metadata=StatusMetadata(name="gpu-a", namespace="fraud"),
        stage=ServerStage.PROVISION,
        message="",
        quorum=limits.QUORUM,
        progress=ServerProgress(work=work, step="turn", started_at=_THEN, since=_THEN, slices=slices),
        slices={
            name: ServerSlice(template=Role.CANDIDATE, replicas=Replicas(min=count, max=count))
            for name, count in slices.items()
        },
    )


def _server_plan(status: ServerStatus) -> str:
    head = ("step", "the slices' pods have", "routes lead to", "goes on when", "deadline")
    return _table(head, [_server_cells(row) for row in server_plan.rows(status)])


def _server_cells(row: server_plan.Row) -> tuple[str, ...]:
    templates = {Role.CURRENT: "the previous template", Role.CANDIDATE: "the new template"}
    return (
        f"`{row.step}`",
        "; ".join(f"{name}: {templates[told.template]}" for name, told in sorted(row.slices.items())),
        "every slice" if all(told.routed for told in row.slices.values()) else "main",
        "; ".join(row.until),
        _seconds(row.deadline) if row.deadline is not None else "–",
    )


if __name__ == "__main__":
    main()
