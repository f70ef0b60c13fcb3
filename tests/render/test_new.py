"""`fresco init` and `fresco new` write what a person can go on with: valid, commented, and over nothing."""

import re
from pathlib import Path

import pytest

from render import templates
from render.cli import main
from render.load import load_file
from render.resource import Resource, identify
from tests.support.git import git

TEXTS = {
    "repository": templates.repository(),
    "server": templates.server(name="a", namespace="b", version="24.10"),
    "deployment": templates.deployment(name="a", namespace="b", server="c", revision="1", uri="s3://d/e"),
}
PROD = "    - {name: prod, path: prod, gateway: {name: public, namespace: gateway}}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    assert main(["init", "--quiet", str(tmp_path / "repo")]) == 0
    return tmp_path / "repo"


def findings(text: str) -> list[str]:
    (document,) = load_file("a.yaml", text.encode()).documents
    resource = identify(document)
    assert isinstance(resource, Resource)
    return [one.message for one in resource.findings]


# ---- what is written


@pytest.mark.parametrize("name", TEXTS)
def test_a_template_is_valid(name: str) -> None:
    assert findings(TEXTS[name]) == []


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_template_has_as_comments_is_valid_too(name: str) -> None:
    """A person takes away the marks."""
    text = re.sub(r"^( +)# ( *(?:- )?[a-zA-Z]+:)", r"\1\2", TEXTS[name], flags=re.MULTILINE)
    assert text != TEXTS[name]
    assert findings(text) == []


@pytest.mark.parametrize("name", ["123", "null", "true", "no", "1e3", "0"])
def test_a_name_that_looks_like_something_else_is_quoted(name: str) -> None:
    text = templates.deployment(name=name, namespace=name, server=name, revision=name, uri="s3://a/b #c")
    (document,) = load_file("a.yaml", text.encode()).documents
    assert document.value["metadata"] == {"name": name, "namespace": name}
    assert document.value["spec"]["server"] == name
    assert document.value["spec"]["model"] == {"revision": name, "uri": "s3://a/b #c"}


# ---- fresco init


def test_a_new_repository_is_valid(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(repository)]) == 0
    assert capsys.readouterr().out == ""
    assert sorted(path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file()) == [
        ".pre-commit-config.yaml",
        "example/deployments/scorer.yaml",
        "example/servers/cpu-a.yaml",
        "fresco.yaml",
    ]


def test_the_example_is_a_deployment_that_lacks_its_digest_alone(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / "example" / "deployments" / "scorer.yaml"
    path.write_text(re.sub("^# ", "", path.read_text(), flags=re.MULTILINE))
    assert main(["validate", str(repository)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert "FR040" in line


def test_init_writes_over_nothing_and_names_what_is_there(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "fresco.yaml").write_text("# mine\n")
    (repository / ".pre-commit-config.yaml").unlink()
    assert main(["init", str(repository)]) == 2
    assert "has fresco.yaml, example/servers/cpu-a.yaml, example/deployments/scorer.yaml" in capsys.readouterr().err
    assert (repository / "fresco.yaml").read_text() == "# mine\n"
    assert not (repository / ".pre-commit-config.yaml").exists()


def test_a_repository_that_has_hooks_already_keeps_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hooks = tmp_path / ".pre-commit-config.yaml"
    hooks.write_text("repos: []\n")
    assert main(["init", str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert hooks.read_text() == "repos: []\n"
    assert (tmp_path / "fresco.yaml").is_file()
    assert output.err == f"fresco: {hooks} is there and stays: add hooks that run fresco lock and fresco validate\n"
    assert str(hooks) not in output.out


def test_init_says_what_it_wrote_and_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(tmp_path / "fresco.yaml")
    assert "next:" in lines


@pytest.mark.parametrize(
    ("folder", "is_git", "first"),
    [("my models", False, ["cd 'my models'", "git init"]), ("sub", True, ["cd sub"]), (".", True, [])],
)
def test_what_comes_next_can_be_typed_where_the_person_is(
    folder: str,
    is_git: bool,
    first: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if is_git:
        git("init", "--quiet", cwd=tmp_path)
    assert main(["init", folder]) == 0
    steps = capsys.readouterr().out.partition("next:\n")[2].splitlines()
    assert [one.partition("  #")[0].strip() for one in steps] == [
        *first,
        "pre-commit install",
        "fresco new deployment NAME --namespace example --server cpu-a",
        "fresco validate",
    ]


# ---- fresco new


@pytest.mark.parametrize("version", [[], ["--version", "25.01"]])
def test_a_new_server_is_valid(repository: Path, version: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "server", "gpu-a", "--namespace", "example", "-C", str(repository), *version]) == 0
    assert capsys.readouterr().out == f"{repository}/example/servers/gpu-a.yaml\n"
    assert main(["validate", str(repository)]) == 0
    assert capsys.readouterr().out == ""


def test_a_new_deployment_lacks_its_digest_alone_and_says_so(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["new", "deployment", "ranker", "--namespace", "example", "--server", "cpu-a", "-C", str(repository)]
    assert main(arguments) == 0
    output = capsys.readouterr()
    path = repository / "example" / "deployments" / "ranker.yaml"
    assert output.out == f"{path}\n"
    assert f"run fresco lock {path}" in output.err
    assert main(["validate", str(repository)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{path}:")
    assert "FR040" in line


def test_a_namespace_that_may_use_nothing_is_told_so(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "server", "gpu-a", "--namespace", "fraud", "-C", str(repository)]) == 0
    assert "fresco.yaml has no namespace fraud" in capsys.readouterr().err


def test_a_new_file_begins_with_its_schema_where_the_repository_keeps_it(repository: Path) -> None:
    assert main(["schema", "--output", str(repository / ".fresco" / "schemas")]) == 0
    assert main(["new", "server", "gpu-a", "--namespace", "example", "--quiet", "-C", str(repository)]) == 0
    first = (repository / "example" / "servers" / "gpu-a.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../../.fresco/schemas/inferenceserver.schema.json"
    assert main(["validate", str(repository)]) == 0


def test_in_a_folder_of_the_repository_files_go_where_they_belong(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository / "example")
    assert main(["new", "server", "gpu-a", "--namespace", "example"]) == 0
    assert capsys.readouterr().out == "../example/servers/gpu-a.yaml\n"
    assert (repository / "example" / "servers" / "gpu-a.yaml").is_file()


def test_a_dash_prints_and_needs_no_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "server", "a", "--namespace", "b", "--output", "-"]) == 0
    output = capsys.readouterr()
    assert output.out == TEXTS["server"]
    assert output.err == ""
    assert list(tmp_path.iterdir()) == []


def test_clusters_with_folders_of_their_own_have_to_be_told_apart(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = repository / "fresco.yaml"
    settings.write_text(settings.read_text().replace("  clusters:\n", f"  clusters:\n{PROD}"))
    arguments = ["new", "server", "a", "--namespace", "example", "-C", str(repository)]
    assert main(arguments) == 2
    assert "say --cluster prod or --cluster local" in capsys.readouterr().err
    assert main([*arguments, "--cluster", "prod"]) == 0
    assert capsys.readouterr().out == f"{repository}/prod/example/servers/a.yaml\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["server", "cpu-a", "--namespace", "example"], "is there already: nothing was written"),
        (["server", "Gpu", "--namespace", "example"], "lower-case letters"),
        (["server", "a", "--namespace", "../.."], "lower-case letters"),
        (["server", "1a", "--namespace", "example"], "expected a letter first"),
        (["server", "a", "--namespace", "example", "--version", "a b"], "spec.backend.version"),
        (["server", "a", "--namespace", "example", "--cluster", "moon"], "no cluster moon"),
        (["deployment", "a", "--namespace", "b", "--server", "c", "--uri", "ftp://x"], "spec.model.uri: expected text"),
    ],
)
def test_what_cannot_be_written_is_wrong_use(
    repository: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(repository.rglob("*"))
    assert main(["new", *arguments, "-C", str(repository)]) == 2
    assert message in capsys.readouterr().err
    assert sorted(repository.rglob("*")) == before


def test_without_a_repository_it_is_said_how_to_begin_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "server", "a", "--namespace", "b", "-C", str(tmp_path)]) == 2
    assert "run fresco init" in capsys.readouterr().err
    (tmp_path / "fresco.yaml").write_text("apiVersion: serving.fresco.dev/v1alpha1\nkind: Repository\n")
    assert main(["new", "server", "a", "--namespace", "b", "-C", str(tmp_path)]) == 2
    assert "spec: this field is required: run fresco validate" in capsys.readouterr().err
