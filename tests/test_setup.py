"""What the set-up promises: small install sets, complete locks, a Makefile that explains itself, and clear words for
what a machine lacks."""

import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import locks
from tests.support.locks import PROJECT, ROOT

SETS: dict[str, tuple[tuple[str | None, str | None], ...]] = {
    "fresco": ((None, None),),
    "lock": (("lock", None),),
    "agent": (("agent", None),),
    "model-sync": (("model-sync", None),),
    "local": (("local", None),),
    "build": ((None, "build"),),
    "dev": (("local", None), ("lock", None), (None, "dev")),
}
"""Lock file → the extras and dependency groups it installs."""

CLUSTER_CLIENTS = {"kubernetes"}
SERVER_CLIENTS = {"tritonclient", "grpcio", "nvidia-pytriton"}


@pytest.fixture(scope="module")
def environment() -> ModuleType:
    """The set-up program, which lies outside the packages."""
    spec = importlib.util.spec_from_file_location("environment", ROOT / ".ci" / "environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


# Install sets and their locks


def test_the_laptops_fresco_has_no_client_of_a_cluster_or_a_server() -> None:
    assert not (CLUSTER_CLIENTS | SERVER_CLIENTS | {"aiohttp", "numpy", "obstore"}) & locks.pins("fresco").keys()
    assert not (CLUSTER_CLIENTS | SERVER_CLIENTS) & locks.pins("lock").keys()


def test_the_sidecar_has_no_client_of_a_cluster_and_the_agent_none_of_a_server() -> None:
    assert not CLUSTER_CLIENTS & locks.pins("model-sync").keys()
    assert not SERVER_CLIENTS & locks.pins("agent").keys()


def test_there_is_a_lock_for_every_extra_and_no_other() -> None:
    assert {path.stem for path in (ROOT / ".ci" / "locks").iterdir()} == SETS.keys()
    assert PROJECT["project"]["optional-dependencies"].keys() <= SETS.keys()


@pytest.mark.parametrize("lock", SETS)
def test_a_lock_holds_exactly_what_pyproject_brings(lock: str) -> None:
    asked = [requirement for extra, group in SETS[lock] for requirement in locks.asked(extra=extra, group=group)]
    assert locks.closure(asked).keys() == locks.pins(lock).keys()


@pytest.mark.parametrize("lock", SETS)
def test_a_locks_versions_are_what_pyproject_and_the_packages_allow(lock: str) -> None:
    asked = [requirement for extra, group in SETS[lock] for requirement in locks.asked(extra=extra, group=group)]
    pins = locks.pins(lock)
    refused = [
        f"{requirement} is pinned to {pins[name].version}"
        for name, requirements in locks.closure(asked).items()
        for requirement in requirements
        if not requirement.specifier.contains(pins[name].version, prereleases=True)
    ]
    assert refused == []


@pytest.mark.parametrize("lock", SETS)
def test_a_lock_has_hashes_and_names_no_index(lock: str) -> None:
    assert [name for name, pin in locks.pins(lock).items() if not pin.hashes] == []
    text = (ROOT / ".ci" / "locks" / f"{lock}.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?://|--(extra-)?index|--find-links", text)


def test_what_is_tested_is_what_is_installed() -> None:
    tested = locks.pins("dev")
    for lock in SETS:
        assert locks.pins(lock).items() <= tested.items(), lock


# What is packaged


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it would be published."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_packages_their_schemas_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in inside} == {"schemas", "render", "agent"}
    assert {path.name for path in (ROOT / "schemas").glob("*.schema.json")} <= {Path(name).name for name in inside}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


@pytest.mark.parametrize("package", ["schemas", "render", "agent"])
def test_the_wheel_says_that_it_is_typed(wheel: Path, package: str) -> None:
    assert f"{package}/py.typed" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize("script", PROJECT["project"]["scripts"].values(), ids=str)
def test_a_program_has_its_entry_point(script: str) -> None:
    module, _, function = script.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


# The Makefile and what continuous integration runs


def phony_targets() -> set[str]:
    (line,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return set(line.split())


def test_help_is_what_make_prints_and_lists_every_target() -> None:
    printed = make()
    assert printed.returncode == 0
    assert set(re.findall(r"^  make (\w+) +\S", printed.stdout, flags=re.MULTILINE)) == phony_targets()


def test_continuous_integration_runs_the_targets_that_people_run() -> None:
    steps = re.findall(
        r"^step '[^']+' make (\w+)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert steps == ["lint", "types", "imports", "test"]


# What a machine may lack


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of a fresh checkout as the set-up looks at."""
    for name in ("Makefile", "pyproject.toml", ".ci/environment.py", ".ci/locks/dev.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_python_that_is_not_there_is_named(checkout: Path) -> None:
    tried = make("venv", "PYTHON=python3.0-absent", cwd=checkout)
    assert tried.returncode != 0
    assert "Fresco needs Python 3.11 or newer; there is no 'python3.0-absent' here." in tried.stderr


def test_what_is_lacking_is_printed_and_nothing_is_made(
    environment: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "PYTHON", (3, 9))
    monkeypatch.setattr(sys, "argv", ["environment.py", str(checkout / ".venv"), str(checkout / ".ci/locks/dev.txt")])
    assert environment.main() == 1
    assert re.search(r"needs Python 3\.11 or newer; .* is 3\.9\.", capsys.readouterr().err)
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("system", "machine", "libc", "said"),
    [
        ("Darwin", "arm64", ("", ""), "this is Darwin on arm64"),
        ("Linux", "aarch64", ("glibc", "2.36"), "this is Linux on aarch64"),
        ("Linux", "x86_64", ("glibc", "2.31"), "glibc 2.35 or newer .*; this machine has glibc 2.31"),
        ("Linux", "x86_64", ("", ""), "another C library"),
    ],
)
def test_a_platform_without_wheels_is_named(
    environment: ModuleType, system: str, machine: str, libc: tuple[str, str], said: str
) -> None:
    with pytest.raises(environment.Lacking, match=said):
        environment.check_platform(system, machine, libc)


def test_a_machine_without_git_is_told_so(environment: ModuleType) -> None:
    with pytest.raises(environment.Lacking, match="git is missing"):
        environment.check_git(None)


def test_a_git_without_its_http_server_is_told_so(environment: ModuleType, tmp_path: Path) -> None:
    git = tmp_path / "git"
    git.write_text(f"#!/bin/sh\necho {tmp_path}/libexec\n")
    git.chmod(0o755)
    with pytest.raises(environment.Lacking, match=r"http-backend, which this git lacks .*/libexec/git-http-backend"):
        environment.check_git(str(git))


def test_a_python_without_venv_is_told_the_package(
    environment: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho No module named ensurepip\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(environment.Lacking, match=r"(?s)No module named ensurepip.*apt install python3\.\d+-venv"):
        environment.create(tmp_path / "venv")


def test_a_python_without_a_stub_is_told_which_have_one(environment: ModuleType, tmp_path: Path) -> None:
    for version in ("3.9", "3.10", "3.12"):
        (tmp_path / environment.STUBS / version).mkdir(parents=True)
    environment.check_stub(tmp_path, (3, 12))
    with pytest.raises(environment.Lacking, match=r"with Python 3\.14: it has a stub for 3\.9, 3\.10, 3\.12 \("):
        environment.check_stub(tmp_path, (3, 14))


def test_a_stub_that_does_not_start_is_told_why(environment: ModuleType, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho 'WheelUnusable: libpython3.12.so.1.0: cannot open' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(environment.Lacking, match=r"(?s)libpython3\.12\.so\.1\.0: cannot open.*apt install libpython3"):
        environment.check_stub_starts(tmp_path)


def test_a_python_that_has_to_compile_numpy_is_told_what_that_takes(environment: ModuleType, tmp_path: Path) -> None:
    header = tmp_path / "Python.h"
    with pytest.raises(environment.Lacking, match=r"use Python 3\.11 or 3\.12"):
        environment.check_compiler("/usr/bin/c++", header)
    header.touch()
    environment.check_compiler("/usr/bin/c++", header)
    with pytest.raises(environment.Lacking, match=r"apt install g\+\+ python3"):
        environment.check_compiler(None, header)


def test_triton_is_installed_first_by_its_own_pin(environment: ModuleType) -> None:
    pin, *hashes = environment.only(environment.TRITON, ROOT / ".ci" / "locks" / "dev.txt").splitlines()
    assert pin == "nvidia-pytriton==0.7.0 \\"
    assert any("--hash=sha256:" in line for line in hashes)
    assert not any("==" in line for line in hashes)


def test_a_lock_without_triton_is_an_error(environment: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    with pytest.raises(environment.Lacking, match="does not pin nvidia-pytriton: make lock"):
        environment.only(environment.TRITON, tmp_path / "empty.txt")
