"""A large repository, 1,000 servers and 10,000 Deployments of the kinds that people have: what it costs.

Rendering: a status tree in memory to the bytes of all manifests, beside `helm template` of a chart that gives the same
objects; that they are the same is checked on a smaller one first, in this run. helm's time is the process's, some
of which goes to its values; so the time is shown too that it takes with the same values and one small document.
Cold start: a commit to the accepted state, beside libyaml's parser over the same bytes, nothing made of its events.
Looks: `advance` on a cluster in which all is as told, beside a loop that compares what every pod reports of every model
with the digest that it is to serve, and does nothing else. In a rollout: every tenth Deployment, wherever it waits.
A change of one Deployment on main: what the agent's turn does about it, from fetching to the pushed commit, over HTTP;
then the whole real agent, told as by a webhook, while it polls the reports of all replicas, until its commit is at the
remote. Beside: git, which commits one changed file of that branch and pushes.
Memory: of that agent's process. The cluster is played in it; the reports come over connections, one for each replica.
"""

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import yaml

from render import plan
from render.normal import Wanted, accept
from render.repository import Repository
from render.rollout import advance
from render.rollout.observation import Observation
from render.source import Source
from schemas.model_config import wanted as to_serve
from schemas.status import Tree
from tests.bench import helm_peer, size_of_agent
from tests.bench.go_program import Missing
from tests.bench.large_fleet import AUTHOR, NOW, Fleet, deployments, make_fleet
from tests.bench.numbers import HEADER, Figures, megabytes, ratio, table, timed
from tests.bench.still_fleet import observation, slices
from tests.support.fleet import CLUSTER, revised

SERVERS, DEPLOYMENTS = 1000, 10_000
TURNS = 5
_ROLLING = 12  # looks after which every rollout waits for time


def run() -> Iterator[str]:
    """Measures, and gives the lines to print as they come. A peer that cannot be made here is said to be missing."""
    with tempfile.TemporaryDirectory() as folder:
        large = make_fleet(Path(folder, "repositories", "large.git"), SERVERS, DEPLOYMENTS)
        yield f"{SERVERS} servers, {DEPLOYMENTS} Deployments, {len(plan.manifests(large.tree))} objects:"
        yield from _rendering(large, Path(folder))
        yield from _cold_start(large)
        yield from _looks(large)
        yield from size_of_agent.lines(large, Path(folder))


# ---- rendering


def _rendering(large: Fleet, folder: Path) -> list[str]:
    small = make_fleet(folder / "tenth.git", SERVERS // 10, DEPLOYMENTS // 10)
    try:
        helm = helm_peer.helm()
    except Missing as problem:
        ours = Figures([timed(lambda: plan.manifests(large.tree)) for _ in range(TURNS)])
        return ["  rendering:", *table(("Fresco", ours)), f"  no peer: {problem}"]
    _check_equal(helm, make_fleet(folder / "check.git", SERVERS // 20, DEPLOYMENTS // 20).tree, folder / "check.json")
    values = folder / "values.json"
    values.write_bytes(helm_peer.values(large.tree))
    reading = helm_peer.reading_chart(folder / "reading")
    turns = [(*_turn(helm, large.tree, values, reading), _tenth(small.tree)) for _ in range(TURNS)]
    ours, peer, overhead, tenth = (Figures(list(column)) for column in zip(*turns, strict=True))
    net = Figures([peer.median - overhead.median])
    return [
        "  rendering:",
        *table(
            ("Fresco", ours),
            ("Fresco, a tenth of it", tenth),
            ("peer: helm template", peer),
            ("  of which values alone", overhead),
        ),
        *ratio(ours, peer, goal=1.0),
        f"  to helm without what it needs for its values: {ours.median / net.median:.2f}",
        f"  a tenth of the size takes 1/{ours.median / tenth.median:.1f} of the time",
    ]


def _turn(helm: Path, tree: Tree, values: Path, reading: Path) -> tuple[float, float, float]:
    made: list[plan.Files] = []
    ours = timed(lambda: made.append(plan.manifests(tree)))
    seconds, written = helm_peer.template(helm, helm_peer.CHART, values)
    documents = written.count(b"\n---\n") + 1
    if documents != len(made[0]):
        raise AssertionError(f"helm makes {documents} objects, Fresco {len(made[0])}: no peers")
    return ours, seconds, helm_peer.template(helm, reading, values)[0]


def _tenth(tree: Tree) -> float:
    return timed(lambda: plan.manifests(tree))


def _check_equal(helm: Path, tree: Tree, values: Path) -> None:
    """Raises AssertionError unless helm makes the very objects that Fresco makes."""
    values.write_bytes(helm_peer.values(tree))
    _, written = helm_peer.template(helm, helm_peer.CHART, values)
    theirs, ours = helm_peer.objects_of([written]), helm_peer.objects_of(plan.manifests(tree).values())
    differing = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    if differing:
        raise AssertionError(f"the chart makes other objects than Fresco: {', '.join(map(str, differing[:5]))}")


# ---- cold start


def _cold_start(fleet: Fleet) -> list[str]:
    git_repository = Repository.open(fleet.remote)
    contents = list(fleet.source.values())

    def ours() -> None:
        accept(Source().read(git_repository, fleet.commit), CLUSTER, None)

    turns = [(timed(ours), timed(lambda: _parse(contents))) for _ in range(TURNS)]
    mine, peer = (Figures(list(column)) for column in zip(*turns, strict=True))
    size = sum(map(len, contents))
    return [
        f"  cold start, {len(contents)} files, {megabytes(size)}:",
        *table(("Fresco: a commit to what is accepted", mine), ("peer: libyaml's parser, events dropped", peer)),
        *ratio(mine, peer),
    ]


def _parse(contents: Sequence[bytes]) -> None:
    for content in contents:
        for _ in yaml.parse(content, Loader=yaml.CSafeLoader):
            pass


# ---- looks


def _looks(fleet: Fleet) -> list[str]:
    seen = observation(fleet.tree, NOW)
    server = max(fleet.tree.servers, key=lambda name: len(seen.pods[name]))
    told = _told(fleet.tree)
    rolling, wanted = _in_rollout(fleet)
    seen_rolling = observation(rolling, NOW + 1.0 * _ROLLING)
    busy = sum(one.progress is not None for one in rolling.deployments.values())
    lines = ["  a look that finds nothing to do:", HEADER]
    for name, look, expected in (
        ("everything, all steady", lambda: advance(fleet.tree, fleet.wanted, seen), told),
        (f"everything, {busy} rollouts", lambda: advance(rolling, wanted, seen_rolling), told),
        ("one server", lambda: advance(fleet.tree, fleet.wanted, seen, [server]), {server: told[server]}),
    ):
        compare = partial(_compare, seen, expected)
        turns = [(timed(look), timed(compare)) for _ in range(TURNS)]
        mine, peer = (Figures(list(column)) for column in zip(*turns, strict=True))
        lines += [mine.line(f"Fresco: {name}"), peer.line("peer: compare digests"), *ratio(mine, peer)]
    return lines


def _told(tree: Tree) -> dict[str, dict[str, str]]:
    """The digest that every pod of a server is to serve, by model, by server."""
    told: dict[str, dict[str, str]] = {}
    for one in slices(tree):
        served = {name: to_serve(entry, one.pods[0]) for name, entry in one.config.models.items()}
        told[one.key] = {name: revision.digest for name, revision in served.items() if revision is not None}
    return told


def _compare(seen: Observation, told: dict[str, dict[str, str]]) -> None:
    for server, digests in told.items():
        for pod in seen.pods[server]:
            assert pod.report is not None
            for name, digest in digests.items():
                if pod.report.models[name].serving != digest:
                    raise AssertionError(f"{pod.name} does not serve {name}")


def _in_rollout(fleet: Fleet) -> tuple[Tree, Wanted]:
    """Every tenth Deployment was changed at once: where that has come to when nothing goes on but time."""
    git_repository = Repository.open(fleet.remote)
    changed = {path: revised(fleet.source[path], "next") for path in deployments(fleet)[::10]}
    commit = git_repository.commit_tree(fleet.commit, dict(changed), "Revise\n", AUTHOR)
    tree = fleet.tree
    wanted = accept(Source().read(git_repository, commit), CLUSTER, tree)
    for number in range(_ROLLING):
        tree = advance(tree, wanted, observation(tree, NOW + number)).tree
    return tree, wanted
