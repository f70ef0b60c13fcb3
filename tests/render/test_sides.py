"""A change is read from both of its sides, and what did not change once."""

from pathlib import Path

from render.repository import CommitFiles, Repository, WorkingTree
from render.rules.explained import BASE
from render.sides import load_both
from tests.support.git import commit_files, git


def test_a_file_that_is_the_same_on_both_sides_is_one_object(tmp_path: Path) -> None:
    git("init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    commit = commit_files(tmp_path, {**BASE, "gone.yaml": BASE["gpu-a.yaml"]})
    (tmp_path / "scorer.yaml").write_text(BASE["scorer.yaml"].replace("9f", "7c"))
    (tmp_path / "gone.yaml").unlink()
    (tmp_path / "new.yaml").write_text(BASE["gpu-a.yaml"].replace("gpu-a", "gpu-b"))
    (tmp_path / "broken.yaml").write_text("apiVersion: serving.fresco.dev/v1alpha1\n\tno")

    before, after = load_both(CommitFiles(Repository.open(tmp_path), commit), WorkingTree(tmp_path))

    assert sorted(before.files) == ["fresco.yaml", "gone.yaml", "gpu-a.yaml", "scorer.yaml"]
    assert sorted(after.files) == ["broken.yaml", "fresco.yaml", "gpu-a.yaml", "new.yaml", "scorer.yaml"]
    same = {path for path, file in before.files.items() if after.files.get(path) is file}
    assert same == {"fresco.yaml", "gpu-a.yaml"}
    assert before.files["scorer.yaml"].documents[0].value["spec"]["model"]["digest"].endswith("9f")
