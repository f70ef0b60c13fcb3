"""What every test can ask for: a git server, and expected output in files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.local.git_server import GitServer, serving
from tests.support.golden import Golden


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds what `make golden` passes."""
    parser.addoption("--update-golden", action="store_true", help="write expected output instead of comparing with it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --update-golden, only the tests that have expected output run."""
    if config.getoption("--update-golden"):
        items[:] = [item for item in items if isinstance(item, pytest.Function) and "golden" in item.fixturenames]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares output with files, or writes them."""
    return Golden(update=bool(request.config.getoption("--update-golden")))


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    """The folder whose bare repositories `git_server` serves."""
    folder = tmp_path / "repositories"
    folder.mkdir()
    return folder


@pytest.fixture
def git_server(repositories: Path) -> Iterator[GitServer]:
    """A real git server on a free port, over `repositories`."""
    with serving(repositories) as server:
        yield server
