"""Servers with vLLM: held to every rule, and not rendered yet."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from render import plan
from render.errors import InvalidRepository
from render.memo import Memo
from render.normal import Kept, Wanted, WantedDeployment, WantedServer, accept, is_ground_the_same
from render.settled import settled
from schemas.resources import BackendType, ModelType, Resources
from schemas.status import DeploymentStatus, Finding, Tree
from tests.support.histories import Source, Texts, histories, progress

replace = msgspec.structs.replace
HEAD = "apiVersion: serving.fresco.dev/v1alpha1\n"
FRESCO = (
    HEAD
    + "kind: Repository\nspec:\n  clusters:\n  - {name: prod, gateway: {name: public, namespace: gateway}}\n"
    + "  namespaces: {fraud: {storage: [s3://m/]}}\n"
)
REFUSED = ["FR021"]  # what is to be served on vLLM and is right otherwise
GIB = 1 << 30


def server(name: str = "llm", *, more: str = "", backend: str = "type: vllm, version: '0.11.0'") -> str:
    metadata = f"metadata: {{name: {name}, namespace: fraud}}"
    return f"{HEAD}kind: InferenceServer\n{metadata}\nspec:\n  backend: {{{backend}}}\n  replicas: 4\n{more}"


def deployment(name: str, kind: str = "", *, on: str = "llm", more: str = "", model: str = "") -> str:
    metadata = f"metadata: {{name: {name}, namespace: fraud}}"
    lines = [f"type: {kind}"] if kind else []
    lines += ["revision: '1'", f"uri: s3://m/{name}", f"digest: sha256:{'9f' * 32}", *([model] if model else [])]
    source = "".join(f"    {line}\n" for line in lines)
    return f"{HEAD}kind: Deployment\n{metadata}\nspec:\n  server: {on}\n{more}  model:\n{source}"


def wanted(previous: Tree | None, **texts: str) -> Wanted:
    """What is accepted of these files, which are called after their names."""
    return accept(Source().read(files(**texts)), "prod", previous)


def files(**texts: str) -> Texts:
    return {"fresco.yaml": FRESCO, "llm.yaml": server(), **{f"{name}.yaml": text for name, text in texts.items()}}


def rules(found: Wanted) -> dict[str, list[str]]:
    """The rules that each Deployment breaks, by its name."""
    return {key.split("/")[1]: [finding.rule for finding in one.findings] for key, one in found.deployments.items()}


def finding(found: Wanted, name: str, rule: str) -> Finding:
    (one,) = [one for one in found.deployments[f"fraud/{name}"].findings if one.rule == rule]
    return one


# ---- what is not rendered yet


def test_a_server_is_told_of_everything_that_is_wrong_with_it() -> None:
    found = wanted(None, llm=server(more="  credentials: key\n"), chat=deployment("chat", "base"))
    kept = found.servers["fraud/llm"]
    assert isinstance(kept, Kept)
    assert [one.rule for one in kept.findings] == ["FR024", "FR033"]
    assert "never accepted" in finding(found, "chat", "FR021").message


def test_a_server_that_is_defined_twice_is_told_that_alone() -> None:
    found = wanted(None, llm=f"{server()}---\n{server()}", chat=deployment("chat", "base"))
    assert [one.rule for one in found.servers["fraud/llm"].findings] == ["FR020", "FR020"]
    assert "never accepted" in finding(found, "chat", "FR021").message


def test_its_warnings_are_not_lost() -> None:
    found = wanted(None, llm=server(backend="type: vllm, version: x, env: {HF_TOKEN: hf_x}"))
    kept = found.servers["fraud/llm"]
    assert isinstance(kept, Kept)
    assert [(one.rule, one.severity) for one in kept.findings] == [("FR024", "error"), ("FR038", "warning")]


def test_what_is_to_be_served_on_it_is_told_of_everything_too() -> None:
    rollout = "  rollout: {strategy: emergency, steps: [{weight: 9}, {weight: 5}]}\n  traffic: {path: /other}\n"
    found = wanted(None, chat=deployment("chat", "repository", more=rollout), twin=deployment("twin", "base"))
    assert sorted(rules(found)["chat"]) == ["FR021", "FR024", "FR031", "FR041", "FR042"]
    assert rules(found)["twin"] == REFUSED


def test_what_is_served_goes_on_when_its_server_is_to_be_one_of_vllm() -> None:
    triton = server(backend="type: triton, version: '24.10'")
    there = settled(wanted(None, llm=triton, scorer=deployment("scorer")))
    found = wanted(there, scorer=deployment("scorer").replace("9f", "ab"))
    assert [one.rule for one in found.servers["fraud/llm"].findings] == ["FR024"]
    scorer = found.deployments["fraud/scorer"]
    assert isinstance(scorer, WantedDeployment)
    assert (scorer.model.type, scorer.model.digest) == (ModelType.REPOSITORY, f"sha256:{'ab' * 32}")


def test_a_deployment_that_is_to_move_to_vllm_stays_where_it_is() -> None:
    triton = server("gpu-a", backend="type: triton, version: '24.10'")
    there = settled(wanted(None, gpu=triton, scorer=deployment("scorer", on="gpu-a")))
    found = wanted(there, gpu=triton, scorer=deployment("scorer", "base"))
    assert rules(found) == {"scorer": REFUSED}
    assert isinstance(found.deployments["fraud/scorer"], Kept)


@pytest.mark.parametrize("route", ["path: /fraud/p", "path: /fraud/llm/chat"])
def test_what_is_not_rendered_takes_no_route_from_what_is(route: str) -> None:
    triton = server("gpu-a", backend="type: triton, version: '24.10'")
    traffic = f"  traffic: {{{route}}}\n"
    chat = deployment("chat", "base", more=traffic)
    found = wanted(None, gpu=triton, chat=chat, scorer=deployment("scorer", on="gpu-a", more=traffic))
    assert rules(found) == {"chat": ["FR021", "FR023"], "scorer": []}
    assert "fraud/scorer" in finding(found, "chat", "FR023").message


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(commits=histories(), data=some.data())
def test_nothing_of_vllm_is_accepted_or_rendered(commits: list[Texts], data: some.DataObject) -> None:
    source, memo, previous = Source(), Memo(), None
    for texts in commits:
        try:
            found = accept(source.read(texts), "prod", previous, memo)
        except InvalidRepository:
            continue
        for one in found.servers.values():
            assert not isinstance(one, WantedServer) or one.template.backend is BackendType.TRITON
        for other in found.deployments.values():
            assert not isinstance(other, WantedDeployment) or other.model.type is ModelType.REPOSITORY
        made = plan.manifests(settled(found))
        assert not any(b"vllm" in content for content in made.values())
        previous = progress(data, previous, found)


def test_what_did_not_change_is_kept_as_the_very_same() -> None:
    source, memo = Source(), Memo()
    texts = files(chat=deployment("chat", "base"), one=deployment("one"), two=deployment("two", "base"))
    before = accept(source.read(texts), "prod", None, memo)
    after = accept(source.read({**texts, "one.yaml": f"\n{texts['one.yaml']}"}), "prod", None, memo)
    assert rules(before) == {"chat": REFUSED, "one": REFUSED, "two": ["FR021", "FR028"]}
    assert after.deployments["fraud/one"] != before.deployments["fraud/one"]
    for key in ("fraud/chat", "fraud/two"):
        assert after.deployments[key] is before.deployments[key]
    assert after.servers["fraud/llm"] is before.servers["fraud/llm"]


# ---- base models and adapters


def later(room: str = "99Gi", **types: ModelType) -> Tree:
    """What a later version leaves, which renders vLLM: Deployments of `types`, each of 8 GiB, and `room` for them."""
    triton = server(backend="type: triton, version: '24.10'")
    tree = settled(wanted(None, llm=triton, **{name: deployment(name) for name in types}))
    host = tree.servers["fraud/llm"]
    assert host.current is not None
    template = replace(host.current, backend=BackendType.VLLM, resources=Resources(memory=room))
    host = replace(host, current=template)
    deployments = {f"fraud/{name}": typed(tree.deployments[f"fraud/{name}"], kind) for name, kind in types.items()}
    return replace(tree, servers={"fraud/llm": host}, deployments=deployments)


def typed(status: DeploymentStatus, kind: ModelType) -> DeploymentStatus:
    assert status.current is not None
    return replace(status, current=replace(status.current, type=kind, memory=8 * GIB))


def labelled(tree: Tree, revision: str) -> Tree:
    one = tree.deployments["fraud/b"]
    assert one.current is not None
    return replace(tree, deployments={"fraud/b": replace(one, current=replace(one.current, revision=revision))})


def test_of_two_base_models_the_first_by_name_has_the_server() -> None:
    found = wanted(None, b=deployment("b", "base"), a=deployment("a", "base"), c=deployment("c", "base", on="other"))
    assert rules(found) == {"a": REFUSED, "b": ["FR021", "FR028"], "c": ["FR021"]}
    assert "the base model of fraud/llm belongs to the Deployment fraud/a" in finding(found, "b", "FR028").message


def test_who_has_the_base_model_keeps_it() -> None:
    previous = later(b=ModelType.BASE)
    texts = {"a": deployment("a", "base"), "b": deployment("b", "base")}
    assert rules(wanted(previous, **texts)) == {"a": ["FR021", "FR028"], "b": REFUSED}
    assert rules(wanted(previous, a=texts["a"])) == {"a": ["FR021", "FR028"]}
    adapter = labelled(later(b=ModelType.ADAPTER), "1")
    assert not is_ground_the_same(labelled(previous, "1234"), adapter)  # as many bytes in a model config
    assert rules(wanted(adapter, **texts)) == {"a": REFUSED, "b": ["FR021", "FR028"]}


@pytest.mark.parametrize(
    "base",
    [
        deployment("chat", "base"),
        deployment("chat", "base").replace(f"digest: sha256:{'9f' * 32}", "options: {}"),
        deployment("chat", "base").replace("revision", "revison"),
        deployment("chat", "base", model="memory: 1Ti"),
        deployment("chat", "base") + "---\n" + deployment("chat", "base"),
    ],
    ids=["right", "without digest", "misspelt", "too large", "twice"],
)
def test_an_adapter_is_not_blamed_for_what_is_wrong_with_its_base_model(base: str) -> None:
    room = server(more="  resources: {memory: 48Gi}\n")
    found = wanted(None, llm=room, german=deployment("german"), french=deployment("french", "adapter"), chat=base)
    assert {name: found_ for name, found_ in rules(found).items() if name != "chat"} == {
        "german": REFUSED,
        "french": REFUSED,
    }


@pytest.mark.parametrize(
    "base",
    [
        deployment("chat", "base", on="other"),
        deployment("chat", "base").replace("namespace: fraud", "namespace: pay"),
        deployment("chat", "adapter"),
        deployment("chat", "repository"),
    ],
    ids=["on another server", "in another namespace", "an adapter", "of another type"],
)
def test_an_adapter_without_a_base_model_is_refused(base: str) -> None:
    found = wanted(None, other=server("other"), chat=base, german=deployment("german"))
    assert rules(found)["german"] == ["FR021", "FR029"]


def test_an_adapter_that_has_findings_of_its_own_is_told_that_it_has_no_base_model() -> None:
    german = deployment("german").replace(f"    digest: sha256:{'9f' * 32}\n", "")
    assert rules(wanted(None, german=german)) == {"german": ["FR021", "FR029", "FR040"]}


def test_a_base_model_that_is_on_its_way_out_is_still_there() -> None:
    previous = later(chat=ModelType.BASE, german=ModelType.ADAPTER)
    german = deployment("german")
    assert rules(wanted(previous, german=german)) == {"german": REFUSED}
    gone = replace(previous, deployments={"fraud/german": previous.deployments["fraud/german"]})
    assert rules(wanted(gone, german=german)) == {"german": ["FR021", "FR029"]}


def test_on_triton_nothing_is_told_of_base_models() -> None:
    triton = server("gpu-a", backend="type: triton, version: '24.10'")
    found = wanted(None, gpu=triton, a=deployment("a", "adapter", on="gpu-a"), b=deployment("b", "base", on="gpu-a"))
    assert rules(found) == {"a": ["FR024"], "b": ["FR024"]}


# ---- memory


@pytest.mark.parametrize(
    ("room", "sizes", "refused", "words"),
    [
        ("memory: 48Gi", {"chat": 48}, "", ""),
        ("memory: 47Gi", {"chat": 48}, "chat", "with it the models of fraud/llm need 48.00 GiB, a pod has 47.00 GiB"),
        ("memory: 48Gi", {"chat": 40, "a": 4}, "", ""),
        ("memory: 47Gi", {"chat": 40, "a": 4}, "a", "the largest adapter twice, need 48.00 GiB, a pod has 47.00 GiB"),
        ("memory: 51Gi", {"chat": 40, "a": 4, "b": 3}, "", ""),
        ("memory: 50Gi", {"chat": 40, "a": 4, "b": 3}, "b", "the largest adapter twice, need 51.00 GiB"),
        ("memory: 1Gi, gpu: {count: 2, memory: 24Gi}", {"chat": 40, "a": 4}, "", ""),
        ("memory: 99Gi, gpu: {count: 1, memory: 24Gi}", {"chat": 40, "a": 4}, "chat", "a pod has 24.00 GiB"),
        ("memory: 1Gi, gpu: {count: 1}", {"chat": 40, "a": 4}, "", ""),
    ],
)
def test_a_base_model_is_there_once_and_the_largest_adapter_twice(
    room: str, sizes: dict[str, int], refused: str, words: str
) -> None:
    texts = {
        name: deployment(name, "base" if name == "chat" else "adapter", model=f"memory: {size}Gi")
        for name, size in sizes.items()
    }
    found = wanted(None, llm=server(more=f"  canary: {{replicas: 1}}\n  resources: {{{room}}}\n"), **texts)
    assert [name for name, broken in rules(found).items() if "FR046" in broken] == ([refused] if refused else [])
    assert not refused or words in finding(found, refused, "FR046").message


@pytest.mark.parametrize(
    ("name", "room", "is_refused"), [("chat", "8Gi", False), ("german", "24Gi", False), ("german", "23Gi", True)]
)
def test_a_new_base_model_takes_the_place_of_the_old_one_and_a_new_adapter_is_loaded_beside_it(
    name: str, room: str, *, is_refused: bool
) -> None:
    """As an emergency, which waits for nobody, and so has its second copy counted whoever else has one."""
    kinds = {"chat": ModelType.BASE, "german": ModelType.ADAPTER} if name == "german" else {"chat": ModelType.BASE}
    texts = {one: deployment(one, kind.value, model="memory: 8Gi") for one, kind in kinds.items()}
    urgent = "  rollout: {strategy: emergency, reason: fire}\n"
    texts[name] = deployment(name, kinds[name].value, more=urgent, model="memory: 8Gi").replace("9f", "ab")
    found = wanted(later(room, **kinds), **texts)
    assert ("FR046" in rules(found)[name]) == is_refused


def test_a_base_model_of_another_name_takes_the_place_of_the_old_one() -> None:
    renamed = deployment("chat", "base", model="memory: 8Gi, name: talk".replace(", ", "\n    "))
    assert rules(wanted(later("8Gi", chat=ModelType.BASE), chat=renamed)) == {"chat": REFUSED}
