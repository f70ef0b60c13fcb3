"""What is found with what the last check left is what is found anew, whatever changed in between."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from render import cache as cache_module
from render import check as check_module
from render.cache import Cache
from render.check import Checked, check
from render.cli import main
from render.known import Known
from render.load import LoadedFile, load_file
from render.repository import CommitFiles, Repository, WorkingTree
from render.rules.explained import BASE
from tests.support.fleet import repository as fleet
from tests.support.fuzzing import repositories as anything
from tests.support.git import commit_files, git
from tests.support.histories import Texts, histories

CASES = Path(__file__).parents[1] / "cases"
SAMPLE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class InMemory:
    """A set of files."""

    contents: Mapping[str, bytes]

    @classmethod
    def of(cls, texts: Texts) -> "InMemory":
        return cls({path: text.encode() for path, text in texts.items()})

    def paths(self) -> Iterable[str]:
        return sorted(self.contents)

    def read(self, path: str) -> bytes:
        return self.contents[path]


def same(one: Checked, other: Checked) -> bool:
    return one[:3] == other[:3]


def follows(steps: Iterable[InMemory]) -> None:
    """Checks one after the other, each with what the one before left, and anew."""
    known = None
    for files in steps:
        found, anew = check(files, None, known), check(files)
        assert same(found, anew)
        assert same(check(files, None, anew.known), anew)
        known = found.known


# ---- whatever changes


@SAMPLE
@given(histories())
def test_a_history_is_checked_alike_with_and_without_what_is_known(commits: list[Texts]) -> None:
    follows(map(InMemory.of, commits))


@SAMPLE
@given(histories(), some.data())
def test_so_is_one_in_which_many_documents_share_a_file(commits: list[Texts], data: some.DataObject) -> None:
    home = {
        path: data.draw(some.sampled_from(("a/one.yaml", "b/two.yaml")), label=path)
        for path in sorted({path for commit in commits for path in commit} - {"fresco.yaml"})
    }
    follows(map(InMemory.of, (joined(commit, home) for commit in commits)))


def joined(texts: Texts, home: Mapping[str, str]) -> Texts:
    """The files, some of them made into one."""
    files: dict[str, list[str]] = {}
    for path, text in sorted(texts.items()):
        files.setdefault(home.get(path, path), []).append(text)
    return {path: "---\n".join(those) for path, those in files.items()}


@SAMPLE
@given(histories())
def test_so_is_one_of_several_clusters(commits: list[Texts]) -> None:
    """Whose folders lie beside one another, and in one another."""
    more = ", path: a}, {name: third, gateway: {name: public, namespace: gateway}}"
    several = [
        {**commit, "fresco.yaml": commit.get("fresco.yaml", "").replace("}]\n", f"{more}]\n", 1)} for commit in commits
    ]
    follows(map(InMemory.of, several))


@SAMPLE
@given(some.lists(anything(), min_size=2, max_size=4))
def test_so_is_anything(commits: list[Mapping[str, bytes]]) -> None:
    follows(map(InMemory, commits))


@pytest.mark.parametrize("case", sorted(path.parent.name for path in (CASES / "bad").glob("*/repo")))
def test_each_bad_case_is_found_after_any_of_its_files_came_last(case: str) -> None:
    tree = WorkingTree(CASES / "bad" / case / "repo")
    contents: dict[str, bytes] = {}
    for path in tree.paths():
        try:
            contents[path] = tree.read(path)
        except OSError:  # it is the case that a file cannot be read
            return
    without = [{path: one for path, one in contents.items() if path != last} for last in contents]
    follows(InMemory(files) for few in without for files in (few, contents))


# ---- each thing that the result depends on


SERVER, SCORER = BASE["gpu-a.yaml"], BASE["scorer.yaml"]
TWIN, LOST = SCORER.replace("name: scorer", "name: twin"), SCORER.replace("name: scorer", "name: lost")
LOST = LOST.replace("gpu-a", "gpu-z")
TWIN = TWIN.replace("gpu-a", "gpu-b")
TEXTS = {**BASE, "gpu-b.yaml": SERVER.replace("gpu-a", "gpu-b"), "twin.yaml": TWIN, "lost.yaml": LOST}
STEPS = "  rollout:\n    steps: [{weight: 50}]\n"
CHANGES: dict[str, Mapping[str, str | None]] = {
    "a value": {"scorer.yaml": SCORER.replace("9f", "xx")},
    "a value, further down": {"scorer.yaml": "# a line\n" + SCORER.replace("9f", "xx")},
    "the line of a finding": {"lost.yaml": "# a line\n" + LOST},
    "the column of a finding": {"lost.yaml": LOST.replace("server: ", "server:   ")},
    "the server": {"gpu-a.yaml": SERVER.replace("24.10", "2 4")},
    "the server that is named": {"gpu-a.yaml": SERVER.replace("gpu-a", "gpu-z")},
    "no server": {"gpu-a.yaml": None},
    "a server that is called more alike": {"other.yaml": SERVER.replace("gpu-a", "gpu-zz")},
    "a server that is called as a slice": {"other.yaml": SERVER.replace("gpu-a", "gpu-a-main")},
    "a server of the name in another namespace": {"other.yaml": SERVER.replace("gpu-a", "gpu-z").replace("fraud", "b")},
    "a second server of the name": {"other.yaml": SERVER},
    "a second Deployment of the name": {"other.yaml": SCORER},
    "a path": {"twin.yaml": TWIN + "  traffic: {path: /fraud/gpu-a/scorer}\n"},
    "a path with an ending": {"twin.yaml": TWIN + "  traffic: {path: /fraud/gpu-a/scorer/infer}\n"},
    "a served name": {"twin.yaml": TWIN.replace("gpu-b", "gpu-a").replace("model:\n", "model:\n    name: scorer\n")},
    "the size of the canary slice": {"gpu-a.yaml": SERVER.replace("2}", "1}"), "scorer.yaml": SCORER + STEPS},
    "a grant": {"fresco.yaml": BASE["fresco.yaml"].replace("s3://models/", "s3://other/")},
    "the lock file": {"fresco.lock": "apiVersion: serving.fresco.dev/v1alpha1\nkind: Look\n"},
    "a comment": {"lost.yaml": LOST.replace("gpu-z", "gpu-z  # fresco: ignore FR021")},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_it_is_seen(change: Mapping[str, str | None]) -> None:
    changed = {path: text for path, text in {**TEXTS, **change}.items() if text is not None}
    before = check(InMemory.of(TEXTS))
    after = check(InMemory.of(changed), None, before.known)
    assert after.findings != before.findings
    assert same(after, check(InMemory.of(changed)))
    assert same(check(InMemory.of(TEXTS), None, after.known), before)


def test_the_column_of_a_document_is_seen() -> None:
    before, after = '{"apiVersion": "serving.fresco.dev/v1alpha1", "kind": "Pod"}\n', " "
    known = check(InMemory.of({**BASE, "pod.yaml": before})).known
    moved = InMemory.of({**BASE, "pod.yaml": after + before})
    assert [one.column for one in check(moved, None, known).findings] == [56]


def test_a_server_that_one_of_two_clusters_lacks_is_looked_for_in_that_one() -> None:
    cluster = "    - name: prod\n"
    other = f"    - {{name: edge, path: a, gateway: {{name: public, namespace: gateway}}}}\n{cluster}"
    texts = {"gpu-z.yaml": SERVER.replace("gpu-a", "gpu-z"), "a/lost.yaml": LOST}
    texts["fresco.yaml"] = BASE["fresco.yaml"].replace(cluster, other)
    before = check(InMemory.of(texts))
    after = check(InMemory.of({**texts, "a/alike.yaml": SERVER.replace("gpu-a", "gpu-y")}), None, before.known)
    assert [[one.hint for one in found.findings] for found in (before, after)] == [[None], ["did you mean gpu-y?"]]


@pytest.mark.parametrize("field", ["revision", "revison"])
def test_a_base_model_is_seen_of_whatever_form(field: str) -> None:
    """Its adapters ask for one, and it is tied to them by its text alone where it breaks the schema."""
    adapter = SCORER.replace("model:\n", "model:\n    type: adapter\n")
    base = SCORER.replace("name: scorer", "name: chat").replace("model:\n", "model:\n    type: base\n")
    texts = {**BASE, "gpu-a.yaml": SERVER.replace("triton", "vllm"), "scorer.yaml": adapter}
    before = check(InMemory.of(texts))
    after = check(InMemory.of({**texts, "chat.yaml": base.replace("revision", field)}), None, before.known)
    lacking = [[one.file for one in found.findings if one.rule == "FR029"] for found in (before, after)]
    assert lacking == [["scorer.yaml"], []]


def test_what_is_committed_is_looked_at_each_time(tmp_path: Path) -> None:
    git("init", "--quiet", cwd=tmp_path)
    commit_files(tmp_path, dict(BASE))
    repository, tree = Repository.open(tmp_path), WorkingTree(tmp_path)
    (tmp_path / "scorer.yaml").write_text(BASE["scorer.yaml"].replace("9f", "7c"))

    def found(known: Known | None) -> Checked:
        head = repository.resolve("HEAD")
        assert head is not None
        return check(tree, CommitFiles(repository, head), known)

    first = found(None)
    assert [one.rule for one in first.findings] == ["FR063"]
    assert same(found(first.known), first)
    commit_files(tmp_path, {"scorer.yaml": BASE["scorer.yaml"].replace("9f", "7c")})
    assert found(first.known).findings == ()


# ---- what it costs


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the files that are read as YAML from now on."""
    paths: list[str] = []

    def loads(path: str, content: bytes) -> LoadedFile:
        paths.append(path)
        return load_file(path, content)

    monkeypatch.setattr(check_module, "load_file", loads)
    return paths


def test_only_the_part_that_changed_is_read_as_yaml(read: list[str]) -> None:
    contents = fleet(servers=20, deployments=100)
    known = check(InMemory(contents)).known
    (changed, *_) = (path for path in contents if "/deployments/" in path)
    read.clear()
    edited = contents | {changed: b"# a line\n" + contents[changed].replace(b"revision: ", b"revision:  ")}
    assert check(InMemory(contents), None, known).findings == ()
    assert read == ["fresco.yaml"]
    assert check(InMemory(edited), None, known).findings == ()
    server = next(one.server for one in known.files[changed].documents)
    part = {path for path, one in known.files.items() if any(server in (it.key, it.server) for it in one.documents)}
    assert set(read) == part | {"fresco.yaml"}
    read.clear()
    check(InMemory(contents | {changed: b"# a line\n" + contents[changed]}), None, known)
    assert set(read) == {changed, "fresco.yaml"}  # its text is the same, only its line is not


def test_neither_is_one_with_findings_that_did_not_change(read: list[str]) -> None:
    found = check(InMemory.of(TEXTS))
    assert len(found.findings) == 1
    read.clear()
    assert same(check(InMemory.of(TEXTS), None, found.known), found)
    assert read == ["fresco.yaml"]


# ---- where it is kept


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One with a finding, in git."""
    git("init", "--quiet", cwd=tmp_path)
    commit_files(tmp_path, TEXTS)
    return tmp_path


Lines = Callable[..., list[str]]


@pytest.fixture
def validate(repository: Path, capsys: pytest.CaptureFixture[str]) -> Lines:
    """Runs the command: the lines of its output."""

    def run(*arguments: str) -> list[str]:
        main(["validate", "-C", str(repository), *arguments])
        captured = capsys.readouterr()
        return [*captured.out.splitlines(), *captured.err.splitlines()]

    return run


def kept(repository: Path) -> list[Path]:
    return sorted((repository / ".git" / "fresco").glob("*"))


def test_it_is_kept_in_the_git_folder(repository: Path, validate: Lines) -> None:
    first = validate()
    (file,) = kept(repository)
    time = file.stat().st_mtime_ns
    assert validate() == first != []
    assert file.stat().st_mtime_ns == time  # nothing was new
    (repository / "gpu-a.yaml").unlink()
    assert len(validate()) > len(first)
    assert file.stat().st_mtime_ns > time


def test_without_the_cache_nothing_is_kept(repository: Path, validate: Lines) -> None:
    assert validate("--no-cache") == validate("--no-cache") != []
    assert kept(repository) == []


def test_outside_of_git_nothing_is_kept(repository: Path, validate: Lines) -> None:
    first = validate("--no-cache")
    shutil.rmtree(repository / ".git")
    assert validate() == first
    assert sorted(path.name for path in repository.iterdir()) == sorted(TEXTS)


@pytest.mark.parametrize("how", ["empty", "cut", "other", "not text", "forged"])
def test_a_damaged_file_is_left_aside(how: str, repository: Path, validate: Lines) -> None:
    first = validate()
    (file,) = kept(repository)
    whole = file.read_bytes()
    file.write_bytes(
        {
            "empty": b"",
            "cut": whole[:-100],
            "other": b"\x93\x01\x02\x03",
            "not text": whole.replace(b"scorer", b"\xff\xfe\xff\xfe\xff\xfe"),
            "forged": whole.replace(b"ground", b"gr0und"),
        }[how]
    )
    assert validate() == first
    assert Cache(file).load() == Cache(file).load() != Known()


def test_another_version_of_fresco_finds_everything_anew(
    repository: Path, validate: Lines, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = validate()
    (file,) = kept(repository)
    assert Cache(file).load() != Known()
    source = tmp_path_factory.mktemp("other") / "render"
    source.mkdir()
    rule = source / "rule.py"
    rule.write_text("one")
    os.utime(rule, (0, 0))
    monkeypatch.setattr(cache_module, "__file__", str(source / "cache.py"))
    before = Cache(file)
    assert before.load() == Known()
    assert validate() == first
    assert Cache(file).load() != Known()
    rule.write_text("two")
    os.utime(rule, (0, 0))
    assert Cache(file).load() == Known()


def test_the_same_version_elsewhere_finds_what_was_kept(
    repository: Path, validate: Lines, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    validate()
    (file,) = kept(repository)
    installed = tmp_path_factory.mktemp("environment") / "render"
    shutil.copytree(Path(cache_module.__file__).parent, installed, copy_function=shutil.copyfile)
    monkeypatch.setattr(cache_module, "__file__", str(installed / "cache.py"))
    assert Cache(file).load() != Known()


def test_a_place_that_takes_nothing_is_said_and_does_no_harm(repository: Path, validate: Lines) -> None:
    first = validate("--no-cache")
    (repository / ".git" / "fresco").write_text("a file where a folder should be")
    *found, last = validate()
    assert found == first
    assert last.startswith("fresco: the next run will be slow again")
