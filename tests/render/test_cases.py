"""Every folder below `tests/cases` is a test by itself: to add one, add a folder.

good/<name>/repo/    a repository without errors; its manifests when all is settled, and its warnings
bad/<name>/repo/     a repository with findings, and what is rendered in spite of them
bad/<name>/before/   the repository before that, where it matters: all of it is accepted and settled
bad/<name>/cluster   the cluster that is meant, where it is not the first
status/<name>/       a status tree, and everything that the agent commits with it
"""

from pathlib import Path

import pytest

from render import changes, plan, report, settings, silence, tree
from render.errors import InvalidRepository
from render.load import comments, load
from render.normal import accept
from render.repository import WorkingTree
from render.rules import Rule
from render.rules.second import SECOND
from render.settled import settled
from schemas.resources import RepositorySpec
from schemas.status import Finding
from tests.support import contracts
from tests.support.golden import Golden

CASES = Path(__file__).parents[1] / "cases"


def folders(kind: str) -> list[str]:
    return sorted(path.name for path in (CASES / kind).iterdir())


def rendered(case: Path) -> tuple[list[Finding], dict[str, bytes]]:
    loaded, cluster = load(WorkingTree(case / "repo")), cluster_of(case)
    before = load(WorkingTree(case / "before")) if (case / "before").exists() else None
    try:
        previous = settled(accept(before, cluster, None)) if before is not None else None
        wanted = accept(loaded, cluster, previous)
    except InvalidRepository:
        found = settings.find(loaded, cluster)
        assert isinstance(found, tuple)
        return report.in_order(found), {}
    changed = changes.findings(before, loaded, ".") if before is not None else []
    everything = report.in_order([*report.of(wanted), *changed])
    said = {
        path: comments((case / "repo" / path).read_bytes()) for path, file in loaded.files.items() if file.documents
    }
    return report.in_order(silence.silenced(everything, said)), plan.manifests(settled(wanted))


def cluster_of(case: Path) -> str:
    if (case / "cluster").exists():
        return (case / "cluster").read_text("utf-8").strip()
    spec = settings.read(load(WorkingTree(case / "repo")))
    return spec.clusters[0].name if isinstance(spec, RepositorySpec) else "prod"


def lines(findings: list[Finding]) -> str:
    return "".join(f"{report.line(finding)}\n{other(finding)}" for finding in findings)


def other(finding: Finding) -> str:
    """The second place, in a line of its own."""
    at = finding.other
    return f"    and {at.file}:{at.line}:{at.column}\n" if at is not None else ""


@pytest.mark.parametrize("name", folders("good"))
def test_what_is_right_is_rendered(name: str, golden: Golden) -> None:
    found, manifests = rendered(CASES / "good" / name)
    expected = CASES / "good" / name / "expected"
    golden.check_tree(
        expected, {"findings.txt": lines(found), **{path: text.decode() for path, text in manifests.items()}}
    )
    assert not report.has_errors(found)
    contracts.check_branch(manifests)


@pytest.mark.parametrize("name", folders("bad"))
def test_what_is_wrong_is_said(name: str, golden: Golden) -> None:
    found, manifests = rendered(CASES / "bad" / name)
    paths = "".join(f"{path}\n" for path in sorted(manifests))
    golden.check_tree(CASES / "bad" / name / "expected", {"findings.txt": lines(found), "manifests.txt": paths})
    assert found


ALONE = {
    "gateway-without-rewrites": {Rule.GATEWAY_LACKS},  # it stands at the second place itself
    "michelangelo-unsettled": {Rule.NO_VERSION},  # the default image stands in no file
    "no-version": {Rule.NO_VERSION},
    "server-settings": {Rule.NO_VERSION},
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in ("bad", "good") for name in folders(kind)])
def test_a_finding_of_a_rule_about_two_places_names_both(kind: str, name: str) -> None:
    found, _ = rendered(CASES / kind / name)
    lacking = {one.rule for one in found if one.rule in SECOND and one.other is None and not _is_of_server(one)}
    assert lacking == ALONE.get(name, set())


def _is_of_server(one: Finding) -> bool:
    """Whether it says that a server's own backend is not rendered, and nothing of a Deployment on it."""
    return one.rule == Rule.UNSUPPORTED_TYPE and one.message.startswith("spec.backend.type")


@pytest.mark.parametrize("name", folders("status"))
def test_a_status_is_rendered(name: str, golden: Golden) -> None:
    folder = CASES / "status" / name
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.yaml")}
    status = tree.read({path: content for path, content in files.items() if path.startswith("status/")})
    assert status is not None
    made = plan.files(status)
    golden.check_tree(folder, {path: content.decode() for path, content in made.items()})
    contracts.check_branch(made)
