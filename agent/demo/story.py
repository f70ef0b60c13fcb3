"""The story: five scenes of a model's life, told as they happen, and what each of them promises."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agent.demo import board, checks
from agent.demo.board import Board
from agent.demo.checks import Check
from agent.demo.history import Event, History
from agent.demo.machine import Machine
from agent.demo.models import Artifact
from agent.demo.person import Person, with_fields
from agent.demo.traffic import Record, by_revision
from schemas.status import Stage

_LOOK_SECONDS = 0.15  # between two fetches of the agent's branch
_LONGEST_SCENE_SECONDS = 90.0
_ENOUGH_ANSWERS = 50


class Stuck(Exception):
    """A scene did not come to its end; the message says what was waited for."""


@dataclass
class Story:
    """All who take part. `file`: the Deployment's, in the repository, `template` its text, `model` its served name."""

    machine: Machine
    person: Person
    history: History
    record: Record
    board: Board
    artifacts: dict[str, Artifact]
    file: str
    template: str
    model: str
    checks: list[Check] = field(default_factory=list)
    deleted_at: float = float("inf")
    _begin: int = 0  # the scene's first event
    _reader: asyncio.Task[None] | None = None  # follows the agent's branch

    async def tell(self) -> None:
        """All scenes, one after the other. Raises Stuck when one does not end."""
        async with self._following():
            for title, scene in SCENES.items():
                self.board.scene(title)
                self._begin = len(self.history.events)
                await scene(self)

    async def serve_again(self) -> None:
        """Takes the deletion back."""
        async with self._following():
            self._begin = len(self.history.events)
            await self._commit(self.person.revert, "Serve scorer again")
            await self._until(Stage.ROLLOUT_COMPLETE)

    # ---- the scenes

    async def first_revision(self) -> None:
        """From a commit to live traffic."""
        await self._release("1")
        await self._until(Stage.ROLLOUT_COMPLETE)
        self._promise(checks.stages("revision 1", self._events, checks.COMPLETE))
        await self._enough_answers("1")

    async def second_revision(self) -> None:
        """By steps, each as large as it was asked to be."""
        await self._release("2")
        await self._until(Stage.ROLLOUT_COMPLETE)
        self._promise(checks.stages("revision 2", self._events, checks.COMPLETE))
        for share in checks.shares(self._events, self.record):
            self._promise(checks.fair(share))
        await self._only("2")

    async def broken_revision(self) -> None:
        """A revision that cannot be loaded never gets a request."""
        await self._release("3")
        await self._until(Stage.ROLLBACK_COMPLETE)
        self._promise(checks.stages("revision 3", self._events, checks.FAILED))
        await self._only("2")
        await self._commit(self.person.revert, "Take revision 3 out again")

    async def withdrawn_revision(self) -> None:
        """A human wins, at any time."""
        await self._release("4")
        await self._enough_answers("4")
        await self._commit(self.person.revert, "Go back to revision 2")
        await self._until(Stage.ROLLBACK_COMPLETE)
        self._promise(checks.stages("revision 4", self._events, checks.WITHDRAWN))
        await self._only("2")

    async def deletion(self) -> None:
        """The route goes first, then the model."""
        pods = set(await self.machine.served(self.model))
        self.deleted_at = time.time()
        unloading = asyncio.create_task(self._watch_unloading(pods))
        self.person.delete(self.file)
        await self._commit(self.person.commit, "Delete scorer")
        await self._until(Stage.CLEAN_UP_COMPLETE)
        self._promise(checks.stages("deletion", self._events, checks.DELETED))
        await self._wait(lambda: not self.history.exists, what="the status file is removed")
        gone = [answer.ended for answer in self.record.answers if answer.no_route and answer.sent > self.deleted_at]
        first = min(gone, default=None)
        self._promise(checks.route_first(no_route_at=first, unloaded=await unloading, pods=len(pods)))

    # ---- what they are made of

    @property
    def _events(self) -> list[Event]:
        """This scene's."""
        return self.history.events[self._begin :]

    async def _release(self, revision: str) -> None:
        artifact = self.artifacts[revision]
        fields = {"revision": f'"{revision}"', "uri": artifact.uri, "digest": artifact.digest}
        self.person.write(self.file, with_fields(self.template, fields))
        await self._commit(self.person.commit, f"Serve {self.model}, revision {revision}")

    async def _commit(self, act: Callable[[str], str], message: str) -> None:
        """In a thread: the load goes on meanwhile, and so does the git server."""
        commit = await asyncio.to_thread(act, message)
        self.board.tell(board.said("person", f"commits {commit[:8]}", message, "bold"))

    def _promise(self, check: Check) -> None:
        self.checks.append(check)
        mark, style = ("✓", "green") if check.kept else ("✗", "bold red")
        self.board.tell(board.said("check", mark, f"{check.promise}: {check.seen}", style))

    async def _until(self, stage: Stage) -> None:
        """Until this scene's work is done, with `stage` as its last."""
        await self._wait(lambda: any(one.stage == stage and one.step == "done" for one in self._events), what=stage)

    async def _enough_answers(self, revision: str) -> None:
        def answered() -> bool:
            return by_revision(self.record.latest(5.0))[revision] >= _ENOUGH_ANSWERS

        await self._wait(answered, what=f"{_ENOUGH_ANSWERS} answers of revision {revision}")

    async def _only(self, revision: str) -> None:
        """Looks at the answers of a moment."""
        begin = time.time()

        def answers() -> list[str | None]:
            return [answer.revision for answer in self.record.latest(10.0) if answer.sent >= begin]

        await self._wait(lambda: len(answers()) >= _ENOUGH_ANSWERS, what="answers")
        seen = answers()
        others = sum(1 for one in seen if one != revision)
        promise = f"then revision {revision} answers everything"
        self._promise(Check(promise, not others, f"{len(seen)} requests, {others} otherwise"))

    async def _watch_unloading(self, pods: set[str]) -> dict[str, float]:
        """When each of `pods` was first seen without the model, as its server proves."""
        gone: dict[str, float] = {}
        end = time.time() + _LONGEST_SCENE_SECONDS
        while gone.keys() != pods and time.time() < end:
            served = await self.machine.served(self.model)
            for name in pods - gone.keys():
                if served.get(name) is None:
                    gone[name] = time.time()
            await asyncio.sleep(0.05)
        return gone

    async def _wait(self, condition: Callable[[], bool], *, what: str) -> None:
        end = time.time() + _LONGEST_SCENE_SECONDS
        while not condition():
            if time.time() > end:
                raise Stuck(f"not seen within {_LONGEST_SCENE_SECONDS:g} s: {what}")
            self.machine.expect_running()
            if self._reader is not None and self._reader.done():
                self._reader.result()  # raises: nobody reads the branch any more
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def _following(self) -> AsyncIterator[None]:
        """Meanwhile the agent's branch is read, and what is new in it is told."""
        self._reader = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    async def _follow(self) -> None:
        events = self.history.events
        while True:
            told = len(events)
            await asyncio.to_thread(self.history.refresh)
            for index in range(told, len(events)):
                self._tell_share(events[index - 1] if index else None, events[index])
                self.board.tell(board.of_event(events[index]))
            await asyncio.sleep(_LOOK_SECONDS)

    def _tell_share(self, step: Event | None, after: Event) -> None:
        """What came of a traffic step, when it is over."""
        if step is not None and step.weight is not None:
            self.board.tell(board.of_share(checks.share(step, after.at, self.record), after.at))


SCENES = {
    "1. Revision 1: from a commit to live traffic": Story.first_revision,
    "2. Revision 2: 10 %, 50 %, promotion": Story.second_revision,
    "3. Revision 3 cannot be loaded: rolled back, revision 2 still answers": Story.broken_revision,
    "4. Revision 4: reverted in mid-rollout": Story.withdrawn_revision,
    "5. Deletion: the route goes first, then the model": Story.deletion,
}
