"""The commits of a cluster's branch, replayed one after the other: what is wrong in each. I/O: a git repository.

Checked of a commit, besides what `changes` checks of each resource:
- it has one parent and another tree than that, the agent is its author and committer, and all trailers are there;
- its epoch is not below one before it;
- its status can be read, and keeps the contracts of `schemas`;
- if this version of Fresco wrote it: all files of the agent are those that its own status renders, byte for byte.

A commit costs what differs in it, and a look at each status. The first is rendered in full, the others by what differs.
A file that is wrong is told once, of the commit that made it so.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from render import plan, trailers
from render.branch_files import BranchReader
from render.errors import FrescoError, StatusUnreadable
from render.plan import Index
from render.repository import Repository, blob_id
from render.verify import changes
from render.write import is_own
from schemas.status import Tree

_FILES = 5  # that are named of one commit


@dataclass(frozen=True, slots=True)
class Verified:
    """One commit. `at`: POSIX seconds. `version`: what wrote it, as it says. `is_rendered_anew`: whether its files were
    compared, not its stage changes alone."""

    commit: str
    subject: str
    at: int
    version: str
    is_rendered_anew: bool
    problems: tuple[str, ...]


def replay(repository: Repository, commits: Iterable[str], *, base: str | None, version: str) -> Iterator[Verified]:
    """What is wrong in each of `commits`, oldest first, the first of which was made on `base` (None: it has no parent).

    `version`: of this Fresco. `base` itself is taken as it is.
    """
    replaying = _Replay(repository, version)
    if base is not None:
        replaying.begin(base)
    for commit in commits:
        yield replaying.verify(commit)


class _Replay:
    """What is known of the commit that was looked at last."""

    def __init__(self, repository: Repository, version: str) -> None:
        self._repository = repository
        self._mine = version
        self._reader = BranchReader(repository)
        self._index: Index | None = None
        self._is_known = True  # whether the status before can be read, or there is none
        self._expected: dict[str, str] | None = None  # blob id by path, of what this version renders
        self._version = ""
        self._epoch = 0

    def begin(self, commit: str) -> None:
        """Reads the commit before the first one."""
        self._reader.turn_to(commit)
        said = self._repository.trailers_of(commit)
        self._version, self._epoch = said.get(trailers.VERSION, ""), _epoch(said.get(trailers.EPOCH, "")) or 0
        try:
            status = self._reader.status()
        except StatusUnreadable:
            self._is_known = False
        else:
            self._index = Index(status) if status is not None else None

    def verify(self, commit: str) -> Verified:
        """Looks at the next commit."""
        said = self._repository.trailers_of(commit)
        before, self._version = self._version, said.get(trailers.VERSION, self._version)
        differences = self._reader.turn_to(commit)
        problems = [*_account(self._repository, commit), *self._epochs(said.get(trailers.EPOCH, ""))]
        is_mine = self._version == self._mine
        problems += self._status(differences, is_mine=is_mine, same=is_mine and before in ("", self._mine))
        subject = self._repository.message_of(commit).partition("\n")[0]
        at = self._repository.time_of(commit)
        return Verified(commit, subject, at, self._version, is_mine and self._is_known, tuple(problems))

    def _epochs(self, said: str) -> Iterator[str]:
        epoch = _epoch(said)
        if epoch is None:
            if said:
                yield f"{trailers.EPOCH}: expected a number, got {said!r}"
        elif epoch < self._epoch:
            yield f"{trailers.EPOCH}: {epoch} writes after {self._epoch}"
        else:
            self._epoch = epoch

    def _status(self, differences: Iterable[str], *, is_mine: bool, same: bool) -> list[str]:
        try:
            status = self._reader.status()
        except StatusUnreadable as problem:
            self._index, self._is_known, self._expected = None, False, None
            return [str(problem)]
        if status is None:
            return ["there is no status in it"]
        before, was_known = self._index, self._is_known
        self._index, self._is_known = Index(status), True
        found = changes.tree(before, self._index, same_version=same) if was_known else []
        return [*found, *self._files(before.tree if before else None, status, differences, is_mine=is_mine)]

    def _files(self, before: Tree | None, status: Tree, differences: Iterable[str], *, is_mine: bool) -> list[str]:
        if not is_mine:
            self._expected = None
            return []
        try:
            touched = {*differences, *self._render(before, status)}
        except FrescoError as problem:
            self._expected = None
            return [str(problem)]
        wrong = [said for path in sorted(touched) if (said := self._compare(path))]
        more = [f"and {len(wrong) - _FILES} files more"] if len(wrong) > _FILES else []
        return [*wrong[:_FILES], *more]

    def _render(self, before: Tree | None, status: Tree) -> Iterable[str]:
        """Brings up to date what is expected, and gives the paths that may be otherwise than before."""
        if self._expected is None or before is None:
            self._expected = {path: blob_id(content) for path, content in plan.one_by_one(status)}
            return self._expected.keys() | self._reader.blobs.keys()
        changed = plan.changes(before, status)
        for path, content in changed.items():
            if content is None:
                self._expected.pop(path, None)
            else:
                self._expected[path] = blob_id(content)
        return changed.keys()

    def _compare(self, path: str) -> str | None:
        there = self._reader.blobs.get(path)
        expected = (self._expected or {}).get(path)
        if there == expected or (expected is None and not is_own(path)):
            return None
        if expected is None:
            return f"{path}: its status renders no such file"
        return f"{path}: is not what its status renders" if there is not None else f"{path}: is missing"


def _account(repository: Repository, commit: str) -> Iterator[str]:
    parents = repository.parents(commit)
    if len(parents) > 1:
        yield f"it has {len(parents)} parents, expected one"
    if any(repository.tree_of(one) == repository.tree_of(commit) for one in parents[:1]):
        yield "it changes nothing"
    for role, one in zip(("author", "committer"), repository.writers_of(commit), strict=True):
        if (one.name, one.email) != trailers.AUTHOR:
            yield f"its {role} is {one.name} <{one.email}>, expected {trailers.AUTHOR[0]} <{trailers.AUTHOR[1]}>"
    missing = _missing(repository.trailers_of(commit).keys())
    if missing:
        yield f"expected the trailers {', '.join(trailers.ALL)}, missing: {', '.join(missing)}"


def _missing(there: Iterable[str]) -> Sequence[str]:
    known = set(there)
    return [name for name in trailers.ALL if name not in known]


def _epoch(said: str) -> int | None:
    return int(said) if said.isdecimal() else None
