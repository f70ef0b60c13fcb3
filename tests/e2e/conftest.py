"""The running systems that the end-to-end tests share, and the ledger of all their requests at the end."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.load import SESSION
from tests.e2e.seed import SEED
from tests.e2e.world import World, checked, world


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One Fresco for all tests of a module."""
    directory: Path = tmp_path_factory.mktemp("fresco")
    with world(directory) as made:
        yield made


@pytest.fixture
def subject(running: World) -> Iterator[World]:
    """The module's Fresco, in good order before and after each test."""
    with checked(running) as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What came of every request that was sent."""
    if not SESSION.sent:
        return
    terminalreporter.section("requests through the gateway, over all end-to-end tests")
    terminalreporter.write_line(f"sent       {SESSION.sent:>8}   on {os.cpu_count()} cores")
    terminalreporter.write_line(f"failed     {SESSION.failed:>8}")
    terminalreporter.write_line(f"wrong      {SESSION.wrong:>8}   answered by a revision that was not meant to serve")
    terminalreporter.write_line(f"seed       {SEED:>8}   of the faults: FRESCO_SEED={SEED} draws them again")
    terminalreporter.write_line(f"no gateway {SESSION.excused:>8}   failed while Envoy itself had been killed")
