"""Michelangelo's own resources mean what Fresco's mean, and what cannot be honoured is said where it is written."""

from collections.abc import Iterator
from typing import Any

import pytest

import schemas
from render.compat.fields import UNHONOURED, WRITTEN, origin_of_annotation
from render.document import Loaded
from render.load import load_file
from render.memo import Memo
from render.normal import Kept, Wanted, WantedDeployment, WantedServer, accept
from render.resource import DEPLOYMENT, SERVER
from render.settled import settled

OURS = "apiVersion: serving.fresco.dev/v1alpha1\n"
THEIRS = "apiVersion: michelangelo.api/v2\n"
DIGEST = "sha256:" + "9f" * 32
FRESCO = (
    OURS
    + "kind: Repository\nspec:\n  clusters: [{name: prod, gateway: {name: public, namespace: gateway}}]\n"
    + "  namespaces: {fraud: {storage: ['s3://m/'], paths: [/gpu-a]}}\n"
)
SETTINGS = FRESCO + "  michelangelo: {artifacts: 's3://m/{namespace}/{model}/{revision}', version: '24.10'}\n"
LOCK = OURS + f"kind: Lock\ndigests: {{s3://m/fraud/scorer/scorer-7: {DIGEST}}}\n"
PLACE = "metadata: {name: scorer, namespace: fraud}\n"
SERVER_PLACE = "kind: InferenceServer\nmetadata: {name: gpu-a, namespace: fraud}\n"
OUR_SERVER = f"{OURS}{SERVER_PLACE}spec: {{backend: {{type: triton, version: '24.10'}}, canary: {{replicas: 1}}}}\n"
SERVING = "desiredRevision: {name: scorer-7}, inferenceServer: {name: gpu-a}"
MODEL = f"server: gpu-a, model: {{revision: scorer-7, uri: s3://m/fraud/scorer/scorer-7, digest: '{DIGEST}'}}"


def loaded(**sources: str) -> Loaded:
    files = {"fresco.yaml": SETTINGS, "fresco.lock": LOCK}
    files |= {name.replace("_", "."): text for name, text in sources.items()}
    return Loaded({path: load_file(path, text.encode()) for path, text in sorted(files.items())})


def wanted(**sources: str) -> Wanted:
    return accept(loaded(**sources), "prod", None)


def scorer(spec: str, head: str = THEIRS) -> WantedDeployment | Kept:
    text = f"{head}kind: Deployment\n{PLACE}spec: {{{spec}}}\n"
    return wanted(a_yaml=text, server_yaml=OUR_SERVER).deployments["fraud/scorer"]


def server(spec: str, head: str = THEIRS) -> WantedServer | Kept:
    return wanted(a_yaml=f"{head}{SERVER_PLACE}spec: {{{spec}}}\n").servers["fraud/gpu-a"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("", ""),
        ("strategy: {rolling: {}}", ""),
        ("strategy: {rolling: {incrementPercentage: 40}}", "rollout: {steps: [{weight: 40}, {weight: 80}]}"),
        ("strategy: {rolling: {incrementPercentage: 100}}", "rollout: {steps: []}"),
        ("strategy: {zonal: {rolloutPeriodInSeconds: 90.5}}", "rollout: {bake: 90.5s}"),
        ("strategy: {blast: {issueLink: fire}}", "rollout: {strategy: emergency, reason: fire}"),
        ("strategy: {blast: {jiraLink: fire}}", "rollout: {strategy: emergency, reason: fire}"),
        ("shadowSpec: {trafficPercentage: 10, enabled: true}", "traffic: {mirror: {percent: 10}}"),
        ("shadowSpec: {trafficPercentage: 10}", ""),
        ("shadowSpec: {trafficPercentage: 10, enabled: true, dryrun: true}", ""),
        ("deletionSpec: {deleted: false}, owner: {name: ada}, modelFamily: {name: scorer}", ""),
        ("definition: {type: TARGET_TYPE_INFERENCE_SERVER, subType: realtime-serving}", ""),
    ],
)
def test_a_deployment_means_the_same(theirs: str, ours: str) -> None:
    found, expected = scorer(f"{SERVING}, {theirs}"), scorer(f"{MODEL}, {ours}", OURS)
    assert isinstance(found, WantedDeployment)
    assert isinstance(expected, WantedDeployment)
    assert (found.model, found.rollout, found.traffic) == (expected.model, expected.rollout, expected.traffic)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("", ""),
        ("initSpec: {numInstances: 3, servingSpec: {version: latest}}", "replicas: 3"),
        ("initSpec: {resourceSpec: {cpu: 2, memory: 32G}}", "resources: {cpu: '2', memory: 32G}"),
        ("initSpec: {resourceSpec: {memory: 64K, gpu: 2}}", "resources: {memory: 64k, gpu: {count: 2}}"),
        ("initSpec: {resourceSpec: {cpu: 0, memory: '', gpu: 0, gpuSku: ''}, numInstances: 0}", ""),
        ("initSpec: {resourceSpec: {diskSize: 100G}}", "cache: {sizeLimit: 100G}"),
        ("ownerSpec: {tier: 1, ownerInfo: {a: b}}, owner: {name: ada}, decomSpec: {}", ""),
    ],
)
def test_a_server_means_the_same(theirs: str, ours: str) -> None:
    found = server(f"backendType: BACKEND_TYPE_TRITON, {theirs}")
    expected = server(f"backend: {{type: triton, version: '24.10'}}, {ours}", OURS)
    assert isinstance(found, WantedServer)
    assert isinstance(expected, WantedServer)
    assert (found.template, found.replicas, found.findings) == (expected.template, expected.replicas, ())


@pytest.mark.parametrize(
    ("spec", "rule", "place"),
    [
        (f"{SERVING}, selector: {{matchLabels: {{a: b}}}}", "FR080", "{matchLabels: "),
        ("desiredRevision: {name: scorer-8}, inferenceServer: {name: gpu-a}", "FR040", "{name: scorer-8}"),
        ("desiredRevision: {name: scorer-7}, inferenceServer: {name: gpu-b}", "FR021", "gpu-b"),
        (f"{SERVING}, strategy: {{blast: {{}}}}", "FR041", "{}"),
        (f"{SERVING}, strategi: {{}}", "FR010", "strategi"),
    ],
)
def test_a_finding_stands_where_the_person_wrote(spec: str, rule: str, place: str) -> None:
    (found,) = scorer(spec).findings
    assert (found.rule, found.line) == (rule, 4)
    assert f"spec: {{{spec}}}"[found.column - 1 :].startswith(place)


def test_what_is_marked_as_deleted_is_as_good_as_gone() -> None:
    kept = {"a_yaml": f"{THEIRS}kind: Deployment\n{PLACE}spec: {{{SERVING}}}\n", "server_yaml": OUR_SERVER}
    gone = f"{THEIRS}kind: Deployment\n{PLACE}spec: {{{SERVING}, deletionSpec: {{deleted: true}}}}\n"
    decommissioned = (
        f"{THEIRS}{SERVER_PLACE}spec: {{backendType: BACKEND_TYPE_TRITON, decomSpec: {{decommission: true}}}}\n"
    )
    before = settled(wanted(**kept))
    assert accept(loaded(a_yaml=gone, server_yaml=decommissioned), "prod", before) == accept(loaded(), "prod", before)


def test_others_of_their_kinds_are_left_alone_and_a_slip_of_the_pen_is_not() -> None:
    assert load_file("a.yaml", f"{THEIRS}kind: ModelFamily\nspec: {{a: b}}\n".encode()).documents == ()
    found = wanted(a_yaml=f"{THEIRS}kind: Deploymnet\n{PLACE}").repository.findings
    assert [(one.rule, one.hint) for one in found] == [("FR004", "did you mean Deployment?")]
    slipped = load_file("a.yaml", f"apiversion: michelangelo.api/v2\nkind: Deployment\n{PLACE}".encode())
    assert slipped.findings[0].message == "expected apiVersion, found 'apiversion'"


def test_a_broken_lock_is_said_and_hides_nothing_else() -> None:
    text = f"{THEIRS}kind: Deployment\n{PLACE}spec: {{{SERVING}}}\n"
    found = accept(loaded(fresco_lock=OURS + "a: [", a_yaml=text, server_yaml=OUR_SERVER), "prod", None)
    assert [one.file for one in found.repository.findings] == ["fresco.lock"]
    assert [one.rule for one in found.deployments["fraud/scorer"].findings] == ["FR040"]


def test_a_digest_more_makes_one_resource_anew() -> None:
    texts = {
        f"{name}_yaml": f"{THEIRS}kind: Deployment\nmetadata: {{name: {name}, namespace: fraud}}\nspec: {{{SERVING}}}\n"
        for name in ("scorer", "ranker")
    }
    files, memo = loaded(server_yaml=OUR_SERVER, **texts), Memo()
    before = accept(files, "prod", None, memo)
    more = LOCK.replace("}", f", s3://m/fraud/ranker/scorer-7: {DIGEST}}}")
    after = accept(Loaded({**files.files, "fresco.lock": load_file("fresco.lock", more.encode())}), "prod", None, memo)
    assert isinstance(after.deployments["fraud/ranker"], WantedDeployment)
    assert after.deployments["fraud/scorer"] is before.deployments["fraud/scorer"]


# ---- the tables


def leaves(schema: dict[str, Any], form: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all fields of a contract that have no fields of their own."""
    for one in (form, *form.get("anyOf", ())):
        target = schema["$defs"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        if "properties" in target:
            for name, below in target["properties"].items():
                yield from leaves(schema, below, (*path, name))
            return
    yield path


def fields_of(contract: str) -> set[tuple[str, ...]]:
    schema = schemas.load(contract)
    return {leaf[:end] for leaf in leaves(schema, schema) for end in range(1, len(leaf) + 1)}


@pytest.mark.parametrize("kind", [SERVER, DEPLOYMENT])
def test_the_tables_name_fields_that_there_are(kind: str) -> None:
    theirs, ours = fields_of(f"michelangelo-{kind.lower()}"), fields_of(kind.lower())
    assert set(WRITTEN[kind].values()) <= theirs
    assert WRITTEN[kind].keys() <= ours
    assert {field.path for field in UNHONOURED[kind]} <= theirs


KEPT = [origin_of_annotation(name) for name in ("owner", "proxy-user", "owner-info", "tier", "model-family", "link-")]
SAID = {
    ("apiVersion",),
    ("status",),  # of a dump: nobody asks for anything with it
    ("spec", "decomSpec", "decommission"),
    ("spec", "deletionSpec", "deleted"),
    ("spec", "desiredRevision", "namespace"),
    ("spec", "inferenceServer", "namespace"),
    ("spec", "modelFamily", "namespace"),
    ("spec", "resourceLinks"),
    ("spec", "strategy", "blast", "jiraLink"),
    ("spec", "shadowSpec", "enabled"),
}


@pytest.mark.parametrize("kind", [SERVER, DEPLOYMENT])
def test_no_field_is_lost_without_a_word(kind: str) -> None:
    schema = schemas.load(f"michelangelo-{kind.lower()}")
    told = {*WRITTEN[kind].values(), *(field.path for field in UNHONOURED[kind]), *filter(None, KEPT), *SAID}
    is_told = {leaf: any(leaf[:end] in told for end in range(2, len(leaf) + 1)) for leaf in leaves(schema, schema)}
    assert [leaf for leaf, said in is_told.items() if not said and leaf not in told] == []
