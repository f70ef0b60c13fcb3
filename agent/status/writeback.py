"""Commits to the cluster's branch and pushes: fast-forward only, never forced, never onto a newer leader's. I/O: git.

A commit is made on the tip that was read; when another one was faster, nothing is merged: the caller fetches and
decides anew on the new tip. All of it blocks, so it is called from one worker thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from agent.status.reports import one_line
from render import trailers
from render.errors import CloneUnwritable, FrescoError, RemoteUnavailable
from render.repository import Author, Credentials, PushOutcome, PushResult, Repository, message

SUBJECT_CHARACTERS: Final = 100

_MEMORY: Final = "fresco-branch"  # a file in the clone: the branch that was the cluster's last
_MAIN: Final = "refs/fresco/main"


class Outcome(StrEnum):
    """What came of a write. `LOST_RACE`: fetch and decide anew. `REFUSED`: final until a person acts. `DEPOSED`: never
    write again."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    LOST_RACE = "lost race"
    REFUSED = "refused"
    DEPOSED = "deposed"


@dataclass(frozen=True, slots=True)
class Tips:
    """The commits at the remote's branches, None where a branch does not exist: the humans' and the cluster's."""

    main: str | None
    cluster: str | None


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write, the commit that the cluster's branch has then as far as known, and the server's words."""

    outcome: Outcome
    commit: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """What a commit says of itself. `reasons`: one line a change; `because`: what made the agent act; `source`: the
    commit on the humans' branch; `at`: POSIX seconds."""

    reasons: Sequence[str]
    because: str
    source: str | None
    version: str
    at: float


class WriteBack:
    """A bare clone in `directory` and the two branches of `url` that concern a cluster.

    The clone is a cache: without it the next start makes another.
    """

    def __init__(
        self, *, directory: Path, url: str, main: str, branch: str, credentials: Credentials | None = None
    ) -> None:
        self._directory = directory
        self._url = url
        self._main = f"refs/heads/{main}"
        self._branch = f"refs/heads/{branch}"
        self._credentials = credentials
        self._opened: Repository | None = None
        self._epoch = 0
        self._wrote = False

    @property
    def repository(self) -> Repository:
        """The clone. Raises RuntimeError before the first `fetch`."""
        if self._opened is None:
            raise RuntimeError("nothing was fetched yet")
        return self._opened

    @property
    def epoch(self) -> int:
        """This process' epoch as the writer of the branch; 0 before it has one."""
        return self._epoch

    def is_main(self, branch: str) -> bool:
        """Whether `branch` is the humans'."""
        return f"refs/heads/{branch}" == self._main

    def turn_to(self, branch: str, tip: str | None) -> str | None:
        """From now on the cluster's branch is `branch`, and goes on from `tip`, its tip so far, where there is none of
        that name. Gives its tip. Raises RemoteUnavailable and CloneUnwritable; then it is what it was."""
        before, self._branch = self._branch, f"refs/heads/{branch}"
        try:
            if self._branch != before:
                there = self.fetch().cluster
                tip = self.restore(tip) if there is None and tip is not None else there
            self._remember()
        except FrescoError:
            self._branch = before
            raise
        self._wrote = self._wrote and before == self._branch
        return tip

    def fetch(self) -> Tips:
        """Both branches as they are at the remote. A cluster's branch that was there and has vanished is put back:
        without its status the cluster would begin anew, and take every route away. Raises RemoteUnavailable, and
        CloneUnwritable."""
        if self._opened is None:
            self._opened = Repository.open_or_clone(self._directory, self._url, self._credentials)
            self._recall()
        known = self._opened.resolve(self._ours)
        self._opened.fetch(self._url, (f"+{self._main}:{_MAIN}", f"+{self._branch}:{self._ours}"))
        cluster = self._opened.resolve(self._ours)
        if cluster is None and known is not None:
            cluster = self.restore(known)
        return Tips(main=self._opened.resolve(_MAIN), cluster=cluster)

    def _remember(self) -> None:
        """Whole or not at all: half a name would be asked for for ever."""
        if self._memory() == self._branch:
            return
        fresh = self._directory / f"{_MEMORY}.new"
        try:
            fresh.write_text(self._branch, "utf-8")
            fresh.replace(self._directory / _MEMORY)
        except OSError as error:
            raise CloneUnwritable(f"cannot write to {self._directory}: {error}") from error

    def _recall(self) -> None:
        self._branch = self._memory() or self._branch

    def _memory(self) -> str:
        memory = self._directory / _MEMORY
        return memory.read_text("utf-8") if memory.exists() else ""

    @property
    def _ours(self) -> str:
        """Where the clone keeps the cluster's branch."""
        return f"refs/fresco/remote/{self._branch.removeprefix('refs/heads/')}/tip"

    def restore(self, commit: str) -> str:
        """Puts the branch where `commit` is: it has vanished at the remote, or it is a new name for one that was there.
        Raises RemoteUnavailable."""
        self.repository.set_reference(self._ours, commit)  # not forgotten when the push fails
        result = self.repository.push(self._url, commit, self._branch)
        if result.outcome is not PushOutcome.OK:
            reason = one_line(result.reason)
            raise RemoteUnavailable(f"{self._branch} is not there and cannot be made: {reason}")
        return commit

    def write(self, parent: str | None, changes: Mapping[str, bytes | None], account: Account) -> Written:
        """Commits `changes` (None deletes) on `parent` and pushes. After RemoteUnavailable or CloneUnwritable fetch
        before anything.

        `parent` is the cluster's branch as the last `fetch` gave it.
        """
        if not self._lead(parent):
            return Written(Outcome.DEPOSED, parent, f"epoch {self.epoch_of(parent)} writes, ours is {self._epoch}")
        author = Author(*trailers.AUTHOR, time=int(account.at))
        commit = self.repository.commit_tree(parent, changes, describe(account, self._epoch), author)
        if commit == parent:
            return Written(Outcome.UNCHANGED, parent)
        return self._conclude(parent, commit, self.repository.push(self._url, commit, self._branch))

    def epoch_of(self, commit: str | None) -> int:
        """The epoch of the agent that wrote `commit`, or the nearest commit before it that an agent wrote; else 0."""
        while commit is not None:
            epoch = self.repository.trailers_of(commit).get(trailers.EPOCH, "")
            if epoch.isdecimal():
                return int(epoch)
            commit = next(iter(self.repository.parents(commit)), None)
        return 0

    def _lead(self, parent: str | None) -> bool:
        """Whether this process may write on `parent`. An epoch that it has not written with yet is chosen anew."""
        newest = self.epoch_of(parent)
        if not self._wrote:
            self._epoch = newest + 1
        return newest <= self._epoch

    def _conclude(self, parent: str | None, commit: str, result: PushResult) -> Written:
        match result.outcome:
            case PushOutcome.OK:
                self._wrote = True
                self.repository.set_reference(self._ours, commit)
                return Written(Outcome.WRITTEN, commit)
            case PushOutcome.LOST_RACE:
                return Written(Outcome.LOST_RACE, parent, one_line(result.reason))
            case PushOutcome.REFUSED:
                return Written(Outcome.REFUSED, parent, one_line(result.reason))


def describe(account: Account, epoch: int) -> str:
    """The commit's message: a subject for `git log --oneline`, a line a change where there are several, trailers."""
    reasons = [one_line(reason) for reason in account.reasons] or ["render anew"]
    subject = _subject(reasons)
    is_cut = len(subject) > SUBJECT_CHARACTERS
    body = "\n".join(f"- {reason}" for reason in reasons) if is_cut or len(reasons) > 1 else ""
    last_lines = {trailers.SOURCE: account.source or "none", trailers.VERSION: account.version}
    last_lines |= {trailers.EPOCH: str(epoch), trailers.REASON: account.because}
    return message(f"{subject[: SUBJECT_CHARACTERS - 1]}…" if is_cut else subject, body, last_lines)


def _subject(reasons: Sequence[str]) -> str:
    """Of one resource the last reason, which says where it has come to; of several how many and which."""
    resources = list(dict.fromkeys(reason.partition(": ")[0] for reason in reasons))
    return reasons[-1] if len(resources) == 1 else f"{len(reasons)} changes: {', '.join(resources)}"
