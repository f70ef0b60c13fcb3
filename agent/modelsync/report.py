"""The report: what the agent and the probes are told about this pod. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from agent.modelsync.identity import FetchKey, Identity, Key, fetch_key, needed, target
from schemas.model_config import ConfigEntry, ConfigRevision, ModelConfig, wanted
from schemas.report import ModelReport, ModelState, Progress, ReportError, Requests, SidecarReport


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that the report on the models is made of. Keys are served names, or digests for what is on disk or coming."""

    pod: str
    entries: Mapping[str, ConfigEntry]
    hashes: Mapping[str, str]
    proven: Mapping[str, Identity]
    unexamined: Mapping[str, Identity]
    requests: Mapping[str, Requests]
    staged: frozenset[str]
    under_way: Mapping[str, ModelState]
    downloads: Mapping[str, Progress]
    load_seconds: Mapping[str, float]
    load_error: Callable[[Key], ReportError | None]
    fetch_error: Callable[[FetchKey], ReportError | None]


def describe(facts: Facts) -> dict[str, ModelReport]:
    """The report on every model that an entry names or the server has."""
    names = sorted({*facts.entries, *facts.under_way, *facts.proven})
    return {name: _model(name, facts) for name in names}


def _model(name: str, facts: Facts) -> ModelReport:
    entry, proven = facts.entries.get(name), facts.proven.get(name)
    revisions = needed(entry, facts.pod) if entry else []
    return ModelReport(
        state=_state(name, entry, facts),
        entry=facts.hashes.get(name),
        staged=tuple(revision.digest for revision in revisions if revision.digest in facts.staged),
        serving=proven.digest if proven else None,
        error=_error(name, entry, facts) if entry else None,
        bytes=next((facts.downloads[item.digest] for item in revisions if item.digest in facts.downloads), None),
        load_seconds=facts.load_seconds.get(name),
        requests=facts.requests.get(name, Requests()),
    )


def _state(name: str, entry: ConfigEntry | None, facts: Facts) -> ModelState:
    if name in facts.under_way:
        return facts.under_way[name]
    serve = wanted(entry, facts.pod) if entry else None
    proven = facts.proven.get(name)
    if entry is None or (serve is None and proven is not None):
        return ModelState.UNLOADING
    # What is to be served is what the state is about; where nothing is, all that is to be staged.
    revisions = [serve] if serve is not None else needed(entry, facts.pod)
    if any(_is_hopeless(name, entry, revision, facts) for revision in revisions):
        return ModelState.FAILED
    if serve is not None and proven == target(serve).identity and facts.unexamined.get(name) != proven:
        return ModelState.SERVING
    if all(revision.digest in facts.staged for revision in revisions):
        return ModelState.STAGED
    coming = any(revision.digest in facts.downloads for revision in revisions)
    return ModelState.DOWNLOADING if coming else ModelState.PENDING


def _is_hopeless(name: str, entry: ConfigEntry, revision: ConfigRevision, facts: Facts) -> bool:
    load = facts.load_error(Key(name, target(revision).identity, entry.attempt))
    fetch = facts.fetch_error(fetch_key(revision, entry.attempt)) if revision.digest not in facts.staged else None
    return any(error is not None and error.permanent for error in (load, fetch))


def _error(name: str, entry: ConfigEntry, facts: Facts) -> ReportError | None:
    """What is held against the first of the entry's revisions that something is held against."""
    for revision in needed(entry, facts.pod):
        load = facts.load_error(Key(name, target(revision).identity, entry.attempt))
        error = load or facts.fetch_error(fetch_key(revision, entry.attempt))
        if error is not None:
            return error
    return None


class Sequence:
    """Numbers reports: `seq` moves with everything but progress, counts and sums, which change all the time."""

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._number = 0
        self._last: SidecarReport | None = None

    def numbered(self, report: SidecarReport) -> SidecarReport:
        """`report` with its `seq`."""
        hard = replace(report, seq="", models={name: _hard(model) for name, model in report.models.items()})
        if hard != self._last:
            self._last = hard
            self._number += 1
        return replace(report, seq=f"{self._boot}.{self._number}")


def _hard(model: ModelReport) -> ModelReport:
    return replace(model, bytes=None, requests=Requests(busy=model.requests.busy))


def blocking(config: ModelConfig, models: dict[str, ModelReport], *, pod: str, degrade: bool) -> tuple[str, ...]:
    """The gated names that keep a starting pod unready: those served in no revision at all.

    With `degrade` a name whose model certainly cannot be served blocks no longer.
    """
    return tuple(
        name
        for name, entry in sorted(config.models.items())
        if entry.gate and wanted(entry, pod) is not None and not _passes(models.get(name), degrade=degrade)
    )


def _passes(model: ModelReport | None, *, degrade: bool) -> bool:
    if model is None:
        return False
    return model.serving is not None or (degrade and model.state is ModelState.FAILED)
