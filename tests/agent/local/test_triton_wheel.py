"""The wheel that carries tritonserver: what it lacks is said before a server starts that could load no model."""

import importlib.util
from pathlib import Path

import pytest

from agent.local import triton_wheel


def test_the_backend_has_its_stub_beside_it_and_may_be_prepared_again(tmp_path: Path) -> None:
    triton_wheel.prepare_backend(tmp_path / "backends")
    folder = triton_wheel.prepare_backend(tmp_path / "backends")
    found = {path.name for path in (folder / "python").iterdir()}
    assert {"libtriton_python.so", "triton_python_backend_stub", "triton_python_backend_utils.py"} == found


def test_a_python_without_a_stub_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    with pytest.raises(triton_wheel.WheelUnusable, match=r"no Triton stub for Python 3\.99, only for 3\.8, .*3\.13"):
        triton_wheel.prepare_backend(tmp_path, python="3.99")


def test_a_missing_wheel_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    triton_wheel._root.cache_clear()
    with pytest.raises(triton_wheel.WheelUnusable, match=r"fresco\[local\]"):
        triton_wheel.binary()


def test_the_servers_libraries_and_models_packages_are_in_the_environment() -> None:
    environment = triton_wheel.environment()
    assert "nvidia_pytriton.libs" in environment["LD_LIBRARY_PATH"].split(":")[0]
    assert "site-packages" in environment["PYTHONPATH"].split(":")[0]


def test_what_a_killed_server_left_in_shared_memory_goes() -> None:
    mine, other = Path("/dev/shm/fresco-wheel-test-1"), Path("/dev/shm/fresco-other-test-1")
    for path in (mine, other):
        path.write_bytes(b"x")
    triton_wheel.clean_shared_memory("fresco-wheel-test-")
    assert not mine.exists()
    other.unlink()
