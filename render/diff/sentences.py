"""The words that text and Markdown share. `quote` makes safe what comes from files. Pure."""

from collections.abc import Callable, Iterable, Iterator

from render.diff import words
from schemas.base import duration
from schemas.change import (
    Action,
    Change,
    ClusterChange,
    DeploymentChange,
    Field,
    Memory,
    Objects,
    Plan,
    Rule,
    Served,
    ServerChange,
    ServerWhat,
    SliceChange,
    Step,
    What,
)
from schemas.resources import Strategy

Quote = Callable[[str], str]

_BEGUN = (What.FIRST, What.ROLLOUT, What.MOVE)
_WITH_PODS = (ServerWhat.ROLLOUT, ServerWhat.REPLACEMENT)


def sides(change: Change, quote: Quote) -> str:
    """What is compared with what."""
    return f"from {quote(change.base)} to {quote(change.head)}"


def summary(cluster: ClusterChange) -> str:
    """What becomes of a cluster, in one line."""
    counts = (
        (sum(one.what in _BEGUN for one in cluster.deployments), "rollout"),
        (sum(one.what is What.DELETION for one in cluster.deployments), "deletion"),
        (sum(one.what in _WITH_PODS for one in cluster.servers), "server with new pods"),
        (sum(one.what is What.REFUSED for one in cluster.deployments), "Deployment refused"),
        (sum(one.what is ServerWhat.REFUSED for one in cluster.servers), "InferenceServer refused"),
        (sum(one.severity == "error" for one in cluster.findings), "error"),
    )
    parts = [_count(number, word) for number, word in counts if number]
    return ", ".join(parts) or "no rollout"


def objects(found: Objects) -> str:
    """How many objects there are of each kind."""
    created, changed, deleted = (found.count(one) for one in Action)
    return f"{created:,} created, {changed:,} changed, {found.unchanged:,} unchanged, {deleted:,} deleted"


def what(change: DeploymentChange) -> str:
    """What becomes of a Deployment, and how."""
    is_urgent = change.strategy == Strategy.EMERGENCY
    return f"{change.what}, emergency" if is_urgent else change.what.value


def revisions(change: DeploymentChange, quote: Quote) -> str:
    """Which revision is served where, and which is to be."""
    before, after = change.before, change.after
    if before is None or after is None:
        one = after or before
        return _served(one, quote) if one is not None else "nothing served"
    if (before.server, before.name) != (after.server, after.name):
        return f"{_served(before, quote)} → {_served(after, quote)}"
    if before.revision == after.revision:
        return _served(after, quote)
    return f"revision {quote(before.revision)} → {quote(after.revision)} on {quote(after.server)}"


def steps(plan: Plan) -> str:
    """The rows of a plan, each with its soak."""
    return "; ".join(_step(one) for one in plan.steps)


def time(plan: Plan) -> str:
    """How long it takes; nothing where that is not limited."""
    least = [f"at least {duration(plan.at_least)}"] if plan.at_least else []
    most = [f"at most {duration(plan.at_most)} by its deadlines"] if plan.at_most else []
    turn = ["once it has its turn"] if most and any(one.deadline is None for one in plan.steps) else []
    return ", ".join([*least, *most, *turn])


def pods(change: ServerChange) -> str:
    """The slices of a server, before and after."""
    return "; ".join(_slice(one) for one in change.slices)


def memory(one: Memory) -> tuple[str, str, str, str]:
    """Bytes before, meanwhile, after and there, as quantities."""
    before, after, room = (words.quantity(number) if number is not None else "–" for number in _sizes(one))
    return before, words.quantity(one.during), after, room


def rule(one: Rule, quote: Quote) -> str:
    """Which requests a rule touches, and what becomes of them."""
    return f"requests to {quote(one.requests)}: {one.effect}"


def field(one: Field, quote: Quote) -> str:
    """A field with what it was and is."""
    before, after = (quote(value) if value is not None else "nothing" for value in (one.before, one.after))
    return f"{quote(one.path)}: {before} → {after}"


def notes(change: DeploymentChange) -> Iterator[str]:
    """What else there is to say of a Deployment, with words from files in it."""
    if change.reason is not None:
        yield f"emergency: {change.reason}"
    yield from change.notes


def more(number: int, word: str) -> Iterable[str]:
    """A line about what is not shown, if there is any."""
    return [f"… and {words.count(number, word)} more"] if number else []


def _count(number: int, word: str) -> str:
    first, _, rest = word.partition(" ")
    return words.count(number, first) + (f" {rest}" if rest else "")


def _served(one: Served, quote: Quote) -> str:
    return f"revision {quote(one.revision)} as {quote(one.name)} on {quote(one.server)}"


def _step(one: Step) -> str:
    name = f"canary {one.weight} %" if one.weight is not None else one.name
    return f"{name} for {duration(one.soak)}" if one.soak else name


def _slice(one: SliceChange) -> str:
    replaced = ", all new" if one.replaced else ""
    if one.before == one.after:
        return f"{one.name} {_pods(one.after)}{replaced}"
    return f"{one.name} {_pods(one.before)} → {one.after or '0'}{replaced}"


def _pods(count: str | None) -> str:
    return f"{count or '0'} pod{'' if count == '1' else 's'}"


def _sizes(one: Memory) -> tuple[int | None, int | None, int | None]:
    return one.before, one.after, one.room
