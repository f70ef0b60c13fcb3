"""Status trees of older versions of the contract."""

from pathlib import Path

import pytest

from render import migrate, plan, tree
from schemas.status import SCHEMA_VERSION
from tests.support import contracts

CASES = Path(__file__).parents[1] / "cases"


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_every_older_version_is_read_as_the_newest(version: int) -> None:
    """`cases/migration/<version>` is what that version wrote of the case `traffic-routing`, kept as it was."""
    old, new = CASES / "migration" / str(version), CASES / "status" / "traffic-routing"
    found = tree.read({path.relative_to(old).as_posix(): path.read_bytes() for path in old.rglob("*.yaml")})
    assert found is not None
    files = plan.files(found)
    contracts.check_branch(files)
    assert files == {path.relative_to(new).as_posix(): path.read_bytes() for path in new.rglob("*") if path.is_file()}


def test_every_version_has_a_step_to_the_next() -> None:
    assert sorted(migrate.STEPS) == list(range(1, SCHEMA_VERSION))
