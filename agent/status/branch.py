"""The two branches that concern one cluster: what main wants, what status says, and the next commit. I/O: git, blocks.

Everything in it can be read again from the remote; memory only saves work. One thread at a time.
"""

from dataclasses import dataclass

from agent.status.writeback import Account, Outcome, Tips, WriteBack, Written
from render import resolve, settings
from render.branch_files import BranchFiles
from render.document import Loaded
from render.errors import InvalidRepository, StatusUnreadable
from render.memo import Memo
from render.normal import Wanted, accept, is_ground_the_same
from render.source import Source
from schemas.status import Tree


@dataclass(frozen=True, slots=True)
class Moved:
    """Which branches are not as they were at the last look."""

    main: bool
    cluster: bool


class Branch:
    """What is known of both branches. `tree` is None while there is no status, or none that can be read; `wanted` is
    None while nothing can be decided. `unreadable` and `invalid` then say why: the cluster's branch, or main.
    `is_behind`: `wanted` was accepted before what we wrote last."""

    def __init__(self, writeback: WriteBack, *, cluster: str) -> None:
        self.tips = Tips(main=None, cluster=None)
        self.tree: Tree | None = None
        self.wanted: Wanted | None = None
        self.unreadable: str | None = None
        self.invalid: str | None = None
        self.is_behind = False
        self._cluster = cluster
        self._loaded: Loaded | None = None
        self._memo = Memo()
        self._ground: Tree | None = None  # what `wanted` was accepted on
        self._writeback = writeback
        self._source = Source()
        self._files = BranchFiles()
        self._seen = False
        self._is_main = False

    @property
    def epoch(self) -> int:
        """This process' epoch as the writer, 0 before it wrote."""
        return self._writeback.epoch

    @property
    def is_exact(self) -> bool:
        """Whether the branch holds what its status tree renders, as far as that was looked at."""
        return self._files.is_exact

    def refresh(self) -> Moved:
        """Looks at the remote and reads what has moved. Raises RemoteUnavailable and CloneUnwritable."""
        tips = self._writeback.fetch()
        if not self._seen or tips.main != self.tips.main:
            tips = self._load(tips)
        moved = Moved(
            main=not self._seen or tips.main != self.tips.main,
            cluster=not self._seen or tips.cluster != self.tips.cluster,
        )
        if moved.cluster:
            self._read_status(tips.cluster)
        if moved.main or moved.cluster:
            self._accept()
        self.tips, self._seen = tips, True
        return moved

    def write(self, tree: Tree, account: Account) -> Written:
        """Makes the branch say `tree`, with the manifests of it. Raises RemoteUnavailable, and FrescoError for a tree
        that cannot be rendered."""
        changes = self._files.changes(self.tree, tree)
        written = self._writeback.write(self.tips.cluster, changes, account)
        if written.outcome in (Outcome.WRITTEN, Outcome.UNCHANGED):
            self._files.written()
            self.tree, self.is_behind = tree, True
            self.tips = Tips(main=self.tips.main, cluster=written.commit)
        return written

    def catch_up(self) -> None:
        """Accepts what main asks for anew, where `write` changed what it says: a name may be free, or a server there
        that somebody waits for. So does `refresh`, when something moved."""
        if is_ground_the_same(self._ground, self.tree):
            self._ground, self.is_behind = self.tree, False
        else:
            self._accept()

    def knows(self, commit: str) -> bool:
        """Whether the clone has `commit`."""
        return self._writeback.repository.resolve(commit) is not None

    def last_written(self) -> float | None:
        """When the branch was written last, POSIX seconds; None when there is nothing."""
        tip = self.tips.cluster
        return float(self._writeback.repository.time_of(tip)) if tip is not None else None

    def _read_status(self, commit: str | None) -> None:
        self.tree, self.unreadable = None, None
        try:
            self.tree = self._files.read(self._writeback.repository, commit)
        except StatusUnreadable as problem:
            self.unreadable = str(problem)

    def _load(self, tips: Tips) -> Tips:
        """Reads main, which may name another branch for this cluster: then the tips are those with that one."""
        self._loaded = self._source.read(self._writeback.repository, tips.main) if tips.main is not None else None
        found = settings.find(self._loaded, self._cluster) if self._loaded is not None else ()
        if not isinstance(found, settings.Settings):
            return tips
        branch = resolve.branch(found.cluster)
        self._is_main = self._writeback.is_main(branch)
        if self._is_main:
            return tips
        return Tips(main=tips.main, cluster=self._writeback.turn_to(branch, tips.cluster))

    def _accept(self) -> None:
        self.wanted, self.invalid, self._ground, self.is_behind = None, None, self.tree, False
        if self._loaded is None:
            self.invalid = "there is no such branch yet"
        elif self._is_main:
            self.invalid = f"fresco.yaml: the branch of the cluster {self._cluster} is this one, where people work"
        elif self.unreadable is None:
            try:
                self.wanted = accept(self._loaded, self._cluster, self.tree, self._memo)
            except InvalidRepository as problem:
                self.invalid = str(problem)
