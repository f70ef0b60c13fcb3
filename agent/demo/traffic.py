"""Requests at a constant rate, and a record of every answer. I/O: HTTP to the gateway.

The load is open: a slow answer does not hold the next request back, as it would not hold back other people's.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp

_PATIENCE_SECONDS = 10.0
_LONGEST_BURST_SECONDS = 0.5  # what was missed while this process did not run is made up for, but not all at once


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, again and again: a request to a model whose first output is the label of its revision."""

    url: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and what came of it. Times are POSIX seconds. `status`: of HTTP, None when no answer came;
    `revision`: who answered, None for a failure, of which `problem` tells more."""

    sent: float
    ended: float
    status: int | None
    revision: str | None
    problem: str = ""

    @property
    def no_route(self) -> bool:
        """The gateway's own answer where it has no route: 404, without a body."""
        return self.status == 404 and not self.problem


@dataclass(slots=True)
class Record:
    """All answers, in the order in which they came."""

    answers: list[Answer] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        """Takes one more."""
        self.answers.append(answer)

    def sent_between(self, start: float, end: float) -> list[Answer]:
        """The answers to requests sent from `start` to `end`, POSIX seconds."""
        return [answer for answer in self.answers if start <= answer.sent <= end]

    def latest(self, seconds: float) -> Iterator[Answer]:
        """The answers of the last `seconds`, newest first."""
        since = time.time() - seconds
        for answer in reversed(self.answers):
            if answer.ended < since:
                return
            yield answer


def by_revision(answers: Iterator[Answer] | list[Answer]) -> Counter[str]:
    """How many answers each revision gave."""
    return Counter(answer.revision for answer in answers if answer.revision is not None)


class Traffic:
    """Asks `question` `rate` times a second, with at most `in_flight` questions open, until told to stop."""

    def __init__(self, question: Question, record: Record, *, rate: float, in_flight: int) -> None:
        self._question, self._record, self._rate = question, record, rate
        self._room = asyncio.Semaphore(in_flight)
        self._stopping = False

    def stop(self) -> None:
        """No further request; `run` returns when those in flight have their answers."""
        self._stopping = True

    async def run(self) -> None:
        """Sends until `stop`."""
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_SECONDS)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http, asyncio.TaskGroup() as group:
            loop = asyncio.get_running_loop()
            due = loop.time()
            while not self._stopping:
                await self._room.acquire()
                group.create_task(self._send(http))
                due = max(due + 1 / self._rate, loop.time() - _LONGEST_BURST_SECONDS)
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def _send(self, http: aiohttp.ClientSession) -> None:
        try:
            self._record.add(await _ask(http, self._question))
        finally:
            self._room.release()


async def _ask(http: aiohttp.ClientSession, question: Question) -> Answer:
    sent = time.time()
    try:
        async with http.post(question.url, data=question.body) as response:
            content = await response.read()
            return _answer(sent, response.status, content)
    except (aiohttp.ClientError, TimeoutError) as error:
        return Answer(sent, time.time(), None, None, f"{type(error).__name__}: {error}")


def _answer(sent: float, status: int, content: bytes) -> Answer:
    ended = time.time()
    if status != 200:
        return Answer(sent, ended, status, None, " ".join(content.decode("utf-8", "replace").split())[:200])
    return Answer(sent, ended, status, str(json.loads(content)["outputs"][0]["data"][0]))
