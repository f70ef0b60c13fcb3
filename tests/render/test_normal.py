"""What is accepted, what is kept and what is let go, beside a previous status."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from render.capacity import config_bytes
from render.document import Loaded, Places
from render.errors import InvalidRepository
from render.load import load_file
from render.normal import Kept, Wanted, WantedDeployment, WantedServer, accept, is_ground_the_same
from render.objects import model_config
from render.resolve import model_hash
from render.settled import settled
from schemas.resources import ModelType
from schemas.status import OtherPlace, Progress, RepositoryStatus, Role, ServerStage, SliceState, Stage, Tree, Work
from tests.support.simulator import model

HEAD = "apiVersion: serving.fresco.dev/v1alpha1\n"
GUARDS = "  guards: {maxDeletions: 2, maxDeletionsPercent: 20}\n"
FRESCO = (
    HEAD
    + "kind: Repository\nspec:\n  clusters:\n  - {name: prod, gateway: {name: public, namespace: gateway}}\n"
    + "  namespaces: {fraud: {storage: [s3://m/]}}\n"
)
SERVER = (
    HEAD
    + "kind: InferenceServer\nmetadata: {name: gpu-a, namespace: fraud}\n"
    + "spec: {backend: {type: triton, version: '24.10'}, replicas: 4}\n"
)
Sources = dict[str, str | None]


def deployment(name: str, *, digest: str | None = "9f" * 32, model: str = "", spec: str = "") -> str:
    line = f"    digest: sha256:{digest}\n" if digest else ""
    return (
        f"{HEAD}kind: Deployment\nmetadata: {{name: {name}, namespace: fraud}}\nspec:\n  server: gpu-a\n{spec}"
        f"  model:\n    revision: '1'\n    uri: s3://m/{name}\n{line}{model}"
    )


FILES: Sources = {"fresco.yaml": FRESCO, "server.yaml": SERVER, "a.yaml": deployment("a"), "b.yaml": deployment("b")}


def loaded(**changes: str | None) -> Loaded:
    sources = {**FILES, **{name.replace("_", "."): text for name, text in changes.items()}}
    return Loaded({path: load_file(path, text.encode()) for path, text in sorted(sources.items()) if text is not None})


def wanted(previous: Tree | None = None, /, **changes: str | None) -> Wanted:
    return accept(loaded(**changes), "prod", previous)


def before(**changes: str | None) -> Tree:
    return settled(wanted(**changes))


def rules(one: object) -> list[str]:
    assert isinstance(one, Kept)
    return [finding.rule for finding in one.findings]


def test_everything_right_is_wanted_with_its_source() -> None:
    found = wanted()
    server, scorer = found.servers["fraud/gpu-a"], found.deployments["fraud/a"]
    assert isinstance(server, WantedServer)
    assert isinstance(scorer, WantedDeployment)
    assert (server.source, scorer.source) == ("server.yaml:1", "a.yaml:1")
    assert server.template.image == "nvcr.io/nvidia/tritonserver:24.10-py3"
    assert scorer.model.path == "/fraud/gpu-a/a"
    assert scorer.model.name == "a"
    assert found.repository.settle == 0.5


def test_only_what_is_served_is_in_the_model_hash() -> None:
    policy = "  rollout: {steps: [{weight: 10}], attempt: 3, bake: 1m}\n  traffic: {path: /fraud/other}\n"
    same = wanted(a_yaml=deployment("a", model="    memory: 1Gi\n    smokeTest: {request: '{}'}\n", spec=policy))
    other = wanted(a_yaml=deployment("a", model="    options: {x: y}\n"))
    hashes = [_model_hash(one) for one in (wanted(), same, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    hashes = [
        model_hash(server="a", name="b", kind=ModelType.REPOSITORY, digest="c", options=options)
        for options in ({"x": "1", "y": "2"}, {"y": "2", "x": "1"})
    ]
    assert hashes[0] == hashes[1]


def _model_hash(found: Wanted) -> str:
    scorer = found.deployments["fraud/a"]
    assert isinstance(scorer, WantedDeployment)
    return scorer.model.model_hash


def test_the_repository_sets_defaults_and_the_deployment_wins() -> None:
    defaults = "  rollout: {bake: 1m, maxFailedReplicas: 5, steps: [{weight: 7}], deadlines: {rollback: 2m}}\n"
    own = "  rollout: {bake: 2m, deadlines: {assetPreparation: 3m}}\n"
    found = wanted(fresco_yaml=FRESCO + defaults, a_yaml=deployment("a", spec=own)).deployments["fraud/a"]
    assert isinstance(found, WantedDeployment)
    policy = found.rollout
    assert (policy.bake, policy.max_failed_replicas, policy.steps[0].weight) == (120.0, 5, 7)
    assert policy.deadlines.rollback == 120.0
    assert policy.deadlines.asset_preparation == 180.0
    assert policy.deadlines.traffic_routing == 300.0


def test_what_is_invalid_is_kept_and_the_others_go_on() -> None:
    found = wanted(before(), a_yaml=deployment("a", spec="  rolout: {}\n"), b_yaml=deployment("b", digest="ab" * 32))
    assert rules(found.deployments["fraud/a"]) == ["FR010"]
    assert isinstance(found.deployments["fraud/b"], WantedDeployment)


def test_without_digest_it_is_kept_and_lock_is_named() -> None:
    found = wanted(a_yaml=deployment("a", digest=None)).deployments["fraud/a"]
    assert rules(found) == ["FR040"]
    assert isinstance(found, Kept)
    assert "fresco lock" in str(found.findings[0].hint)


def test_an_invalid_server_keeps_its_state_and_still_hosts() -> None:
    found = wanted(before(), server_yaml=SERVER.replace("replicas: 4", "replicas: none"))
    assert rules(found.servers["fraud/gpu-a"]) == ["FR012"]
    assert isinstance(found.deployments["fraud/a"], WantedDeployment)


def test_what_was_accepted_before_has_no_place_in_the_file_that_is_there_now() -> None:
    stepped = deployment("a", spec="  rollout: {steps: [{weight: 10}]}\n")
    previous = before(a_yaml=stepped)
    places = []
    for replicas in ("4", "none"):
        found = wanted(previous, a_yaml=stepped, server_yaml=SERVER.replace("replicas: 4", f"replicas: {replicas}"))
        places += [(one.rule, one.other) for one in found.deployments["fraud/a"].findings]
    assert places == [("FR043", OtherPlace(file="server.yaml", line=4, column=1)), ("FR043", None)]


def test_the_second_place_is_that_of_the_cluster_that_is_looked_at() -> None:
    stage, prod = (f"{{name: {name}, gateway: {{name: public, namespace: gateway}}}}" for name in ("stage", "prod"))
    two = FRESCO.replace(f"  - {prod}\n", f"  - {stage}\n  - {prod}\n")
    found = wanted(fresco_yaml=two, a_yaml=deployment("a").replace("s3://m/a", "file:///a")).deployments["fraud/a"]
    assert {one.rule: one.other for one in found.findings} == {
        "FR032": OtherPlace(file="fresco.yaml", line=7, column=33),
        "FR035": OtherPlace(file="fresco.yaml", line=6, column=5),
    }


def test_where_nothing_is_wrong_no_place_is_looked_up() -> None:
    there = loaded()
    blind = {
        path: replace(file, documents=tuple(replace(one, places=_unasked) for one in file.documents))
        for path, file in there.files.items()
    }
    assert accept(Loaded(blind), "prod", None) == accept(there, "prod", None)


def _unasked() -> Places:
    raise AssertionError("a place was looked up")


def test_a_deployment_without_its_server_is_kept() -> None:
    found = wanted(before(), server_yaml=None)
    assert "fraud/gpu-a" not in found.servers
    assert rules(found.deployments["fraud/a"]) == ["FR062"]
    assert rules(wanted(server_yaml=None).deployments["fraud/a"]) == ["FR021"]


def test_a_server_of_another_namespace_is_none_of_its_own() -> None:
    found = wanted(server_yaml=SERVER.replace("namespace: fraud", "namespace: pay")).deployments["fraud/a"]
    assert rules(found) == ["FR027"]
    assert isinstance(found, Kept)
    assert "pay/gpu-a" in found.findings[0].message


@pytest.mark.parametrize(("name", "count"), [("envoy-gateway", 0), ("gke", 1), ("traefik", 0)])
def test_a_gateway_that_may_not_rewrite_is_a_warning_that_stops_nothing(name: str, count: int) -> None:
    found = wanted(fresco_yaml=FRESCO.replace("namespace: gateway", f"namespace: gateway, implementation: {name}"))
    assert [(one.rule, one.severity, one.line) for one in found.repository.findings] == [
        ("FR053", "warning", 5)
    ] * count
    assert isinstance(found.deployments["fraud/a"], WantedDeployment)


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("HF_TOKEN", "hf_x", True),
        ("password", "x", True),
        ("AWS_SECRET_ACCESS_KEY", "x", True),
        ("SSL_KEY", "/etc/tls/tls.key", False),
        ("DB_PASSWORD", "", False),
        ("HF_TOKEN_PATH", "x", False),
        ("TOKENIZERS_PARALLELISM", "false", False),
        ("MONKEY", "x", False),
    ],
)
def test_a_variable_is_a_secret_by_the_end_of_its_name(name: str, value: str, *, is_secret: bool) -> None:
    server = SERVER.replace("version: '24.10'", f"version: '24.10', env: {{{name}: '{value}'}}")
    found = wanted(server_yaml=server).servers["fraud/gpu-a"]
    assert isinstance(found, WantedServer)
    assert [one.rule for one in found.findings] == ["FR038"] * is_secret
    assert not any(value in one.message for one in found.findings)


def test_a_resource_defined_twice_is_kept_and_names_both_places() -> None:
    found = wanted(before(), c_yaml=deployment("a")).deployments["fraud/a"]
    assert rules(found) == ["FR020", "FR020"]


def test_nothing_is_deleted_while_a_file_cannot_be_read() -> None:
    for text in (
        HEAD + "kind: Deployment\nmetadata:\n\tname: a\n",
        HEAD + "kind: Deploymint\n",
        HEAD + "kind: Deployment\n",
    ):
        found = wanted(before(), a_yaml=text)
        assert rules(found.deployments["fraud/a"]) == ["FR061"]
        assert found.repository.findings
    assert "fraud/a" not in wanted(before(), a_yaml=None).deployments


@pytest.mark.parametrize(
    "fresco", [None, FRESCO.replace("clusters", "clutsers"), FRESCO + "\t: :\n", FRESCO + "---\n" + FRESCO]
)
def test_without_settings_everything_is_frozen(fresco: str | None) -> None:
    found = wanted(before(), fresco_yaml=fresco, a_yaml=None, b_yaml=deployment("b", digest="ab" * 32))
    assert found.repository.frozen
    assert found.repository.findings
    assert set(found.deployments) == {"fraud/a", "fraud/b"}
    assert all(isinstance(one, Kept) for one in (*found.deployments.values(), *found.servers.values()))
    with pytest.raises(InvalidRepository, match=r"fresco\.yaml"):
        wanted(fresco_yaml=fresco)


def test_it_thaws() -> None:
    frozen = wanted(before(), fresco_yaml=None)
    previous = msgspec.structs.replace(before(), repository=frozen.repository)
    found = wanted(previous)
    assert isinstance(found.repository, RepositoryStatus)
    assert not found.repository.frozen
    assert not found.repository.findings


def many(count: int) -> dict[str, str | None]:
    return {f"d{number}_yaml": deployment(f"d{number}") for number in range(count)}


def test_many_deletions_at_once_wait_for_a_permission() -> None:
    previous = before(**many(7))  # ten resources with the server
    gone: dict[str, str | None] = dict.fromkeys(("d0_yaml", "d1_yaml"))
    assert "fraud/d0" not in wanted(previous, **{**many(7), **gone}).deployments
    gone["d2_yaml"] = None
    found = wanted(previous, **{**many(7), **gone})
    assert rules(found.deployments["fraud/d0"]) == ["FR060"]
    assert found.repository.held_deletions == ("Deployment fraud/d0", "Deployment fraud/d1", "Deployment fraud/d2")
    allowed = FRESCO + "  guards: {allowDeletion: ['Deployment fraud/d1']}\n"
    found = wanted(previous, **{**many(7), **gone}, fresco_yaml=allowed)
    assert set(previous.deployments) - set(found.deployments) == {"fraud/d0", "fraud/d1", "fraud/d2"}


def test_what_is_on_its_way_out_is_not_counted_again() -> None:
    previous = before(**many(7))
    leaving = {
        key: msgspec.structs.replace(one, stage=Stage.CLEAN_UP_IN_PROGRESS)
        for key, one in previous.deployments.items()
        if key in ("fraud/d0", "fraud/d1")
    }
    previous = msgspec.structs.replace(previous, deployments={**previous.deployments, **leaving})
    gone: dict[str, str | None] = dict.fromkeys(("d0_yaml", "d1_yaml", "d2_yaml", "d3_yaml"))
    found = wanted(previous, **{**many(7), **gone})
    assert set(previous.deployments) - set(found.deployments) == {"fraud/d0", "fraud/d1", "fraud/d2", "fraud/d3"}
    assert ServerStage.DELETE not in {one.stage for one in previous.servers.values()}


def test_the_incumbent_keeps_its_route_and_name() -> None:
    previous = before()
    rival = deployment("a0", spec="  traffic: {path: /fraud/gpu-a/b}\n")
    found = wanted(previous, a0_yaml=rival)
    assert rules(found.deployments["fraud/a0"]) == ["FR023"]
    assert isinstance(found.deployments["fraud/b"], WantedDeployment)
    found = wanted(previous, b_yaml=None, renamed_yaml=deployment("a0", model="    name: b\n"))
    assert rules(found.deployments["fraud/a0"]) == ["FR022"]


def test_a_renamed_deployment_is_accepted_once_the_old_one_is_gone() -> None:
    renamed: dict[str, str | None] = {"b_yaml": None, "c_yaml": deployment("c", model="    name: b\n")}
    previous = before()
    assert rules(wanted(previous, **renamed).deployments["fraud/c"]) == ["FR022"]
    left = {key: one for key, one in previous.deployments.items() if key != "fraud/b"}
    later = msgspec.structs.replace(previous, deployments=left)
    assert not is_ground_the_same(previous, later)
    assert isinstance(wanted(later, **renamed).deployments["fraud/c"], WantedDeployment)


def test_progress_alone_changes_nothing_in_what_is_accepted() -> None:
    previous = before()
    one = previous.deployments["fraud/a"]
    moved = msgspec.structs.replace(one, stage=Stage.TRAFFIC_ROUTING, message="10 %", slices={})
    later = msgspec.structs.replace(previous, deployments={**previous.deployments, "fraud/a": moved})
    assert is_ground_the_same(previous, later)
    assert wanted(later) == wanted(previous)


def test_memory_is_first_for_those_who_have_it() -> None:
    small = SERVER.replace("replicas: 4", "replicas: 4, resources: {memory: 4Gi}")
    gib = "    memory: 1Gi\n"
    now: dict[str, str | None] = {"server_yaml": small, "a_yaml": None, "b_yaml": deployment("b", model=gib)}
    full = {**now, "a_yaml": deployment("a", model="    memory: 3Gi\n")}
    found = wanted(before(**now), **full)
    assert rules(found.deployments["fraud/a"]) == ["FR046"]
    assert isinstance(found.deployments["fraud/b"], WantedDeployment)


def test_memory_of_what_serves_counts_while_its_file_is_broken() -> None:
    small = SERVER.replace("replicas: 4", "replicas: 4, resources: {memory: 4Gi}")
    model = "    memory: 1500Mi\n"
    now: dict[str, str | None] = {"server_yaml": small, "a_yaml": deployment("a", model=model), "b_yaml": None}
    broken = deployment("a", model=model).replace("revision", "revison")
    found = wanted(before(**now), **{**now, "a_yaml": broken, "b_yaml": deployment("b", model=model)})
    assert rules(found.deployments["fraud/b"]) == ["FR046"]
    assert isinstance(found.deployments["fraud/a"], Kept)


@pytest.mark.parametrize(("room", "refused"), [("4Gi", []), ("3500Mi", ["fraud/b"])])
def test_emergencies_at_once_need_a_second_copy_each(room: str, refused: list[str]) -> None:
    server = SERVER.replace("replicas: 4", f"replicas: 4, resources: {{memory: {room}}}")
    gib, urgent = "    memory: 1Gi\n", "  rollout: {strategy: emergency, reason: fire}\n"
    now: Sources = {f"{name}_yaml": deployment(name, model=gib) for name in "ab"}
    newer: Sources = {f"{name}_yaml": deployment(name, model=gib, digest="7c" * 32, spec=urgent) for name in "ab"}
    found = wanted(before(**now, server_yaml=server), **newer, server_yaml=server)
    assert [name for name, one in found.deployments.items() if isinstance(one, Kept)] == refused
    assert all("each emergency twice" in found.deployments[name].findings[0].message for name in refused)


def test_an_emergency_counts_beside_the_rollout_that_is_in_hand() -> None:
    server = SERVER.replace("replicas: 4", "replicas: 4, resources: {memory: 3500Mi}")
    gib, urgent = "    memory: 1Gi\n", "  rollout: {strategy: emergency, reason: fire}\n"
    files: Sources = {f"{name}_yaml": deployment(name, model=gib) for name in "ab"}
    previous = before(**files, server_yaml=server)
    one = previous.deployments["fraud/a"]
    assert one.current is not None
    candidate = msgspec.structs.replace(one.current, digest=f"sha256:{'5e' * 32}", model_hash=f"sha256:{'5e' * 32}")
    begun = msgspec.structs.replace(one, candidate=candidate, progress=progress())
    later = msgspec.structs.replace(previous, deployments={**previous.deployments, "fraud/a": begun})
    files["b_yaml"] = deployment("b", model=gib, digest="7c" * 32, spec=urgent)
    assert isinstance(wanted(previous, **files, server_yaml=server).deployments["fraud/b"], WantedDeployment)
    assert not is_ground_the_same(previous, later)
    assert rules(wanted(later, **files, server_yaml=server).deployments["fraud/b"]) == ["FR046"]


def test_a_renamed_model_is_there_under_both_names_for_a_while() -> None:
    server = SERVER.replace("replicas: 4", "replicas: 4, resources: {memory: 3500Mi}")
    now: Sources = {"server_yaml": server, "a_yaml": deployment("a", model="    memory: 2Gi\n"), "b_yaml": None}
    renamed = deployment("a", model="    memory: 2Gi\n    name: other\n")
    assert rules(wanted(before(**now), **{**now, "a_yaml": renamed}).deployments["fraud/a"]) == ["FR046"]


def progress() -> Progress:
    """A rollout in hand."""
    then = datetime(2026, 1, 1, tzinfo=UTC)
    return Progress(work=Work.ROLLOUT, step="stage", started_at=then, since=then, slices={"main": 4})


def test_a_model_config_that_would_be_too_large_is_said_of_the_one_that_is_too_much() -> None:
    request = "    smokeTest: {request: '" + "x" * 400_000 + "'}\n"
    found = wanted(b_yaml=deployment("b", model=request))
    assert rules(found.deployments["fraud/b"]) == ["FR047"]
    assert isinstance(found.deployments["fraud/a"], WantedDeployment)


def test_no_config_is_larger_than_what_was_counted() -> None:
    options = {f"option-{number}": "x" * number for number in range(20)}
    revision = msgspec.structs.replace(model(1), options=options)
    one = settled(wanted()).deployments["fraud/a"]
    state = SliceState(serve=Role.CURRENT, first_pods=("gpu-a-main-0",), stage=(Role.CANDIDATE,))
    status = msgspec.structs.replace(one, current=revision, candidate=revision, slices={"main": state})
    made = model_config.config([status], namespace="fraud", server="gpu-a", slice_name="main")
    assert len(msgspec.json.encode(made.models["scorer"])) > 3 * len("".join(options.values()))
    assert len(model_config.text(made)) <= config_bytes(revision)


def test_an_unknown_cluster_is_said_with_the_known_ones() -> None:
    with pytest.raises(InvalidRepository, match="there is prod"):
        accept(loaded(), "pord", None)
