"""What is accepted from a memo is what is accepted anew, whatever came before."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from render.document import Loaded
from render.errors import InvalidRepository
from render.memo import Memo
from render.normal import Kept, Wanted, WantedDeployment, accept
from render.settled import settled
from schemas.status import Tree
from tests.support.histories import HEAD, Source, Texts, histories, progress


def accepted(loaded: Loaded, previous: Tree | None, memo: Memo | None) -> Wanted | str:
    """What is accepted, or the words in which it is refused."""
    try:
        return accept(loaded, "prod", previous, memo)
    except InvalidRepository as problem:
        return str(problem)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(commits=histories(), data=some.data())
def test_a_memo_changes_nothing(commits: list[Texts], data: some.DataObject) -> None:
    source, memo, previous = Source(), Memo(), None
    for texts in commits:
        found = accepted(source.read(texts), previous, memo)
        anew = accepted(Source().read(texts), previous, None)
        assert repr(found) == repr(anew)  # order and types too
        if isinstance(found, Wanted):
            previous = progress(data, previous, found)


CHANGES = [
    ("fresco.yaml", "bake: 7m", "bake: 8m"),
    ("fresco.yaml", "bake: 7m", "deadlines: {resourceAcquisition: 9m}"),
    ("fresco.yaml", "bake: 7m", "steps: [{weight: 50}]"),
    ("fresco.yaml", "s3://m/", "s3://n/"),
    ("fresco.yaml", "images: {}", "images: {modelSync: 'sync:2'}"),
    ("fresco.yaml", "namespace: gateway}", "namespace: gateway}, path: elsewhere"),
    ("s.yaml", "24.10", "24.11"),
    ("s.yaml", "claim: disk", "claim: other"),
    ("s.yaml", "canary: {replicas: 2}", "canary: {replicas: 1}"),
    ("s.yaml", "memory: 9Gi", "memory: 2Gi"),
    ("s.yaml", "replicas: 4", "replicas: four"),
    ("s.yaml", "name: s", "name: r"),
    ("t.yaml", "name: t", "name: s"),
    ("t.yaml", "name: t", "name: s-main"),
    ("x.yaml", "revision: '1'", "revision: '2'"),
    ("x.yaml", "memory: 1Gi", "memory: 8Gi"),
    ("x.yaml", "server: s", "server: t"),
    ("x.yaml", "name: x", "name: y"),
    ("x.yaml", "memory: 1Gi", "memory: 1Gi, name: y"),
    ("z.yaml", "kind:", "# moved down\nkind:"),
    ("x.yaml", HEAD, f"\n{HEAD}"),
    ("z.yaml", "server: u", "server:  u"),
    ("v.yaml", "kind:", "# moved down\nkind:"),
    ("v.yaml", "name: w", "name: x"),
    ("d.yaml", HEAD, f"\n{HEAD}"),
    ("e.yaml", HEAD, f"\n{HEAD}"),
]


@pytest.mark.parametrize(("path", "old", "new"), CHANGES)
def test_each_change_by_itself_is_seen_and_taken_back(path: str, old: str, new: str) -> None:
    texts = {"fresco.yaml": _fresco(), "s.yaml": _server_of("s"), "t.yaml": _server_of("t")}
    texts |= {"m.yaml": _server_of("s-main"), **{f"{one}.yaml": _one(one) for one in "wx"}}
    texts |= {"y.yaml": _one("y").replace("s3://m/x", "pvc://disk/x"), "z.yaml": _one("z", server="u")}
    texts |= {"d.yaml": _one("d"), "e.yaml": _one("d"), "v.yaml": _one("zz").replace("memory", "name: w, memory")}
    changed = {**texts, path: texts[path].replace(old, new)}
    there = settled(accept(Source().read(texts), "prod", None))
    source, memo = Source(), Memo()
    for previous in (None, there):
        seen = [repr(accepted(source.read(commit), previous, memo)) for commit in (texts, changed, texts)]
        anew = [repr(accepted(Source().read(commit), previous, None)) for commit in (texts, changed, texts)]
        assert seen == anew
        assert seen[0] != seen[1]


def test_what_a_change_does_not_concern_is_the_same_object() -> None:
    source, memo = Source(), Memo()
    texts = {"fresco.yaml": _fresco(), "s.yaml": _server_of("s"), **{f"{one}.yaml": _one(one) for one in "xy"}}
    before = accept(source.read(texts), "prod", None, memo)
    changed = {**texts, "fresco.yaml": _fresco("b: {}"), "t.yaml": _server_of("t"), "x.yaml": f"\n{_one('x')}"}
    after = accept(source.read(changed), "prod", settled(before), memo)
    assert after.deployments["a/x"] != before.deployments["a/x"]
    assert after.deployments["a/y"] is before.deployments["a/y"]
    assert after.servers["a/s"] is before.servers["a/s"]


def test_a_second_place_moves_with_its_file_and_what_has_none_is_the_same_object() -> None:
    source, memo = Source(), Memo()
    greedy, sloping = _one("g").replace("s3://m/x", "s3://q/x"), _one("w").replace("weight: 40", "weight: 60")
    texts = {"fresco.yaml": _fresco(), "s.yaml": _server_of("s"), "g.yaml": greedy, "w.yaml": sloping}
    texts |= {"x.yaml": _one("x")}
    seen = []
    for moved in ((), ("fresco.yaml",), ("fresco.yaml", "s.yaml")):
        now = {path: f"\n{text}" if path in moved else text for path, text in texts.items()}
        seen.append(accept(source.read(now), "prod", None, memo).deployments)
    places = [[_second(found[key]) for key in ("a/g", "a/w")] for found in seen]
    assert places == [
        [("fresco.yaml", 3), ("s.yaml", 4)],
        [("fresco.yaml", 4), ("s.yaml", 4)],
        [("fresco.yaml", 4), ("s.yaml", 5)],
    ]
    assert seen[0]["a/x"] is seen[1]["a/x"] is seen[2]["a/x"]
    assert seen[0]["a/w"] is seen[1]["a/w"]
    assert seen[1]["a/g"] is seen[2]["a/g"]


def test_who_comes_first_to_a_server_may_change_while_all_sizes_stay() -> None:
    memo = Memo()
    texts = {
        "fresco.yaml": _fresco(),
        "s.yaml": _server_of("s", memory="2Gi"),
        **{f"{one}.yaml": _one(one) for one in "xy"},
    }
    loaded = Source().read(texts)
    there = settled(accept(Source().read({**texts, "s.yaml": _server_of("s")}), "prod", None))
    both = accept(loaded, "prod", there, memo)
    one = there.deployments["a/x"]
    first = {"a/x": msgspec.structs.replace(one, candidate=one.current, current=None)}
    other = accept(loaded, "prod", msgspec.structs.replace(there, deployments=there.deployments | first), memo)
    assert [type(found.deployments["a/x"]).__name__ for found in (both, other)] == ["WantedDeployment", "Kept"]
    assert [type(found.deployments["a/y"]).__name__ for found in (both, other)] == ["Kept", "WantedDeployment"]


def test_a_memo_makes_anew_what_has_other_inputs_and_forgets_what_a_pass_did_not_ask_for() -> None:
    memo, made = Memo(), []

    def double(number: int) -> int:
        made.append(number)
        return 2 * number

    assert [memo.of(double, "a", 1), memo.of(double, "b", 2)] == [2, 4]
    memo.forget()
    assert [memo.of(double, "a", 1), memo.of(double, "c", 3)] == [2, 6]
    memo.forget()
    assert [memo.of(double, "a", 4), memo.of(double, "b", 2), memo.of(double, "c", 3)] == [8, 4, 6]
    assert made == [1, 2, 3, 4, 2]


def _second(one: WantedDeployment | Kept) -> tuple[str, int]:
    """File and line of the second place of its one finding."""
    (finding,) = one.findings
    assert finding.other is not None
    return finding.other.file, finding.other.line


def _fresco(more: str = "") -> str:
    clusters = "[{name: prod, gateway: {name: public, namespace: gateway}}]"
    namespaces = f"{{a: {{storage: ['s3://m/', 'pvc://']}}, {more}}}"
    settings_ = f"clusters: {clusters}, rollout: {{bake: 7m}}, images: {{}}, namespaces: {namespaces}"
    return f"{HEAD}\nkind: Repository\nspec: {{{settings_}}}\n"


def _server_of(name: str, *, memory: str = "9Gi") -> str:
    spec = "backend: {type: triton, version: '24.10'}, replicas: 4, canary: {replicas: 2}, cache: {claim: disk}"
    spec = f"{{{spec}, resources: {{memory: {memory}}}}}"
    return f"{HEAD}\nkind: InferenceServer\nmetadata: {{name: {name}, namespace: a}}\nspec: {spec}\n"


def _one(name: str, *, server: str = "s") -> str:
    model = f"revision: '1', uri: 's3://m/x', digest: 'sha256:{'9f' * 32}', memory: 1Gi, options: {{served: {name}}}"
    metadata = f"{{name: {name}, namespace: a}}"
    rollout = "{steps: [{weight: 40}]}" if name == "w" else "{}"
    spec = f"{{server: {server}, rollout: {rollout}, model: {{{model}}}}}"
    return f"{HEAD}\nkind: Deployment\nmetadata: {metadata}\nspec: {spec}\n"
