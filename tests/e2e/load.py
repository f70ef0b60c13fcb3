"""Constant load through the gateway, and the ledger of all of it. I/O: HTTP, in a thread of its own.

A request that fails is a failure of the test, unless it fell into a time in which the gateway itself was down: then it
would have failed without Fresco too, and is told apart.
"""

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp

from tests.e2e.artifacts import QUESTION

_PATIENCE = 20.0  # seconds for one answer
_LONGEST_CATCH_UP = 0.2  # seconds of requests that are made up for after a pause of this machine


@dataclass(slots=True)
class Ledger:
    """Requests of one load, or of a whole session. `excused`: failed while there was no gateway. `wrong`: answered by
    a revision that was not meant to serve then."""

    sent: int = 0
    failed: int = 0
    excused: int = 0
    wrong: int = 0
    revisions: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Ledger") -> None:
        """Adds another ledger's numbers."""
        self.sent += other.sent
        self.failed += other.failed
        self.excused += other.excused
        self.wrong += other.wrong
        self.revisions += other.revisions


SESSION = Ledger()
"""All loads of this test session."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and what came of it; times by the monotonic clock. `revision`: None for a failure."""

    sent: float
    ended: float
    revision: str | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Meant:
    since: float
    revisions: frozenset[str]


class Load:
    """Asks one model about `rate` times a second from `start` to `stop`; a slow answer holds nothing back."""

    def __init__(self, url: str, *, rate: float = 20.0) -> None:
        self._url = url
        self._rate = rate
        self._answers: list[Answer] = []
        self._meant: list[_Meant] = []
        self._down: list[tuple[float, float]] = []
        self._hung: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    def start(self, *revisions: str) -> None:
        """Begins. Only `revisions` are meant to answer."""
        self.expect(*revisions)
        self._thread.start()

    def stop(self) -> None:
        """Ends when all requests in flight are answered, and enters the sums into the session's ledger."""
        self._stop.set()
        self._thread.join()
        SESSION.add(self.ledger())

    # ---- what is meant

    def expect(self, *revisions: str) -> None:
        """From now on only `revisions` are meant to answer."""
        self._meant.append(_Meant(time.monotonic(), frozenset(revisions)))

    @property
    def meant(self) -> frozenset[str]:
        """The revisions that are meant to answer now."""
        return self._meant[-1].revisions

    @contextlib.contextmanager
    def gateway_down(self) -> Iterator[None]:
        """No gateway while the block runs: requests that overlap it may fail."""
        begin = time.monotonic()
        yield
        self._down.append((begin, time.monotonic()))

    @contextlib.contextmanager
    def server_hangs(self) -> Iterator[None]:
        """A server that takes requests and answers none, while the block runs: those sent meanwhile may wait for longer
        than a client does."""
        begin = time.monotonic()
        yield
        self._hung.append((begin, time.monotonic()))

    # ---- what was seen

    def ledger(self, since: float = 0.0) -> Ledger:
        """The sums over the requests sent since then, by the monotonic clock."""
        answers = [answer for answer in list(self._answers) if answer.sent >= since]
        failures = [answer for answer in answers if answer.revision is None]
        excused = sum(self._is_excused(answer) for answer in failures)
        return Ledger(
            sent=len(answers),
            failed=len(failures) - excused,
            excused=excused,
            wrong=len(self.wrong(since)),
            revisions=Counter(answer.revision for answer in answers if answer.revision is not None),
        )

    def problems(self, since: float = 0.0) -> list[str]:
        """What was said of requests that failed without excuse, each different problem once."""
        failures = [one for one in list(self._answers) if one.sent >= since and one.revision is None]
        return list(dict.fromkeys(one.problem for one in failures if not self._is_excused(one)))

    def wrong(self, since: float = 0.0) -> list[str]:
        """The revisions that answered and were not meant to at any time between question and answer."""
        answers = [answer for answer in list(self._answers) if answer.sent >= since and answer.revision is not None]
        return [str(answer.revision) for answer in answers if answer.revision not in self._meant_for(answer)]

    @property
    def answered(self) -> int:
        """How many answers a model gave so far."""
        return sum(answer.revision is not None for answer in list(self._answers))

    def first(self, revision: str) -> Answer | None:
        """The first answer of a revision."""
        return next((answer for answer in list(self._answers) if answer.revision == revision), None)

    def _is_excused(self, answer: Answer) -> bool:
        down = any(answer.sent <= end and answer.ended >= begin for begin, end in self._down)
        hung = any(begin <= answer.sent <= end for begin, end in self._hung)
        return down or (hung and answer.ended - answer.sent >= _PATIENCE)

    def _meant_for(self, answer: Answer) -> set[str]:
        ends = [*(meant.since for meant in self._meant[1:]), float("inf")]
        overlapping = (
            meant
            for meant, end in zip(self._meant, ends, strict=True)
            if meant.since <= answer.ended and end >= answer.sent
        )
        return {revision for meant in overlapping for revision in meant.revisions}

    # ---- asking

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        connector = aiohttp.TCPConnector(limit=0)
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http, asyncio.TaskGroup() as group:
            due = loop.time()
            while not self._stop.is_set():
                group.create_task(self._ask(http))
                # Two loads in step with each other would each have one of two servers to itself, by turns.
                pause = random.uniform(0.5, 1.5) / self._rate
                due = max(due + pause, loop.time() - _LONGEST_CATCH_UP)
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def _ask(self, http: aiohttp.ClientSession) -> None:
        sent = time.monotonic()
        try:
            async with http.post(self._url, json=QUESTION) as response:
                text = await response.text()
                revision = str((await response.json())["outputs"][0]["data"][0]) if response.status == 200 else None
                problem = "" if revision is not None else f"{response.status} {text[:200]}"
        except (aiohttp.ClientError, TimeoutError, ValueError, LookupError) as error:
            revision, problem = None, f"{type(error).__name__}: {error}"
        self._answers.append(Answer(sent, time.monotonic(), revision, problem))
