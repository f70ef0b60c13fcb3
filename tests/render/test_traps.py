"""YAML's traps, and those of files: each has a finding of its own or does no harm, and none is a mistake of ours."""

import io
import os
import re
import sys
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

import pytest

from render.cli import main
from render.document import concerns
from render.load import load
from render.normal import WantedServer, accept
from render.repository import CommitFiles, Repository, WorkingTree
from render.rules.explained import BASE
from render.settled import settled
from tests.support.git import commit_files, git

HEAD = "apiVersion: serving.fresco.dev/v1alpha1\n"
SERVER = HEAD + "kind: InferenceServer\nmetadata: {name: trap, namespace: fraud}\n"
SPEC = "spec:\n  backend: {type: triton, version: '24.10'}\n"
WHOLE = SERVER + SPEC


class Trap(NamedTuple):
    """A file, and the rule and the line of its only finding; no rule: it does no harm."""

    content: str | bytes
    rule: str | None = None
    line: int = 0


def replicas(text: str) -> str:
    return f"{WHOLE}  replicas: {text}\n"


def version(text: str) -> str:
    return f"{SERVER}spec:\n  backend: {{type: triton, version: {text}}}\n"


BOMB = "".join(f"  x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 9))

OTHERS = "apiVersion: apps/v1\nkind: Deployment\n"
LIST = "apiVersion: v1\nkind: List\nitems:\n- " + WHOLE.replace("\n", "\n  ")
GROUP = "serving.fresco.dev/v1alpha1"
QUOTED = WHOLE.replace(GROUP, "'serving.fresko.dev/v1alpha1'")

TRAPS = {
    "a key twice": Trap(f"{WHOLE}  replicas: 2\n  replicas: 3\n", "FR003", 7),
    "a key twice, once in quotes": Trap(f"{WHOLE}  replicas: 2\n  'replicas': 3\n", "FR003", 7),
    "a group misspelt": Trap(WHOLE.replace("fresco.dev", "fresco.de"), "FR001", 1),
    "a group misspelt, in quotes and later": Trap(f"{OTHERS}---\n# x\n{QUOTED}", "FR001", 5),
    "a group without its version": Trap(WHOLE.replace("/v1alpha1", ""), "FR001", 1),
    "Michelangelo's group misspelt": Trap(
        WHOLE.replace("serving.fresco.dev/v1alpha1", "michelangelo.apis/v2"), "FR001", 1
    ),
    "a misspelt resource beside a right one": Trap(f"{WHOLE}---\n{WHOLE.replace('serving', 'severing')}", "FR001", 7),
    "a list, as kubectl prints one": Trap(LIST, "FR001", 1),
    "a Deployment of Kubernetes": Trap(OTHERS),
    "a resource of KServe": Trap("apiVersion: serving.kserve.io/v1alpha1\nkind: InferenceGraph\n"),
    "a misspelt group for a kind of others": Trap("apiVersion: serving.fresco.de/v1\nkind: Service\n"),
    "a tab as indentation": Trap(f"{SERVER}spec:\n\tbackend: {{type: triton}}\n", "FR001", 5),
    "a tab after a value": Trap(f"{WHOLE}  replicas: 2\t# two\n"),
    "no for false": Trap(f"{WHOLE}  update: no\n", "FR013", 6),
    "on for a number": Trap(replicas("on"), "FR012", 6),
    "1e3 for a number": Trap(replicas("1e3"), "FR012", 6),
    "an octal number": Trap(replicas("014"), "FR012", 6),
    "an octal number of YAML 1.2": Trap(replicas("0o14"), "FR012", 6),
    "a hexadecimal number": Trap(replicas("0x1F"), "FR012", 6),
    "a sexagesimal number": Trap(replicas("1:30"), "FR012", 6),
    "underscores in a number": Trap(replicas("1_000"), "FR012", 6),
    "a number without end": Trap(replicas("9" * 5000), "FR012", 6),
    "infinity": Trap(replicas(".inf"), "FR012", 6),
    "a date as a version": Trap(version("2026-11-20")),
    "no as a version": Trap(version("no")),
    "1:30 as a version": Trap(version("'1:30'"), "FR013", 5),
    "a fraction as a version": Trap(version("24.10"), "FR012", 5),
    "an anchor and its alias": Trap(f"{WHOLE}  resources: {{cpu: &one '1', memory: *one}}\n"),
    "an alias without anchor": Trap(version("*v"), "FR001", 5),
    "an alias of what it is in": Trap(f"{SERVER}spec: &spec\n  backend: *spec\n", "FR001", 5),
    "a merge key": Trap(f"{WHOLE}  <<: {{replicas: 2}}\n", "FR002", 6),
    "a merge key in quotes": Trap(f"{WHOLE}  '<<': {{replicas: 2}}\n", "FR010", 6),
    "an alias bomb": Trap(f"{SERVER}spec:\n  x0: &x0 [x, x, x, x, x, x, x, x, x]\n{BOMB}", "FR002", 8),
    "ten megabytes": Trap(WHOLE + "# padding\n" * (1 << 20), "FR001", 1),
    "ten megabytes that are not Fresco's": Trap("# padding\n" * (1 << 20)),
    "a value of three megabytes": Trap(f"{SERVER}x: {'y' * (3 << 20)}\n{SPEC}", "FR010", 4),
    "200 levels of flow": Trap(f"{WHOLE}  x: {'[' * 200}{']' * 200}\n", "FR002", 6),
    "200 levels of blocks": Trap(WHOLE + "".join(f"{'  ' * i}x:\n" for i in range(1, 200)), "FR002", 69),
    "100,000 brackets": Trap(f"{WHOLE}  x: {'[' * 100_000}\n", "FR002", 6),
    "a mark for the byte order": Trap(b"\xef\xbb\xbf" + WHOLE.encode()),
    "Windows' line ends": Trap(WHOLE.replace("\n", "\r\n")),
    "old line ends": Trap(WHOLE.replace("\n", "\r")),
    "UTF-16": Trap(WHOLE.encode("utf-16"), "FR001", 1),
    "Latin-1": Trap(f"{WHOLE}# naïve\n".encode("latin-1"), "FR001", 6),
    "half a surrogate": Trap(WHOLE.encode() + b"# \xed\xa0\x80\n", "FR001", 6),
    "NUL": Trap(f"{WHOLE}  replicas: \0\n", "FR001", 6),
    "a control character": Trap(f"{WHOLE}# \x07\n", "FR001", 6),
    "an escaped NUL": Trap(version('"24\\0"'), "FR013", 5),
    "an escaped half of a surrogate": Trap(version('"\\ud800"'), "FR001", 5),
    "a line separator": Trap(f"{WHOLE}# \u2028  replicas: 2\n"),
    "several documents": Trap(f"{WHOLE}---\n{WHOLE.replace('trap', 'other')}"),
    "empty documents": Trap(f"---\n---\n{WHOLE}---\n...\n---\n"),
    "a document of another program": Trap(f"apiVersion: v1\nkind: ConfigMap\n---\n{WHOLE}"),
    "nothing but the claim": Trap(HEAD, "FR004", 1),
    "the claim in a comment": Trap(f"# {HEAD}"),
    "a list of resources": Trap("- " + WHOLE.replace("\n", "\n  "), "FR001", 1),
    "a number as key": Trap(f"{WHOLE}  1: x\n", "FR002", 6),
    "true as key": Trap(f"{WHOLE}  true: x\n", "FR002", 6),
    "nothing as key": Trap(f"{WHOLE}  ? \n  : x\n", "FR002", 6),
    "a list as key": Trap(f"{WHOLE}  ? [a, b]\n  : x\n", "FR002", 6),
    "a mapping as key": Trap(f"{WHOLE}  {{a: b}}: x\n", "FR002", 6),
    "a tag of one's own": Trap(version("!env VERSION"), "FR002", 5),
    "a tag of Python": Trap(f"{WHOLE}  x: !!python/object/apply:os.system [id]\n", "FR002", 6),
    "a tag on a key": Trap(f"{WHOLE}  !x replicas: 2\n", "FR002", 6),
    "binary": Trap(version("!!binary MjQuMTA="), "FR002", 5),
    "a tag of YAML itself": Trap(version("!!str 24.10")),
    "a directive": Trap(f"%YAML 1.1\n---\n{WHOLE}"),
    "a version of YAML that there is not": Trap(f"%YAML 3.0\n---\n{WHOLE}", "FR001", 1),
    "an open quote": Trap(version('"24.10'), "FR001", 6),
    "what breaks off without a line end": Trap(WHOLE + "  replicas: {", "FR001", 6),
}


def repository(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in {**BASE, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def validate(folder: Path, capsys: pytest.CaptureFixture[str], *paths: str) -> tuple[int, list[str]]:
    """How `fresco validate` ends, and the lines that it prints."""
    with chdir(folder):
        code = main(["validate", "-C", ".", *paths])
    output = capsys.readouterr()
    assert output.err == ""
    return code, output.out.splitlines()


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_has_a_finding_or_does_no_harm(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trap = TRAPS[name]
    code, lines = validate(repository(tmp_path, {"trap.yaml": trap.content}), capsys)
    found = [re.match(r"trap\.yaml:(\d+):\d+: (FR\d{3})", line) for line in lines]
    assert [(match[2], int(match[1])) for match in found if match] == ([(trap.rule, trap.line)] if trap.rule else [])
    assert all(found)
    assert code == bool(trap.rule)


# ---- files, not what is in them


def test_links_are_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outside = repository(tmp_path / "outside", {"broken.yaml": HEAD + "\t"})
    folder = committed(repository(tmp_path / "repository", {}))
    (folder / "file.yaml").symlink_to(outside / "broken.yaml")
    (folder / "folder").symlink_to(outside)
    (folder / "itself").symlink_to(folder)
    (folder / "dangling.yaml").symlink_to(outside / "nothing.yaml")
    committed(folder)
    assert validate(folder, capsys) == (0, [])
    assert list(of_commit(folder).paths()) == sorted(BASE)


def test_a_submodule_is_another_repositorys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = committed(repository(tmp_path / "inner", {"broken.yaml": HEAD + "\t"}))
    folder = committed(repository(tmp_path / "repository", {}))
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "inner", cwd=folder)
    committed(folder)
    assert (folder / "inner" / "broken.yaml").exists()
    assert validate(folder, capsys) == (0, [])
    assert "inner/broken.yaml" not in of_commit(folder).paths()


ODD_NAMES = [
    b"a b.yaml",
    b"a\nb.yaml",
    b"a\rb\t.yaml",
    b"-n.yaml",
    b"caf\xc3\xa9.yaml",
    b"caf\xe9.yaml",
    b"\x1b[2J.yaml",
    rb"a\nb.yaml",
]


@pytest.mark.parametrize("name", ODD_NAMES, ids=repr)
def test_a_file_of_any_name_has_findings_of_one_line(
    name: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repository(tmp_path, {})
    Path(os.fsdecode(bytes(folder) + b"/" + name)).write_text(WHOLE + "  replicas: two\n", "utf-8")
    code, lines = validate(committed(folder), capsys)
    assert code == 1
    assert len(lines) == 1
    assert ":6:13: FR012 " in lines[0]
    assert lines[0].isprintable()
    both = [sorted(files.paths()) for files in (WorkingTree(folder), of_commit(folder))]
    assert both[0] == both[1]


@pytest.mark.parametrize("name", ODD_NAMES, ids=repr)
def test_a_file_of_any_name_can_be_asked_for(
    name: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository(tmp_path, {})
    path = os.fsdecode(bytes(folder) + b"/" + name)
    Path(path).write_text(WHOLE + "  replicas: two\n", "utf-8")
    found = validate(folder, capsys, path)
    assert (found[0], len(found[1])) == (1, 1)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(path).read_bytes())))
    assert validate(folder, capsys, "-", "--stdin-name", path) == found


def test_no_name_hides_another(tmp_path: Path) -> None:
    names = (b"a\nb.yaml", rb"a\nb.yaml", b"\xff.yaml", rb"\xff.yaml")
    for name in names:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(name)
    committed(tmp_path)
    for files in (WorkingTree(tmp_path), of_commit(tmp_path)):
        assert sorted(map(files.read, files.paths())) == sorted(names)


class Unreadable(WorkingTree):
    """A working tree in which one file may not be read; whoever runs the tests may be allowed everything."""

    def read(self, path: str) -> bytes:
        if path == "gpu-a.yaml":
            raise PermissionError(13, "Permission denied", path)
        return super().read(path)


def test_a_file_that_may_not_be_read_is_a_finding_and_hides_no_other(tmp_path: Path) -> None:
    loaded = load(Unreadable(repository(tmp_path, {"other.yaml": WHOLE})))
    wanted = accept(loaded, "prod", None)
    found = wanted.repository.findings
    assert [(one.file, one.line, one.rule) for one in found] == [("gpu-a.yaml", 1, "FR001")]
    assert "Permission denied" in found[0].message
    assert isinstance(wanted.servers["fraud/trap"], WantedServer)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder called `closed` can be listed; whoever runs the tests may be allowed everything."""
    children = WorkingTree._children

    def listed(files: WorkingTree, folder: str) -> list[os.DirEntry[str]]:
        if files.real(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(files.real(folder)))
        return children(files, folder)

    monkeypatch.setattr(WorkingTree, "_children", listed)


@pytest.mark.usefixtures("closed")
def test_a_folder_that_cannot_be_listed_is_a_finding_and_hides_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repository(tmp_path, {"fraud/closed/a.yaml": WHOLE, "fraud/b.yaml": f"{WHOLE}  replicas: two\n"})
    code, lines = validate(folder, capsys)
    assert code == 1
    assert lines == [
        "fraud/b.yaml:6:13: FR012 spec.replicas: expected an integer or a mapping, got 'two'",
        "fraud/closed/:1:1: FR001 expected a folder that can be listed: Permission denied",
    ]
    for path in ("fraud/closed", "fraud/closed/a.yaml"):
        assert validate(folder, capsys, path) == (1, lines[1:])
    assert validate(folder, capsys, "scorer.yaml") == (0, [])


@pytest.mark.usefixtures("closed")
def test_nothing_is_deleted_while_a_folder_cannot_be_listed(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"open/a.yaml": WHOLE})
    before = settled(accept(load(WorkingTree(folder)), "prod", None))
    (folder / "open").rename(folder / "closed")
    kept = accept(load(WorkingTree(folder)), "prod", before).servers["fraud/trap"]
    assert [(one.file, one.rule) for one in kept.findings] == [("closed/", "FR061")]
    (folder / "closed").rename(folder / "elsewhere")
    (folder / "elsewhere" / "a.yaml").unlink()
    assert "fraud/trap" not in accept(load(WorkingTree(folder)), "prod", before).servers


@pytest.mark.parametrize(
    ("path", "below", "is_there"),
    [
        ("prod/a.yaml", "prod/", True),
        ("prod/closed/", "prod/", True),
        ("prod/", "prod/", True),
        ("clusters/", "clusters/prod/", True),
        ("closed/", "", True),
        ("test/", "prod/", False),
        ("pro/", "prod/", False),
        ("a.yaml", "a.yaml.d/", False),
    ],
)
def test_a_folder_that_cannot_be_listed_may_hold_all_of_a_cluster(path: str, below: str, is_there: bool) -> None:
    assert concerns(path, below) == is_there


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("command", ["lock", "convert"])
def test_who_writes_files_stops_at_a_folder_that_cannot_be_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    folder = repository(tmp_path, {"closed/a.yaml": WHOLE})
    assert main([command, str(folder)]) == 2
    assert f"{folder / 'closed'}: Permission denied" in capsys.readouterr().err


@pytest.mark.usefixtures("closed")
def test_a_status_that_cannot_be_listed_is_not_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repository(tmp_path, {"status/closed/servers/a.yaml": WHOLE})
    assert main(["render", "-C", str(folder)]) == 2
    assert f"{folder / 'status' / 'closed'}: Permission denied" in capsys.readouterr().err


@pytest.mark.usefixtures("closed")
def test_a_repository_that_cannot_be_listed_itself_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repository(tmp_path / "closed", {})
    assert main(["validate", "-C", str(folder)]) == 2
    assert f"{folder}: Permission denied" in capsys.readouterr().err


def test_what_is_no_plain_file_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repository(tmp_path, {"folder.yaml/inner.yaml": WHOLE})
    os.mkfifo(folder / "pipe.yaml")
    assert validate(folder, capsys) == (0, [])


def committed(folder: Path) -> Path:
    """The folder as a git repository with all that is in it committed."""
    if not (folder / ".git").exists():
        git("init", "--quiet", "--initial-branch=main", cwd=folder)
    commit_files(folder, {})
    return folder


def of_commit(folder: Path) -> CommitFiles:
    opened = Repository.open(folder)
    commit = opened.resolve("main")
    assert commit is not None
    return CommitFiles(opened, commit)
