"""STATUS.md and a page for each namespace, from the status tree alone. Pure.

For somebody who is called at night: what is wrong first, then where everything stands.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from render.places import is_moving
from schemas.status import DeploymentStatus, Finding, ModelRevision, Role, ServerStage, ServerStatus, Stage, Tree

INDEX = "STATUS.md"

_BAD = (Stage.ROLLBACK_IN_PROGRESS, Stage.ROLLBACK_COMPLETE, Stage.ROLLBACK_FAILED)
_TRANSITIONS = 20
_MARKUP = frozenset("\\`*[]<>|#")


def path(name: str) -> str:
    """Where the page of a namespace is."""
    return f"status/{name}/README.md"


def index(status: Tree) -> str:
    """The index: what concerns everything, what needs a person, and how much there is of each namespace."""
    lines = [f"# Cluster {status.repository.cluster}", "", *_repository(status)]
    lines += _attention(status)
    lines += ["## Namespaces", "", *_namespaces(status)]
    return _page(lines)


def namespace(status: Tree, name: str) -> str:
    """The page of one namespace: servers and Deployments, then each that is not settled in full."""
    servers = [one for key, one in status.servers.items() if key.startswith(f"{name}/")]
    deployments = [one for key, one in status.deployments.items() if key.startswith(f"{name}/")]
    lines = [f"# {name}", "", f"Cluster {status.repository.cluster}, see [{INDEX}](../../{INDEX}).", ""]
    lines += _servers(servers)
    lines += _deployments(deployments)
    for one in deployments:
        lines += _details(one)
    return _page(lines)


# ---- the index


def _repository(status: Tree) -> Iterator[str]:
    repository = status.repository
    if repository.frozen:
        yield from ("**Frozen: fresco.yaml is missing or broken. Everything stays as it is.**", "")
    yield from _findings("Findings", repository.findings)
    if repository.held_deletions:
        yield from (
            "## Held deletions",
            "",
            "Too many at once: `guards.allowDeletion` in fresco.yaml lets them go.",
            "",
        )
        yield from (f"- {_text(name)}" for name in repository.held_deletions)
        yield ""


def _attention(status: Tree) -> Iterator[str]:
    servers = {key: one for key, one in status.servers.items() if server_needs_person(one)}
    deployments = {key: one for key, one in status.deployments.items() if needs_person(one)}
    rows = [_server_row(servers[key], key) for key in sorted(servers)]
    rows += [_attention_row(deployments[key], key) for key in sorted(deployments)]
    yield from ("## Needs a person", "")
    if rows:
        yield from _table(("Resource", "Stage", "What"), rows)
    else:
        yield "Nothing."
    yield ""


def _attention_row(status: DeploymentStatus, key: str) -> Sequence[str]:
    name = status.metadata.namespace
    return (f"[{_text(key)}]({path(name)}#{status.metadata.name})", status.stage.value, _text(why(status)))


def _server_row(status: ServerStatus, key: str) -> Sequence[str]:
    message = status.findings[0].message if status.findings else status.message
    return (f"[{_text(key)}]({path(status.metadata.namespace)})", status.stage.value, _text(message))


def _namespaces(status: Tree) -> Iterator[str]:
    servers = Counter(key.split("/")[0] for key in status.servers)
    stages: dict[str, Counter[Stage]] = defaultdict(Counter)
    for key, one in status.deployments.items():
        stages[key.split("/")[0]][one.stage] += 1
    rows = [
        (f"[{name}]({path(name)})", str(servers[name]), str(stages[name].total()), _counts(stages[name]))
        for name in sorted({*servers, *stages})
    ]
    yield from _table(("Namespace", "Servers", "Deployments", "Stages"), rows)


def _counts(stages: Mapping[Stage, int]) -> str:
    return ", ".join(f"{stage.value} {stages[stage]}" for stage in Stage if stages.get(stage))


# ---- a namespace


def _servers(servers: Iterable[ServerStatus]) -> Iterator[str]:
    rows = [
        (
            one.metadata.name,
            one.stage.value,
            ", ".join(f"{name} {_replicas(one, name)}" for name in sorted(one.slices, reverse=True)),
            f"`{_text(one.current.image)}`" if one.current is not None else "",
            _text(one.message),
        )
        for one in servers
    ]
    yield from ("## Servers", "")
    yield from _table(("Server", "Stage", "Slices", "Image", "Message"), rows)
    yield ""
    for one in servers:
        yield from _findings(f"Findings of server {one.metadata.name}", one.findings)


def _replicas(status: ServerStatus, name: str) -> str:
    replicas = next(one.replicas for slice_name, one in status.slices.items() if slice_name == name)
    return str(replicas.min) if replicas.min == replicas.max else f"{replicas.min}–{replicas.max}"


def _deployments(deployments: Iterable[DeploymentStatus]) -> Iterator[str]:
    rows = [
        (
            f"[{one.metadata.name}](#{one.metadata.name})" if _is_open(one) else one.metadata.name,
            one.stage.value,
            _revision(one.current),
            _candidate(one),
            _traffic(one),
            _text(one.message),
        )
        for one in deployments
    ]
    yield from ("## Deployments", "")
    yield from _table(("Deployment", "Stage", "Serving", "Candidate", "Traffic", "Message"), rows)
    yield ""


def _details(status: DeploymentStatus) -> Iterator[str]:
    if not _is_open(status):
        return
    yield from (f"### {status.metadata.name}", "", f"{status.stage.value}: {_text(status.message)}", "")
    if status.failed is not None:
        failed = status.failed
        yield f"Failed: revision {_text(failed.revision)}, {_text(failed.reason)}: {_text(failed.message)}"
        yield from (f"({_text(failed.digest)}, {_time(failed.at)})", "")
    yield from _findings("Findings", status.findings, level=4)
    rows = [
        (_time(one.at), _text(one.stage), _text(one.step), _text(one.message))
        for one in status.transitions[-_TRANSITIONS:]
    ]
    if rows:
        yield from _table(("When", "Stage", "Step", "What"), rows)
        yield ""


# ---- words


def _is_open(status: DeploymentStatus) -> bool:
    return status.stage is not Stage.ROLLOUT_COMPLETE or bool(status.findings) or status.failed is not None


def needs_person(status: DeploymentStatus) -> bool:
    """Whether it is going back, has gone back, or has an error on main."""
    return status.stage in _BAD or _has_error(status.findings)


def server_needs_person(status: ServerStatus) -> bool:
    """Whether it has an error on main."""
    return _has_error(status.findings) and status.stage is not ServerStage.DELETE


def _has_error(findings: Iterable[Finding]) -> bool:
    return any(one.severity == "error" for one in findings)


def why(status: DeploymentStatus) -> str:
    """What a person should know first of a Deployment that needs one."""
    errors = [one for one in status.findings if one.severity == "error"]
    if errors and status.stage not in _BAD:
        return f"{errors[0].file}:{errors[0].line}:{errors[0].column}: {errors[0].message}"
    failed = status.failed
    return f"revision {failed.revision}, {failed.reason}: {failed.message}" if failed is not None else status.message


def _revision(revision: ModelRevision | None) -> str:
    return _text(revision.revision) if revision is not None else ""


def _candidate(status: DeploymentStatus) -> str:
    """With its place, where that is another one."""
    candidate = status.candidate
    if candidate is None or not is_moving(status):
        return _revision(candidate)
    return _text(f"{candidate.revision}, as {candidate.name} on {candidate.server}")


def _traffic(status: DeploymentStatus) -> str:
    if status.route is None:
        return "no route"
    if status.route.to is Role.CANDIDATE:
        return "the candidate"
    split = status.route.split
    return (
        "all slices" if split is None else ", ".join(f"{name} {split[name]} %" for name in sorted(split, reverse=True))
    )


def _findings(title: str, findings: Sequence[Finding], *, level: int = 2) -> Iterator[str]:
    if findings:
        yield from (f"{'#' * level} {title}", "")
        for one in findings:
            hint = f" ({_text(one.hint)})" if one.hint else ""
            where = f"{_text(one.file)}:{one.line}:{one.column}"
            yield f"- {one.severity} {one.rule} {where}: {_text(one.message)}{hint}"
        yield ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _text(text: str) -> str:
    """One line that Markdown shows as it is, in a table too."""
    line = " ".join(text.split())
    return "".join(f"\\{character}" if character in _MARKUP else character for character in line)


def _page(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"
