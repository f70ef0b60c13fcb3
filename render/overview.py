"""Where a cluster's Deployments stand, for a terminal: a table, and one Deployment's timeline. Pure: time comes in,
and everything else from the status tree. What needs a person comes first.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate, pairwise

from render import places, report, status_page
from render.characters import columns, one_line
from schemas.overview import Row
from schemas.status import DeploymentStatus, Evidence, ModelRevision, ServerStage, Stage, Transition, Tree

_HEAD = ("DEPLOYMENT", "STAGE", "REVISION", "PROVEN", "AGE", "MESSAGE")
_DIGEST_CHARACTERS = 19  # `sha256:` and 12 more
_SERVED = ("canary first pod", "canary", "main first pod", "main", "bake", "restore")  # rows in which pods prove models
_BACK = (Stage.ROLLBACK_IN_PROGRESS, Stage.ROLLBACK_FAILED, Stage.ROLLBACK_COMPLETE)
_LEAVING = (Stage.CLEAN_UP_IN_PROGRESS, Stage.CLEAN_UP_COMPLETE)


def rows(status: Tree, now: float) -> list[Row]:
    """All Deployments: what needs a person, then what is in hand, then the others, each by name. `now`: POSIX
    seconds."""
    order = sorted(status.deployments, key=lambda key: (*_urgency(status.deployments[key]), key))
    return [_row(status, key, now) for key in order]


def table(rows: Sequence[Row], width: int | None) -> list[str]:
    """Lines of a table, cut to `width` characters; None: as long as they get."""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    return [_cut(line.rstrip(), width) for line in _aligned(cells)]


def notices(status: Tree) -> list[str]:
    """What a person should know besides the Deployments: what is frozen, held or broken, and servers that do not just
    serve."""
    repository = status.repository
    lines = ["frozen: fresco.yaml is missing or broken, everything stays as it is"] if repository.frozen else []
    lines += [f"held until fresco.yaml allows it: the deletion of {name}" for name in repository.held_deletions]
    lines += [report.line(finding) for finding in repository.findings]
    for key, server in status.servers.items():
        if server.stage is not ServerStage.SERVE or server.message != "serving":
            lines.append(f"InferenceServer {key}: {server.stage}, {server.message}")
        lines += [report.line(finding) for finding in server.findings]
    return [one_line(line) for line in lines]


def timeline(status: DeploymentStatus, now: float, width: int | None) -> list[str]:
    """One Deployment: where it stands, the transitions of its last rollout with what was seen, and its findings."""
    lines = [f"{status.metadata.namespace}/{status.metadata.name}: {status.stage}, {one_line(status.message)}"]
    lines += [f"{role + ':':<11}{_revision(one)}" for role, one in _revisions(status) if one is not None]
    if status.failed is not None:
        failed = status.failed
        what = f"revision {failed.revision}, {failed.reason}: {failed.message}"
        lines.append(f"{'failed:':<11}{one_line(what)} ({_time(failed.at)})")
    lines += ["", *(one_line(report.line(finding)) for finding in status.findings)] if status.findings else []
    if status.transitions:
        lines += ["", *_transitions(status, now)]
    return [_cut(line, width) for line in lines]


def proven(status: DeploymentStatus) -> frozenset[str]:
    """Names of the pods that are on record as having proven what they are told to serve: in the work in hand, or when
    the last one ended."""
    pods: set[str] = set()
    if status.stage in _LEAVING:
        return frozenset()
    for one, other in pairwise(status.transitions):
        if other.stage in _BACK and one.stage not in _BACK:
            pods.clear()
        if other.step == "done" and other.evidence.pods:
            return frozenset(other.evidence.pods)
        if one.step in _SERVED or one.step.startswith("weight "):
            pods |= {*other.evidence.pods}
    return frozenset(pods)


def duration(seconds: float) -> str:
    """A time span in the largest unit of which there are two, rounded down: `90s`, `45m`, `30h`, `12d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


# ---- rows


def _urgency(status: DeploymentStatus) -> tuple[bool, bool]:
    settled = status.progress is None and status.stage is Stage.ROLLOUT_COMPLETE
    return not status_page.needs_person(status), settled


def _row(status: Tree, key: str, now: float) -> Row:
    one = status.deployments[key]
    needs_person = status_page.needs_person(one)
    entered = _entered(one.transitions)
    return Row(
        deployment=key,
        stage=one.stage,
        needs_person=needs_person,
        revision=one.current.revision if one.current is not None else None,
        candidate=one.candidate.revision if one.candidate is not None else None,
        proven=len(proven(one)),
        replicas=_replicas(status, one),
        age=round(now - entered.timestamp(), 3) if entered is not None else None,
        message=status_page.why(one) if needs_person and one.progress is None else one.message,
    )


def _entered(transitions: Sequence[Transition]) -> datetime | None:
    """When the stage of the last transition was entered."""
    entered = None
    for one in reversed(transitions):
        if one.stage != transitions[-1].stage:
            break
        entered = one.at
    return entered


def _replicas(status: Tree, one: DeploymentStatus) -> int | None:
    view = places.there(one)
    server = status.servers.get(places.home(view) or "")
    return sum(state.replicas.min for state in server.slices.values()) if server is not None else None


def _cells(row: Row) -> tuple[str, ...]:
    revision = row.revision or "-"
    return (
        row.deployment,
        row.stage,
        one_line(f"{revision} -> {row.candidate}" if row.candidate is not None else revision),
        f"{row.proven}/{row.replicas}" if row.replicas is not None else "-",
        duration(row.age) if row.age is not None else "-",
        one_line(row.message),
    )


# ---- one Deployment


def _revisions(status: DeploymentStatus) -> Iterable[tuple[str, ModelRevision | None]]:
    return ("current", status.current), ("candidate", status.candidate)


def _revision(one: ModelRevision) -> str:
    return one_line(
        f"revision {one.revision}, {one.name} on {one.server}, {one.digest[:_DIGEST_CHARACTERS]} from {one.uri}"
    )


def _transitions(status: DeploymentStatus, now: float) -> Iterator[str]:
    ends = [*(one.at.timestamp() for one in status.transitions[1:]), now]
    rows = [("WHEN", "FOR", "STAGE", "STEP", "WHAT")]
    for one, end in zip(status.transitions, ends, strict=True):
        lasted = duration(end - one.at.timestamp())
        rows.append((_time(one.at), lasted, one_line(one.stage), one_line(one.step), one_line(one.message)))
    head, *others = _aligned(rows)
    indent = head.index(rows[0][2])
    yield head
    for line, one in zip(others, status.transitions, strict=True):
        yield line
        seen = _seen(one.evidence)
        if seen:
            yield f"{'':{indent}}{one_line(seen)}"


def _seen(evidence: Evidence) -> str:
    """The evidence on which a row was entered, in one line: of the row before."""
    parts = [f"on evidence of {', '.join(evidence.pods)}"] if evidence.pods else []
    parts += [f"digest {evidence.digest[:_DIGEST_CHARACTERS]}"] if evidence.digest is not None else []
    parts += [f"route {evidence.route}"] if evidence.route is not None else []
    parts += [f"asked for in {evidence.source}"] if evidence.source is not None else []
    return "; ".join(parts)


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equally many cells as lines, each column but the last as wide as its widest cell."""
    widths = [max(map(columns, column)) for column in list(zip(*rows, strict=True))[:-1]]
    return ["  ".join([*map(_filled, row[:-1], widths), row[-1]]) for row in rows]


def _filled(cell: str, width: int) -> str:
    return cell + " " * (width - columns(cell))


def _cut(line: str, width: int | None) -> str:
    """A line in no more than `width` columns of a terminal."""
    if width is None or columns(line) <= width:
        return line
    ends = accumulate(map(columns, line))
    return "".join(one for one, end in zip(line, ends, strict=True) if end < width) + "…"
