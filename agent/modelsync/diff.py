"""What to do next about each name: wanted against what the server and the disk really have. Pure.

Level-triggered: nothing here remembers a pass. Whatever was lost on the way, the next comparison sees.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from agent.modelsync.identity import Identity, Target
from schemas.model_config import ConfigRevision


@dataclass(frozen=True)
class Fetch:
    """Download `revision` into the store, for an entry at `attempt`."""

    revision: ConfigRevision
    attempt: int


@dataclass(frozen=True)
class Load:
    """Publish `target` under `name` and have the server load it. `wanted`: the config asks for it; else it is the
    previous one, kept alive because what is wanted cannot be served."""

    name: str
    target: Target
    wanted: bool


@dataclass(frozen=True)
class Unload:
    """Have the server unload `name`, and only then take it off the disk."""

    name: str


@dataclass(frozen=True)
class Remove:
    """Take `name`, which the server does not have, off the disk."""

    name: str


Action = Fetch | Load | Unload | Remove


@dataclass(frozen=True, kw_only=True)
class Want:
    """What the config asks of this pod about one name."""

    serve: ConfigRevision | None
    needs: tuple[ConfigRevision, ...]
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Have:
    """What there really is about one name."""

    loaded: bool = False  # the server has it, in whatever revision
    proven: Identity | None = None  # what the server says it serves
    linked: Target | None = None  # what is published for it
    busy: bool = False  # a load or unload of it is under way


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The ledgers' opinion, at this moment."""

    may_load: Callable[[str, Identity, int], bool]
    condemned: Callable[[str, Identity, int], bool]
    may_fetch: Callable[[ConfigRevision, int], bool]


def compare(
    wants: Mapping[str, Want], haves: Mapping[str, Have], *, staged: frozenset[str], judgement: Judgement
) -> Iterator[Action]:
    """The actions that bring what there is nearer to what is wanted; `staged` are the digests on disk.

    Every name has at most one action besides its fetches, and each digest one fetch.
    """
    yield from _fetches(wants, staged, judgement)
    for name in sorted({*wants, *haves}):
        have = haves.get(name, Have())
        if have.busy:
            continue
        want = wants.get(name)
        if want is None or want.serve is None:
            yield from _clear(name, have)
        else:
            yield from _serve(name, Target(want.serve.digest, dict(want.serve.options)), want, have, staged, judgement)


def _fetches(wants: Mapping[str, Want], staged: frozenset[str], judgement: Judgement) -> Iterable[Fetch]:
    missing: dict[str, Fetch] = {}
    # What is to be served comes first, over all names: bandwidth goes where somebody waits.
    in_order = sorted(
        (position, name, revision.digest)
        for name, want in wants.items()
        for position, revision in enumerate(want.needs)
        if revision.digest not in staged
    )
    for position, name, digest in in_order:
        revision = wants[name].needs[position]
        if digest not in missing and judgement.may_fetch(revision, wants[name].attempt):
            missing[digest] = Fetch(revision, wants[name].attempt)
    return missing.values()


def _clear(name: str, have: Have) -> Iterator[Action]:
    if have.loaded:
        yield Unload(name)
    elif have.linked is not None:
        yield Remove(name)


def _serve(
    name: str, target: Target, want: Want, have: Have, staged: frozenset[str], judgement: Judgement
) -> Iterator[Action]:
    bad = have.proven is not None and judgement.condemned(name, have.proven, want.attempt)
    if have.proven == target.identity and not bad:
        return
    if target.digest in staged and judgement.may_load(name, target.identity, want.attempt):
        yield Load(name, target, wanted=True)
        return
    # What is wanted cannot be served now. Something good must serve meanwhile: what does, or what did before.
    if have.proven is not None and not bad:
        return
    previous = have.linked
    if previous is not None and previous != target and previous.digest in staged:
        if judgement.may_load(name, previous.identity, want.attempt):
            yield Load(name, previous, wanted=False)
    elif bad:
        yield Unload(name)
