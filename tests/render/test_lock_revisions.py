"""`fresco lock` keeps the digests of Michelangelo's revisions in `fresco.lock`, and no others."""

import io
from pathlib import Path

import pytest

from render.cli import main
from render.load import load_file
from tests.support.git import commit_files, git

OURS = "apiVersion: serving.fresco.dev/v1alpha1\n"
THEIRS = "apiVersion: michelangelo.api/v2\n"
DIGEST = "sha256:" + "9f" * 32
FRESCO = (
    OURS
    + "kind: Repository\nspec:\n  clusters: [{name: prod, gateway: {name: public, namespace: gateway}}]\n"
    + "  namespaces: {fraud: {storage: ['s3://m/']}}\n"
)
MODELS = Path(__file__).parents[2] / "examples" / "models" / "scorer"
GONE, STAYS = "s3://gone/1", f"{MODELS.as_uri()}/kept"


def asking(revision: str, kind: str = "Deployment") -> str:
    """A Deployment of theirs."""
    spec = f"{{desiredRevision: {{name: '{revision}'}}, inferenceServer: {{name: a}}}}"
    return f"{THEIRS}kind: {kind}\nmetadata: {{name: scorer, namespace: fraud}}\nspec: {spec}\n"


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A repository in which `fraud/a.yaml` has no digest yet, `other/kept.yaml` has one, and nothing asks for GONE."""
    artifacts = f"  michelangelo: {{artifacts: '{MODELS.as_uri()}/{{revision}}'}}\n"
    files = {
        "fresco.yaml": FRESCO + artifacts,
        "fresco.lock": f"{OURS}kind: Lock # by hand\ndigests:\n  {GONE}: {DIGEST}\n  '{STAYS}': {DIGEST}\n",
        "fraud/a.yaml": asking("1"),
        "other/kept.yaml": asking("kept"),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digests(repository: Path) -> dict[str, str]:
    (lock,) = load_file("fresco.lock", (repository / "fresco.lock").read_bytes()).documents
    found: dict[str, str] = lock.value.get("digests", {})
    return found


def test_a_filter_says_of_each_revision_that_it_has_no_place_for_its_digest(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = asking("0").replace("spec: {", "spec: {deletionSpec: {deleted: true}, ")
    text = f"{gone}---\n{asking('1')}---\n{asking('2', 'InferenceServer')}".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert main(["lock", "-"]) == 1
    output = capfdbinary.readouterr()
    assert output.out == text
    why = "the digest of fraud/scorer belongs into fresco.lock: name the file instead of -"
    assert output.err.decode() == f"fresco: <stdin>:6: {why}\n"


def test_lock_keeps_digests_beside_the_addresses(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (locked / "fraud" / "b.yaml").write_text(asking("absent"))
    assert main(["lock", str(locked / "fraud")]) == 1
    output = capsys.readouterr()
    first, dropped = output.out.splitlines()
    assert dropped == f"{locked}/fresco.lock: dropped {GONE}, which nothing asks for"
    assert "b.yaml:1: " in output.err
    assert digests(locked) == {f"{MODELS.as_uri()}/1": first.split()[-1], STAYS: DIGEST}
    assert list(digests(locked)) == sorted(digests(locked))
    assert (locked / "fraud" / "a.yaml").read_text() == asking("1")
    assert main(["lock", str(locked / "fraud" / "a.yaml")]) == 0
    assert capsys.readouterr().out == ""


def test_a_run_for_files_that_have_their_digests_leaves_the_lock_file_alone(locked: Path) -> None:
    before = (locked / "fresco.lock").read_bytes()
    assert main(["lock", str(locked / "other")]) == 0
    assert (locked / "fresco.lock").read_bytes() == before


def test_a_run_for_everything_drops_what_nothing_asks_for(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (locked / "fraud" / "a.yaml").unlink()
    assert main(["lock", "-C", str(locked)]) == 0
    assert digests(locked) == {STAYS: DIGEST}
    (locked / "other" / "kept.yaml").unlink()
    assert main(["lock", str(locked), "--quiet"]) == 0
    assert digests(locked) == {}
    assert capsys.readouterr().out.count("dropped") == 1


def test_where_nothing_is_to_be_dropped_every_byte_stays(locked: Path) -> None:
    (locked / "fraud" / "a.yaml").write_text(asking("kept"))
    text = (locked / "fresco.lock").read_text().replace(f"  {GONE}: {DIGEST}\n", "")
    (locked / "fresco.lock").write_text(text)
    assert main(["lock", str(locked)]) == 0
    assert (locked / "fresco.lock").read_text() == text


@pytest.mark.parametrize(
    "unclear",
    [
        asking("1") + "  : [\n",
        asking("1", kind="Deploymint"),
        asking("1").replace("desiredRevision", "desiredRevisions"),
        "[{apiVersion: michelangelo.api/v2, kind: Deployment}]\n",
    ],
    ids=["torn", "another kind", "without a revision", "a list"],
)
def test_nothing_is_dropped_while_it_is_not_certain_what_is_asked_for(locked: Path, unclear: str) -> None:
    (locked / "other" / "unclear.yaml").write_text(unclear)
    main(["lock", str(locked / "fraud")])
    assert digests(locked).keys() == {GONE, STAYS, f"{MODELS.as_uri()}/1"}
    main(["lock", str(locked)])
    assert GONE in digests(locked)


def test_a_deployment_that_says_that_it_is_deleted_asks_for_nothing(locked: Path) -> None:
    kept = locked / "other" / "kept.yaml"
    kept.write_text(kept.read_text().replace("spec: {", "spec: {deletionSpec: {deleted: true}, "))
    assert main(["lock", str(locked)]) == 0
    assert digests(locked).keys() == {f"{MODELS.as_uri()}/1"}


def test_what_is_ignored_by_git_is_locked_when_it_is_named(locked: Path) -> None:
    git("init", "--quiet", cwd=locked)
    (locked / ".gitignore").write_text("fraud\n")
    commit_files(locked, {})
    assert main(["lock", str(locked / "fraud" / "a.yaml")]) == 0
    assert digests(locked).keys() == {STAYS, f"{MODELS.as_uri()}/1"}


def test_check_says_nothing_of_what_nothing_asks_for(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (locked / "fraud" / "a.yaml").unlink()
    (locked / "other" / "kept.yaml").unlink()
    before = (locked / "fresco.lock").read_bytes()
    assert main(["lock", "--check", str(locked)]) == 0
    assert capsys.readouterr().out == ""
    assert (locked / "fresco.lock").read_bytes() == before


def test_a_new_lock_file_has_the_mode_of_new_files(locked: Path) -> None:
    (locked / "fresco.lock").unlink()
    assert main(["lock", str(locked / "fraud")]) == 0
    (locked / "new").touch()
    assert (locked / "fresco.lock").stat().st_mode == (locked / "new").stat().st_mode


def test_a_lock_file_that_git_does_not_know_is_a_failure_until_it_is_added(
    locked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "--quiet", cwd=locked)
    (locked / "fresco.lock").unlink()
    commit_files(locked, {})
    monkeypatch.chdir(locked)
    said = "fresco: fresco.lock is not in git, and a commit would leave it out: git add fresco.lock\n"
    for _ in range(2):
        assert main(["lock", "fraud"]) == 1
        assert capsys.readouterr().err == said
    git("add", "fresco.lock", cwd=locked)
    assert main(["lock", "fraud"]) == 0
    git("read-tree", "--index-output=.git/of-some-files", "HEAD", cwd=locked)
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/of-some-files")
    assert main(["lock", "fraud"]) == 1


def test_lock_says_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(asking("1"))
    assert main(["lock", str(path)]) == 1
    assert "fresco.yaml is missing or broken" in capsys.readouterr().err
    (tmp_path / "fresco.yaml").write_text(FRESCO)
    (tmp_path / "fresco.lock").write_text(OURS + "kind: Lock\ndigests: [a]\n")
    assert main(["lock", str(path)]) == 1
    assert "fresco.lock is missing or broken" in capsys.readouterr().err
