"""Reads the sidecars' reports over HTTP. I/O through aiohttp alone; what arrives is untrusted and checked here.

A report counts only if it obeys its contract, is within its size, and speaks of the very pod that was asked.
"""

import asyncio
import contextlib
import json
import logging
import random
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Final

import aiohttp
import msgspec
from msgspec.structs import replace

from agent.status.cluster import PodState
from schemas import limits
from schemas.report import SCHEMA_VERSION, ConfigReport, ModelReport, ReportError, SidecarReport

log = logging.getLogger(__name__)

GRACE: Final = 3.0  # seconds that a report stays believed while its sidecar does not answer
ANSWER: Final = 5.0  # seconds for an answer that the sidecar has at hand
CONNECT: Final = 2.0
SAMPLE: Final = 1.0  # seconds between samples of counters and progress, which end no poll by themselves
SAMPLES_A_SECOND: Final = 200  # of all pods together: of more pods each is sampled less often
FIRST_AT_ONCE: Final = 100  # pods asked for their first report: at a start thousands are to be
STILL_AT_ONCE: Final = 2000  # open polls of pods on whose servers nothing is under way: each takes some 16 KiB
BACKOFF: Final = (0.1, 5.0)  # seconds: first and longest pause between attempts

_decoder = msgspec.json.Decoder(SidecarReport)


class Refused(Exception):
    """An answer that is no report of the pod that was asked."""


class Turns:
    """How the pods of one cluster share the agent: it costs the same however many they are.

    `first`: held while a pod is asked for its first report. `still`: held by a poll of a pod where nothing is under
    way; of 10,000 such pods each is watched for 20 s or so of 100. Who waited longest is next.
    """

    def __init__(self) -> None:
        self.first = asyncio.Semaphore(FIRST_AT_ONCE)
        self.still = asyncio.Semaphore(STILL_AT_ONCE)
        self._sampled = 0

    def wait(self, *, closely: bool) -> float:
        """Seconds that a poll may last: until the next sample of a pod that is followed closely, else so long that
        thousands that began together do not end together."""
        if not closely:
            return limits.REPORT_POLL * random.uniform(0.5, 1.0)
        return min(limits.REPORT_POLL, max(SAMPLE, self._sampled / SAMPLES_A_SECOND))

    @contextlib.contextmanager
    def sampled(self) -> Iterator[None]:
        """While a pod is."""
        self._sampled += 1
        try:
            yield
        finally:
            self._sampled -= 1


def session() -> aiohttp.ClientSession:
    """A client session for untrusted answers and any number of polls: no decompression, cookies or proxies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )


async def follow(
    http: aiohttp.ClientSession, pod: PodState, *, closely: bool, turns: Turns
) -> AsyncIterator[SidecarReport | None]:
    """Every report of `pod`, as it comes; None, each time, while it has been out of reach for longer than `GRACE`.

    `closely`: sample counters and progress besides, and wait for no turn. Who does not answer holds up nobody: it has
    one turn for its first report. Never ends by itself, never fails.
    """
    turn: contextlib.AbstractAsyncContextManager[object] = turns.first
    loop = asyncio.get_running_loop()
    reached, after, pauses = loop.time(), None, _pauses()
    with turns.sampled() if closely else contextlib.nullcontext():
        while True:
            try:
                async with turn:
                    report = await _ask(http, pod, after=after, wait=turns.wait(closely=closely))
            except (aiohttp.ClientError, OSError, TimeoutError, Refused) as problem:
                level = logging.WARNING if isinstance(problem, Refused) else logging.DEBUG
                log.log(level, "no report of %s/%s: %s: %s", pod.namespace, pod.name, type(problem).__name__, problem)
                if loop.time() - reached >= GRACE:
                    yield None
                turn, after = contextlib.nullcontext(), None
                await asyncio.sleep(next(pauses))
                continue
            yield report
            turn = contextlib.nullcontext() if closely else turns.still
            reached, after, pauses = loop.time(), report.seq, _pauses()


def decode(body: bytes, pod: PodState) -> SidecarReport:
    """The report in `body`, its messages made one escaped line each. Raises Refused unless it is `pod`'s."""
    try:
        report = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise Refused(one_line(str(problem))) from problem
    if report.schema_version != SCHEMA_VERSION:
        raise Refused(f"schema version {report.schema_version}, expected {SCHEMA_VERSION}")
    asked = (pod.namespace, pod.server, pod.slice, pod.name)
    told = (report.namespace, report.server_name, report.slice, report.pod)
    if told != asked:
        raise Refused(f"expected {'/'.join(asked)}, got {one_line('/'.join(told))}")
    return _clean(report)


def one_line(text: str) -> str:
    """`text` on one printable line of at most `limits.MESSAGE_CHARACTERS`: the rest escaped, then cut."""
    if text.isprintable() and len(text) <= limits.MESSAGE_CHARACTERS:
        return text
    escaped = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text[: limits.MESSAGE_CHARACTERS])
    return escaped[: limits.MESSAGE_CHARACTERS]


async def _ask(http: aiohttp.ClientSession, pod: PodState, *, after: str | None, wait: float) -> SidecarReport:
    """The report at once, or with `after` once it has moved on from there, `wait` seconds later at the latest."""
    if after is None:
        return await _get(http, pod, {}, patience=ANSWER)
    return await _get(http, pod, {"after": after, "wait": f"{wait:.3f}"}, patience=wait + ANSWER)


async def _get(
    http: aiohttp.ClientSession, pod: PodState, parameters: dict[str, str], *, patience: float
) -> SidecarReport:
    timeout = aiohttp.ClientTimeout(total=patience, sock_connect=CONNECT)
    url = f"http://{pod.report}/v1/status"
    async with http.get(url, params=parameters, timeout=timeout, allow_redirects=False) as response:
        if response.status != 200:
            raise Refused(f"answered {response.status}")
        return decode(await _body(response), pod)


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limits.REPORT_BYTES:
            raise Refused(f"more than {limits.REPORT_BYTES} bytes")
    return bytes(body)


def _pauses() -> Iterator[float]:
    pause, longest = BACKOFF
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(pause * 2, longest)


def _clean(report: SidecarReport) -> SidecarReport:
    models = {name: _clean_model(model) for name, model in report.models.items()}
    return replace(report, models=models, config=_clean_config(report.config))


def _clean_model(model: ModelReport) -> ModelReport:
    """Digests become one string in all reports: thousands of replicas tell the same ones."""
    return replace(
        model,
        entry=_one(model.entry),
        staged=tuple(map(sys.intern, model.staged)),
        serving=_one(model.serving),
        error=_clean_error(model.error),
    )


def _one(text: str | None) -> str | None:
    return sys.intern(text) if text is not None else None


def _clean_config(config: ConfigReport) -> ConfigReport:
    error = _clean_error(config.error)
    return config if error is config.error else replace(config, error=error)


def _clean_error(error: ReportError | None) -> ReportError | None:
    if error is None or error.message == (line := one_line(error.message)):
        return error
    return replace(error, message=line)
