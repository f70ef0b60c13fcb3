"""`fresco lock` changes the bytes of the digest and no others."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render.cli import main
from render.load import load_file
from render.lock import CannotLock, splice

DIGEST = "sha256:" + "9f" * 32
HEAD = "apiVersion: serving.fresco.dev/v1alpha1\nkind: Deployment\nmetadata: {name: scorer, namespace: fraud}\n"
BLOCK = HEAD + 'spec:\n  server: gpu-a\n  model:\n    revision: "1"\n    uri: s3://a/b  # here\n    name: x\n'
MODELS = Path(__file__).parents[2] / "examples" / "models" / "scorer"


def spliced(text: str) -> str:
    content = text.encode()
    return splice(content, load_file("a.yaml", content).documents[0], DIGEST).decode()


def test_a_line_goes_behind_the_address() -> None:
    assert spliced(BLOCK) == BLOCK.replace("# here\n", f"# here\n    digest: {DIGEST}\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("model: {uri: s3://a/b, revision: x}", f"model: {{uri: s3://a/b, digest: {DIGEST}, revision: x}}"),
        ("model: {revision: x, uri: 's3://a/b'}", f"model: {{revision: x, uri: 's3://a/b', digest: {DIGEST}}}"),
        ("model:\n    digest:\n    uri: s3://a/b", f"model:\n    digest: {DIGEST}\n    uri: s3://a/b"),
        ("model:\n    digest: ~ # none\n    uri: s3://a/b", f"model:\n    digest: {DIGEST} # none\n    uri: s3://a/b"),
        ("model:\r\n    uri: s3://a/b\r\n", f"model:\r\n    uri: s3://a/b\r\n    digest: {DIGEST}\r\n"),
        ("model:\n    uri: s3://a/b", f"model:\n    uri: s3://a/b\n    digest: {DIGEST}"),
        ("model:\n    # é€😀\n    uri: s3://a/é\n", f"model:\n    # é€😀\n    uri: s3://a/é\n    digest: {DIGEST}\n"),
    ],
)
def test_every_style_keeps_its_style(before: str, after: str) -> None:
    head = HEAD + "spec:\n  "
    assert spliced(head + before) == head + after
    assert spliced("\ufeff" + head + before) == "\ufeff" + head + after
    assert spliced(f"---\na: b\n---\n{head}{before}") == f"---\na: b\n---\n{head}{after}"


@pytest.mark.parametrize(
    "spec",
    ["spec:\n  model:\n    uri: >-\n      s3://a/b\n", "a: &m {uri: s3://a/b}\nspec:\n  model: *m\n"],
)
def test_what_cannot_be_spliced_is_said(spec: str) -> None:
    with pytest.raises(CannotLock, match="by hand"):
        spliced(HEAD + spec)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=20))
def test_comments_of_any_kind_stay(comment: str) -> None:
    text = BLOCK.replace("here", comment)
    assert spliced(text) == text.replace(f"# {comment}\n", f"# {comment}\n    digest: {DIGEST}\n")


def test_the_program_locks_real_artifacts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    text = BLOCK.replace("s3://a/b", (MODELS / "1").as_uri())
    good.write_text(text)
    bad.write_text(BLOCK.replace("s3://a/b", (tmp_path / "absent").as_uri()))
    (tmp_path / "other.yaml").write_text("a: [")
    assert main(["lock", str(tmp_path)]) == 1
    output = capsys.readouterr()
    example = (MODELS.parents[1] / "repo" / "fraud" / "deployments" / "scorer.yaml").read_text()
    digest = output.out.split()[-1]
    assert digest in example
    assert good.read_text() == text.replace("# here\n", f"# here\n    digest: {digest}\n")
    assert "bad.yaml:1" in output.err
    assert "Traceback" not in output.err
    assert main(["lock", str(good)]) == 0
    assert capsys.readouterr().out == ""
