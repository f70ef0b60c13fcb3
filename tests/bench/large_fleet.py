"""What `size` measures on: a large repository in git, and a cluster's branch that serves all of it. I/O: git."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from render import plan
from render.normal import Wanted, accept
from render.repository import Author, Repository
from render.rollout import advance
from render.settled import settled
from render.source import Source
from schemas.status import Tree
from tests.bench.still_fleet import observation
from tests.support.fleet import CLUSTER, repository
from tests.support.git import bare_repository

NOW: Final = 1_800_000_000.0
AUTHOR: Final = Author("Ada Tester", "ada@example.com", int(NOW))
BRANCH: Final = f"refs/heads/clusters/{CLUSTER}"
MAIN: Final = "refs/heads/main"


@dataclass(frozen=True, slots=True)
class Fleet:
    """A repository with its bare git repository, where the cluster's branch says `tree`: all is served as `wanted`."""

    source: dict[str, bytes]
    remote: Path
    commit: str
    wanted: Wanted
    tree: Tree


def make_fleet(remote: Path, servers: int, deployments: int) -> Fleet:
    """Makes the bare repository `remote`."""
    source = repository(servers=servers, deployments=deployments)
    git_repository = Repository.open(bare_repository(remote))
    commit = git_repository.commit_tree(None, dict(source), "Begin\n", AUTHOR)
    git_repository.set_reference(MAIN, commit)
    wanted = accept(Source().read(git_repository, commit), CLUSTER, None)
    tree = _still(settled(wanted), wanted)
    status = git_repository.commit_tree(None, dict(plan.files(tree)), "Begin\n", AUTHOR)
    git_repository.set_reference(BRANCH, status)
    return Fleet(source, remote, commit, wanted, tree)


def _still(tree: Tree, wanted: Wanted) -> Tree:
    """The tree in which nothing is left to do."""
    for _ in range(3):
        before, tree = tree, advance(tree, wanted, observation(tree, NOW)).tree
        if tree is before:
            return tree
    raise AssertionError("the fleet does not come to rest")


def deployments(fleet: Fleet) -> list[str]:
    """Paths of the Deployments' files."""
    return [path for path in fleet.source if "/deployments/" in path]
