"""What the agent wrote to its branch, read as anyone can: fetch, and look at each new commit. I/O: git, blocking."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from render import tree
from render.repository import Repository
from schemas.status import DeploymentStatus, Transition


@dataclass(frozen=True, slots=True)
class Event:
    """One change of stage or step, as a commit tells it. `at`: POSIX seconds. `revision`: the label of the one it is
    about. Of a traffic step: `weight` in percent, and `soaking_since`, once its route was seen live."""

    at: float
    commit: str
    stage: str
    step: str
    message: str
    revision: str
    weight: int | None = None
    soaking_since: float | None = None


class History:
    """One Deployment's life on one cluster's branch. `events`: all of it so far, oldest first; `commits`: all of the
    branch's; `exists`: whether the last one has a status of the Deployment."""

    def __init__(self, repository: Repository, *, url: str, branch: str, deployment: str) -> None:
        """`deployment`: `namespace/name`, on `branch` of the repository at `url`."""
        self.events: list[Event] = []
        self.exists = False
        self.commits: list[str] = []
        self._repository, self._url = repository, url
        self._branch, self._deployment = branch, deployment
        self._labels: dict[str, str] = {}
        self._seen: set[tuple[float, str]] = set()

    @classmethod
    def clone(cls, directory: Path, *, url: str, branch: str, deployment: str) -> "History":
        """A history that keeps what it fetches in `directory`. Raises RemoteUnavailable."""
        return cls(Repository.open_or_clone(directory, url), url=url, branch=branch, deployment=deployment)

    def refresh(self) -> list[Event]:
        """Fetches, reads the new commits in their order, and gives what was new in them. Raises RemoteUnavailable."""
        self._repository.fetch(self._url)
        known = len(self.events)
        for commit in self._new_commits():
            self._read(commit)
        return self.events[known:]

    def accounts(self) -> dict[str, dict[str, str]]:
        """By commit the trailers with which it accounts for itself."""
        return {commit: self._repository.trailers_of(commit) for commit in self.commits}

    def _new_commits(self) -> list[str]:
        """From the oldest; the branch is one line, because nobody but the agent writes to it, and never with force."""
        newest = self._repository.resolve(f"refs/remotes/origin/{self._branch}")
        last = self.commits[-1] if self.commits else None
        found: list[str] = []
        while newest is not None and newest != last:
            found.append(newest)
            newest = next(iter(self._repository.parents(newest)), None)
        return found[::-1]

    def _read(self, commit: str) -> None:
        self.commits.append(commit)
        status = self._status(commit)
        self.exists = status is not None
        if status is None:
            return
        for revision in filter(None, (status.current, status.candidate)):
            self._labels[revision.digest] = revision.revision
        for transition in status.transitions:
            self._take(commit, transition, status)
        self._note_soak(status)

    def _status(self, commit: str) -> DeploymentStatus | None:
        blobs = self._repository.files(commit, tree.FOLDER)
        found = tree.read({path: self._repository.read(blob) for path, blob in blobs.items()})
        return found.deployments.get(self._deployment) if found else None

    def _take(self, commit: str, transition: Transition, status: DeploymentStatus) -> None:
        at = transition.at.timestamp()
        if (at, transition.step) in self._seen:
            return
        self._seen.add((at, transition.step))
        self.events.append(
            Event(
                at=at,
                commit=commit,
                stage=transition.stage,
                step=transition.step,
                message=transition.message,
                revision=self._labels.get(transition.evidence.digest or "", ""),
                weight=_weight(transition.step, status),
            )
        )

    def _note_soak(self, status: DeploymentStatus) -> None:
        progress = status.progress
        if progress is None or progress.live_since is None:
            return
        for index in _backwards(self.events):
            if self.events[index].step == progress.step:
                self.events[index] = replace(self.events[index], soaking_since=progress.live_since.timestamp())
                return


def _weight(step: str, status: DeploymentStatus) -> int | None:
    """The share that the rollout's step `weight <n>` asks for."""
    family, _, number = step.partition(" ")
    if family != "weight" or status.rollout is None:
        return None
    return status.rollout.steps[int(number) - 1].weight


def _backwards(events: list[Event]) -> Iterator[int]:
    return reversed(range(len(events)))
