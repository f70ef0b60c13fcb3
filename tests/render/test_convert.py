"""`fresco convert` changes the form of a resource, and neither its meaning nor anything else in the file."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yaml._yaml import CParser

from render import compat
from render.cli import main
from render.compat import OwnForm
from render.convert import CannotConvert, converted, edit, prove, replaced, source
from render.document import Document, Loaded
from render.emit import emit
from render.load import load, load_file
from render.repository import WorkingTree
from render.settings import read
from schemas.resources import Michelangelo, RepositorySpec

CASE = Path(__file__).parents[1] / "cases" / "good" / "michelangelo"
HEAD = "apiVersion: michelangelo.api/v2\nkind: Deployment\nmetadata: {name: scorer, namespace: fraud}\n"
SPEC = "spec: {desiredRevision: {name: a}, inferenceServer: {name: b}}"
SETTINGS = Michelangelo(artifacts="s3://deploy-models/{revision}")


def convert(text: str) -> str:
    """Converts the last document of `text`."""
    content = text.encode()
    document = load_file("a.yaml", content).documents[-1]
    form = compat.read(document, SETTINGS)
    assert isinstance(form, OwnForm)
    assert form.value is not None
    return rewritten(content, document, form.value).decode()


def rewritten(content: bytes, document: Document, value: Mapping[str, Any]) -> bytes:
    """`content` with `value` in place of one of its documents."""
    of = source(content)
    return converted(of, [edit(of, document, value)])


COMMENTED = """\
# At the head.
apiVersion: michelangelo.api/v2 # theirs
kind: Deployment
metadata:
  name: scorer  # the name
  labels:
    # Why it has one.
    app: scorer
  annotations:
    note: |
      # no comment
      # at all
spec:
  # Which revision.
  desiredRevision:
    name: "scorer#7" # pinned
  inferenceServer: # where
    name: gpu-a
  # Its environment.
  selector: {matchLabels: {a: "b # c"}} # gone
  strategy:
    blast:
      issueLink: https://example.com/a#b # on fire
  resourceLinks:
    book: x # read it
# At the end.
""".replace("scorer#7", "scorer-7")
CONVERTED = """\
# At the head.
apiVersion: serving.fresco.dev/v1alpha1 # theirs
kind: Deployment
metadata:
  name: scorer # the name
  labels:
    # Why it has one.
    app: scorer
  annotations:
    michelangelo.api/link-book: x # read it
    note: |
      # no comment
      # at all
# Its environment.
# gone
spec:
  # where
  server: gpu-a
  # Which revision.
  model:
    revision: scorer-7 # pinned
    uri: "s3://deploy-models/scorer-7"
  rollout:
    strategy: emergency
    reason: "https://example.com/a#b" # on fire
# At the end.
"""


def test_comments_go_where_their_fields_went() -> None:
    assert convert(COMMENTED) == CONVERTED


def test_line_ends_and_neighbours_stay() -> None:
    before, after = "\ufeff# a\na: [1,  2] # b\n---\n", "\n---\nb:   c\n"
    text = before + COMMENTED.rstrip("\n") + after
    assert convert(text) == before + CONVERTED.rstrip("\n") + after
    assert convert(text.replace("\n", "\r\n")) == (before + CONVERTED.rstrip("\n") + after).replace("\n", "\r\n")


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_line_end_that_is_missing_at_the_end_stays_missing(line_end: str) -> None:
    text, expected = (one.removesuffix("# At the end.\n").rstrip("\n") for one in (COMMENTED, CONVERTED))
    assert convert(text.replace("\n", line_end)) == expected.replace("\n", line_end)
    head, one_line = f"a: b{line_end}---{line_end}", f"{{{HEAD}{SPEC}}}".replace("\n", ", ")
    assert convert(head + one_line) == head + convert(HEAD + SPEC).replace("\n", line_end)


@pytest.mark.parametrize(
    "text",
    [
        f"--- {{apiVersion: michelangelo.api/v2, kind: Deployment, metadata: {{name: a}}, {SPEC}}}\n",
        " " + HEAD.replace("\n", "\n ") + SPEC,
    ],
)
def test_what_does_not_begin_a_line_is_left(text: str) -> None:
    with pytest.raises(CannotConvert, match="does not begin a line"):
        convert(text)


@pytest.mark.parametrize("end", ["\r", "\x85", "\u2028"])
def test_odd_ends_of_lines_are_left(end: str) -> None:
    with pytest.raises(CannotConvert, match="by hand"):
        convert(HEAD + SPEC + f"# a{end}# b\n")


# ---- the property


def spread(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


NAMES = st.sampled_from(["a", "scorer-7", "x.y"])
TEXTS = st.sampled_from(["", "a", "a # b", "#", "x: y", "no", "é\n# z\n", "two\nlines"])
STRATEGIES = st.one_of(
    spread({"rolling": spread({"incrementPercentage": st.integers(0, 100)})}),
    spread({"zonal": spread({"rolloutPeriodInSeconds": st.sampled_from([0, 1.5, 90])})}),
    st.fixed_dictionaries({"blast": st.fixed_dictionaries({"issueLink": st.sampled_from(["fire", "a # b"])})}),
)
SPECS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "desiredRevision": st.fixed_dictionaries({"name": NAMES}),
        "inferenceServer": st.fixed_dictionaries({"name": st.sampled_from(["gpu-a", "cpu-b", "absent"])}),
    },
    optional={
        "selector": st.just({"matchLabels": {"a": "b"}}),
        "strategy": STRATEGIES,
        "owner": spread({"name": TEXTS}),
        "modelFamily": st.fixed_dictionaries({"name": NAMES}),
        "shadowSpec": spread({"trafficPercentage": st.integers(0, 100), "enabled": st.booleans()}),
        "resourceLinks": st.dictionaries(st.sampled_from(["a", "b c", "#"]), TEXTS, max_size=2),
    },
)
SIZES = st.sampled_from(["", "4Gi", "64K"])
SERVER_SPECS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"backendType": st.just("BACKEND_TYPE_TRITON")},
    optional={
        "tenancyType": st.sampled_from(["TENANCY_TYPE_DEDICATED", "TENANCY_TYPE_MULTI_TENANT"]),
        "ownerSpec": spread({"tier": st.integers(0, 4), "ownerInfo": st.just({"team": "a # b"})}),
        "initSpec": spread(
            {
                "resourceSpec": spread(
                    {"cpu": st.integers(0, 4), "memory": SIZES, "diskSize": SIZES, "gpu": st.integers(0, 2)}
                ),
                "servingSpec": spread({"version": st.sampled_from(["", "latest", "25.01"])}),
                "numInstances": st.integers(0, 3),
            }
        ),
        "owner": spread({"name": TEXTS, "proxyUser": TEXTS}),
    },
)
RESOURCES = st.one_of(st.tuples(st.just("Deployment"), SPECS), st.tuples(st.just("InferenceServer"), SERVER_SPECS))


@st.composite
def commented(draw: st.DrawFn, value: dict[str, Any]) -> tuple[str, list[str]]:
    """`value` as YAML with comments anywhere but in texts of several lines, and those comments."""
    lines: list[str] = []
    comments: list[str] = []
    is_text = False
    for line in emit(value).decode().splitlines():
        is_text = (is_text and line.startswith("    ") and ": " not in line) or line.endswith(("|", "|-", "|+"))
        if not is_text and draw(st.booleans()):
            one = f"# c{len(comments)}"
            comments.append(one)
            line = f"{' ' * draw(st.integers(0, 5))}{one}\n{line}" if draw(st.booleans()) else f"{line}  {one}"
        lines.append(line)
    return "\n".join(lines) + "\n", comments


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_converted_means_the_same_and_keeps_every_comment(data: st.DataObject) -> None:
    kind, spec = data.draw(RESOURCES)
    metadata = {"name": "new", "namespace": "fraud"}
    value = {"apiVersion": "michelangelo.api/v2", "kind": kind, "metadata": metadata, "spec": spec}
    text, comments = data.draw(commented(value))
    base = load(WorkingTree(CASE / "repo"))
    repository = read(base)
    assert isinstance(repository, RepositorySpec)
    before = replaced(base, {"new.yaml": text.encode()})
    document = before.files["new.yaml"].documents[0]
    form = compat.read(document, repository.michelangelo)
    assert isinstance(form, OwnForm)
    assert form.value is not None
    after = rewritten(text.encode(), document, form.value)
    prove(before, replaced(base, {"new.yaml": after}), repository)
    found = after.decode()
    assert all(found.count(f"{one}\n") == 1 for one in comments), found


def test_the_proof_finds_what_differs() -> None:
    base = load(WorkingTree(CASE / "repo"))
    repository = read(base)
    assert isinstance(repository, RepositorySpec)
    text = (CASE / "repo" / "servers.yaml").read_text()
    other = replaced(base, {"servers.yaml": text.replace("numInstances: 3", "numInstances: 4").encode()})
    prove(base, base, repository)
    with pytest.raises(CannotConvert, match="InferenceServer fraud/gpu-a would not mean the same in prod"):
        prove(base, other, repository)
    with pytest.raises(CannotConvert, match="Deployment fraud/ranker would"):
        prove(base, Loaded({path: one for path, one in base.files.items() if path != "deployments.yaml"}), repository)


# ---- the program


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CASE / "repo", tmp_path / "repository"))


def test_the_program_converts_what_it_can_and_names_the_rest(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(repository)]) == 1
    output = capsys.readouterr()
    assert output.out == "".join(f"{repository / name}: converted\n" for name in ("deployments.yaml", "servers.yaml"))
    assert output.err.count("it is deleted: remove it from the file") == 2
    assert "FR080 warning: spec.selector" in output.err
    assert main(["render", "-C", str(repository), "--output", str(tmp_path / "out")]) == 0
    for path in (CASE / "expected" / "manifests").rglob("*.yaml"):
        made = tmp_path / "out" / path.relative_to(CASE / "expected")
        assert made.read_text() == path.read_text()
    again = {path: path.read_bytes() for path in repository.iterdir()}
    assert main(["convert", str(repository)]) == 1
    assert again == {path: path.read_bytes() for path in repository.iterdir()}


def test_it_can_be_looked_at_first(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (repository / "servers.yaml").read_bytes()
    main(["convert", "--stdout", str(repository / "servers.yaml")])
    assert "kind: InferenceServer\nmetadata:\n  name: gpu-a\n" in capsys.readouterr().out
    assert (repository / "servers.yaml").read_bytes() == before


def test_what_has_errors_is_left(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = repository / "servers.yaml"
    path.write_text(path.read_text().replace('gpuSku: ""', "gpuSku: v100"))
    before = path.read_bytes()
    assert main(["convert", str(path)]) == 1
    assert f"{path}:1: spec.initSpec.resourceSpec.gpuSku: the kind of a GPU" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_what_cannot_be_read_is_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "torn.yaml").write_text(HEAD + "spec: [\n")
    assert main(["convert", str(repository / "torn.yaml")]) == 1
    assert "torn.yaml:5:1: FR001 expected YAML" in capsys.readouterr().err


def test_it_needs_a_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(COMMENTED)
    assert main(["convert", str(path)]) == 1
    assert "fresco.yaml is missing or broken" in capsys.readouterr().err
    (tmp_path / "fresco.yaml").write_text("apiVersion: serving.fresco.dev/v1alpha1\nkind: Repository\n")
    assert main(["convert", str(path)]) == 1
    assert "fresco.yaml is missing or broken" in capsys.readouterr().err


def test_what_a_person_writes_meanwhile_is_not_lost(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repository / "servers.yaml"

    def slow(*_: object) -> None:
        path.write_text("# mine\n")

    monkeypatch.setattr("render.commands.convert.prove", slow)
    assert main(["convert", str(path)]) == 1
    assert path.read_text() == "# mine\n"
    assert f"{path}: it was changed in the meantime: run fresco convert again" in capsys.readouterr().err


def test_without_a_path_everything_in_the_folder_that_is_named_is_converted_once(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "deployments.yaml").write_text(COMMENTED)
    (repository / "servers.yaml").unlink()
    assert main(["convert", "--quiet", "-C", str(repository)]) == 0
    assert "apiVersion: serving.fresco.dev" in (repository / "deployments.yaml").read_text()
    assert capsys.readouterr().out == ""
    (repository / "deployments.yaml").write_text(COMMENTED)
    assert main(["convert", str(repository), str(repository / "deployments.yaml")]) == 0
    assert capsys.readouterr().out == f"{repository / 'deployments.yaml'}: converted\n"


@pytest.mark.parametrize("place", ["repository/link.yaml", "elsewhere.yaml"])
def test_a_link_leads_to_the_file_that_is_converted(
    place: str, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link, path = tmp_path / place, repository / "theirs.yaml"
    path.write_text(COMMENTED)
    link.symlink_to(path)
    assert main(["convert", str(link), str(path)]) == 0
    assert link.is_symlink()
    assert "apiVersion: serving.fresco.dev" in path.read_text()
    assert capsys.readouterr().out.count("converted") == 1


def test_what_a_file_says_cannot_steer_the_terminal(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "a\x1b[2J.yaml").write_text(COMMENTED)
    (repository / "b\x1b[2J.yaml").write_text("a: [")
    main(["convert", "-C", str(repository)])
    output = capsys.readouterr()
    assert "a�[2J.yaml: converted" in output.out
    assert "\x1b" not in output.out + output.err


# ---- many documents in one file


def deployments(count: int) -> str:
    """Documents of theirs, each with a warning, and one of another kind between every two."""
    one = "# At {0}.\n" + HEAD.replace("scorer", "scorer-{0}").replace("{n", "{{n").replace("d}", "d}}")
    spec = "spec:\n  desiredRevision: {{name: r-{0}}} # pinned\n  inferenceServer: {{name: gpu-a}}\n"
    other = "  selector: {{matchLabels: {{a: b}}}}\n---\nkind: ConfigMap\ndata: {{a:   b}}\n---\n"
    return "".join((one + spec + other).format(number) for number in range(count))


def test_all_documents_of_a_file_are_converted_at_once(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = repository / "many.yaml"
    path.write_text(deployments(3).replace("name: r-1", "names: r-1"))
    assert main(["convert", str(path)]) == 1
    output = capsys.readouterr()
    assert f"{path}:14: spec.desiredRevision" in output.err
    assert output.err.count("FR080 warning: spec.selector") == 2
    after = path.read_text()
    assert after.count("kind: ConfigMap\ndata: {a:   b}\n") == 3
    assert all(after.count(f"  model: # pinned\n    revision: r-{number}\n") == 1 for number in (0, 2))
    assert after.count("michelangelo.api/v2") == 1
    assert [line for line in after.splitlines() if line.startswith("# At")] == ["# At 0.", "# At 1.", "# At 2."]


def test_what_would_touch_a_neighbour_is_not_written() -> None:
    content = deployments(2).encode()
    first, second = load_file("a.yaml", content).documents
    of = source(content)
    form = compat.read(first, SETTINGS)
    assert isinstance(form, OwnForm)
    assert form.value is not None
    too_long = edit(of, first, form.value)._replace(last=second.line + 2)
    with pytest.raises(CannotConvert, match="cannot be told apart"):
        converted(of, [too_long])


def test_twice_as_many_documents_cost_twice_as_much_reading(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counting(text: str) -> CParser:
        read.append(len(text))
        return CParser(text)

    monkeypatch.setattr("render.load.CParser", counting)

    def characters(count: int) -> int:
        (repository / "many.yaml").write_text(deployments(count))
        read.clear()
        assert main(["convert", "--stdout", str(repository / "many.yaml")]) == 0
        return sum(read)

    few, more, most = characters(1), characters(41), characters(81)
    assert most - more <= 1.1 * (more - few)
