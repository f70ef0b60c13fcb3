"""Which requests the header and mirror rules of a route touch. Pure."""

from collections.abc import Iterable, Iterator

from schemas.change import Rule
from schemas.resources import HeaderMatch
from schemas.status import ModelRevision, SliceName, StepPolicy, TrafficPolicy


def rules(
    model: ModelRevision, traffic: TrafficPolicy, steps: Iterable[StepPolicy], slices: Iterable[SliceName]
) -> tuple[Rule, ...]:
    """What becomes of the requests to `model` under `traffic`, while its rollouts go through `steps` on `slices`."""
    weights = [one.weight for one in steps if 0 < one.weight < 100] if "canary" in slices else []
    when = f"while the canary slice has {_listed(weights)} % of the requests" if weights else "never: no step is split"
    return tuple(_rules(model, traffic, when))


def _rules(model: ModelRevision, traffic: TrafficPolicy, when: str) -> Iterator[Rule]:
    hosts = f" to {' or '.join(traffic.hostnames)}" if traffic.hostnames else ""
    requests = f"{model.path}{hosts}"
    if traffic.headers:
        yield Rule(f"{requests} without {_headers(traffic.headers)}", "do not reach the model")
    if traffic.canary_headers:
        both = (*traffic.headers, *traffic.canary_headers)
        yield Rule(f"{requests} with {_headers(both)}", f"all go to the candidate, {when}")
    if traffic.mirror_percent:
        needed = f" with {_headers(traffic.headers)}" if traffic.headers else ""
        effect = f"{traffic.mirror_percent} % of those over HTTP are copied to the candidate, {when}"
        yield Rule(f"{requests}{needed}", effect)


def _headers(headers: Iterable[HeaderMatch]) -> str:
    return " and ".join(f"{one.name}: {one.value}" for one in headers)


def _listed(weights: Iterable[int]) -> str:
    return ", then ".join(map(str, weights))
