"""The rendered tree: the same bytes each time, and a change renders exactly what differs."""

import json
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render import places, plan, tree, write
from render.errors import StatusUnreadable, TooLarge
from render.load import load
from render.normal import accept
from render.objects import model_config, route_content, server_objects
from render.objects.base import CONTENT, content
from render.repository import WorkingTree, blob_id
from render.settled import settled
from schemas.model_config import ConfigEntry, checksum
from schemas.status import DeploymentStatus, Role, RouteState, ServerStatus, SliceState, Tree

S = TypeVar("S", DeploymentStatus, ServerStatus)
CASES = Path(__file__).parents[1] / "cases"


def status(name: str) -> Tree:
    folder = CASES / "status" / name
    found = tree.read({path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.yaml")})
    assert found is not None
    return found


NAMES = sorted(path.name for path in (CASES / "status").iterdir())
ALL = {name: status(name) for name in NAMES}


def several() -> Tree:
    """Two servers in two namespaces and five Deployments, settled."""
    base = settled(accept(load(WorkingTree(CASES / "good" / "warnings" / "repo")), "prod", None))
    copies = {key.replace("fraud", "pay"): _moved(one) for key, one in base.deployments.items()}
    servers = {key.replace("fraud", "pay"): _moved(one) for key, one in base.servers.items()}
    return msgspec.structs.replace(
        base, servers={**base.servers, **servers}, deployments={**base.deployments, **copies}
    )


def _moved(one: S) -> S:
    return msgspec.structs.replace(one, metadata=msgspec.structs.replace(one.metadata, namespace="pay"))


@st.composite
def changed_trees(draw: st.DrawFn) -> Tree:
    """`several`, with some Deployments and servers changed or gone."""
    base = several()
    deployments = {key: _changed(draw, one) for key, one in base.deployments.items() if draw(st.booleans())}
    servers = {key: one for key, one in base.servers.items() if draw(st.integers(0, 4))}
    frozen = msgspec.structs.replace(base.repository, frozen=draw(st.booleans()))
    return Tree(repository=frozen, servers=servers, deployments=deployments)


def _changed(draw: st.DrawFn, one: DeploymentStatus) -> DeploymentStatus:
    assert one.current is not None
    digest = "sha256:" + draw(st.sampled_from(["9f", "ab"])) * 32
    return msgspec.structs.replace(
        one,
        message=draw(st.sampled_from(["serving", "waits"])),
        route=draw(st.sampled_from([None, RouteState(), RouteState(split={"main": 90, "canary": 10})])),
        current=msgspec.structs.replace(one.current, digest=digest),
    )


@settings(max_examples=60, deadline=None)
@given(changed_trees(), changed_trees())
def test_changes_lead_from_one_tree_to_the_other(before: Tree, after: Tree) -> None:
    files = dict(plan.files(before))
    for path, text in plan.changes(before, after).items():
        if text is None:
            del files[path]
        else:
            assert files.get(path) != text
            files[path] = text
    assert files == plan.files(after)


@settings(max_examples=30, deadline=None)
@given(changed_trees())
def test_what_is_written_is_read_back(one: Tree) -> None:
    again = tree.read(plan.files(one))
    assert again == one
    assert again is not None
    assert plan.files(again) == plan.files(one)
    assert plan.changes(one, again) == {}
    assert plan.changes(None, one) == plan.files(one)


def test_one_change_renders_one_route_and_its_status() -> None:
    before = several()
    one = before.deployments["fraud/scorer"]
    split = msgspec.structs.replace(one, route=RouteState(split={"main": 90, "canary": 10}))
    after = msgspec.structs.replace(before, deployments={**before.deployments, "fraud/scorer": split})
    assert sorted(plan.changes(before, after)) == [
        "manifests/fraud/routes/scorer.yaml",
        "status/fraud/README.md",
        "status/fraud/deployments/scorer.yaml",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_object_carries_the_hash_of_its_content(name: str) -> None:
    indexed = plan.index(ALL[name])
    fleet = indexed.fleet("fraud/gpu-a")
    assert fleet is not None
    for one in server_objects(fleet).values():
        annotations = dict(one["metadata"]["annotations"])
        found = annotations.pop(CONTENT)
        meta = {key: value for key, value in one["metadata"].items() if key != "annotations"}
        assert found == content({**one, "metadata": {**meta, "annotations": annotations} if annotations else meta})
        assert one["metadata"]["labels"]["serving.fresco.dev/server"] == "gpu-a"


def test_the_rules_know_the_route_that_is_rendered() -> None:
    one = ALL["traffic-routing"]
    found = route_content(one.repository, one.servers["fraud/gpu-a"], one.deployments["fraud/scorer"])
    assert f"{CONTENT}: {found}" in plan.files(one)["manifests/fraud/routes/scorer.yaml"].decode().replace('"', "")
    cleaned = ALL["clean-up"]
    assert (
        route_content(cleaned.repository, cleaned.servers["fraud/gpu-a"], cleaned.deployments["fraud/scorer"]) is None
    )


def entry(name: str, slice_name: str) -> ConfigEntry | None:
    return model_config.entry(ALL[name].deployments["fraud/scorer"], "main" if slice_name == "main" else "canary")


def test_each_slice_is_told_its_own() -> None:
    main, canary = entry("traffic-routing", "main"), entry("traffic-routing", "canary")
    assert main is not None
    assert canary is not None
    assert main.serve is not None
    assert canary.serve is not None
    assert (main.serve.revision, [one.revision for one in main.stage]) == ("2026-11-20", ["2026-11-21"])
    assert (canary.serve.revision, canary.attempt, canary.gate) == ("2026-11-21", 3, True)
    first = entry("first-pod", "canary")
    assert first is not None
    assert first.candidate is not None
    assert first.candidate.first_pods == ("gpu-a-canary-0",)
    early = entry("first-rollout", "main")
    assert early is not None
    assert (early.serve, early.gate, len(early.stage)) == (None, False, 1)
    assert entry("clean-up", "main") is None


def test_entries_of_a_move_stay_with_their_places() -> None:
    one = ALL["first-pod"].deployments["fraud/scorer"]
    assert one.candidate is not None
    moving = msgspec.structs.replace(
        one, candidate=msgspec.structs.replace(one.candidate, server="gpu-b", name="other")
    )
    here, there = places.views(moving)
    assert (places.home(here), places.home(there)) == ("fraud/gpu-a", "fraud/gpu-b")
    assert (model_config.model_name(here), model_config.model_name(there)) == ("fraud_scorer", "other")
    assert (here.candidate, there.current) == (None, None)


def test_a_config_beyond_the_limit_is_refused() -> None:
    one = ALL["traffic-routing"].deployments["fraud/scorer"]
    assert one.current is not None
    copies = [
        msgspec.structs.replace(
            one,
            metadata=msgspec.structs.replace(one.metadata, name=f"d{number}"),
            current=msgspec.structs.replace(one.current, name=f"m{number}"),
            candidate=None,
            slices={"main": SliceState(serve=Role.CURRENT)},
        )
        for number in range(3000)
    ]
    config = model_config.config(copies, namespace="fraud", server="gpu-a", slice_name="main")
    assert config.checksum == checksum(config.models)
    with pytest.raises(TooLarge, match="fraud/gpu-a, slice main"):
        model_config.text(config)


def test_a_status_that_contradicts_itself_is_refused() -> None:
    one = ALL["traffic-routing"].deployments["fraud/scorer"]
    with pytest.raises(StatusUnreadable, match="candidate"):
        model_config.entry(msgspec.structs.replace(one, candidate=None), "canary")


def test_status_files_are_read_strictly() -> None:
    files = {path: text for path, text in plan.files(several()).items() if path.startswith("status/")}
    path = "status/fraud/deployments/scorer.yaml"
    newer = files[path].replace(b"schemaVersion: 2", b"schemaVersion: 3")
    for broken, words in (
        (newer, "newer than"),
        (files[path] + b"surprise: 1\n", "surprise"),
        (files[path].replace(b"name: scorer", b"name: other", 1), "is about fraud/other"),
        (b"", "one document"),
        (b"apiVersion: serving.fresco.dev/v1alpha1\n\t", "expected YAML"),
    ):
        with pytest.raises(StatusUnreadable, match=words):
            tree.read({**files, path: broken})
    with pytest.raises(StatusUnreadable, match="is missing"):
        tree.read({path: files[path]})
    assert tree.read({"README.md": b"", "status/fraud/README.md": b""}) is None


def test_only_own_surplus_is_deleted(tmp_path: Path) -> None:
    existing = {
        "README.md": "1",
        "manifests/old.yaml": "2",
        "status/x/y.yaml": "3",
        "manifests/same.yaml": blob_id(b"a"),
    }
    files = {"manifests/same.yaml": b"a", "manifests/new.yaml": b"b"}
    expected = {"manifests/old.yaml": None, "status/x/y.yaml": None, "manifests/new.yaml": b"b"}
    assert write.against(existing, files.items()) == expected
    for name in ("README.md", "manifests/old.yaml", "status/keep.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    write.to_folder(tmp_path, files)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["README.md", "manifests/new.yaml", "manifests/same.yaml", "status/keep.yaml"]
    assert write.to_folder(tmp_path, files) == []


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(), st.recursive(st.text() | st.integers(0, 1 << 40) | st.booleans(), st.lists)))
def test_the_hash_is_over_canonical_json_of_anybodys_making(value: dict[str, object]) -> None:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert content(value) == sha256(text.encode()).hexdigest()[:16]
