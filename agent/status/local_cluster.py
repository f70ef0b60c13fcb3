"""The cluster of local mode: asks its node over HTTP on 127.0.0.1. I/O: aiohttp, and the lease, a small file.

The node may be killed and come back, on another port even; so its address is read again for every call.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from agent.status.cluster import ClusterState, ClusterUnavailable, Lease

log = logging.getLogger(__name__)

ADDRESSES: Final = "node.json"  # the node writes it: {"api": "host:port", "gateway": "host:port"}
_LEASE: Final = "lease"
_POLL: Final = aiohttp.ClientTimeout(total=60.0, connect=2.0)  # longer than the node lets a poll wait
_ANSWER: Final = aiohttp.ClientTimeout(total=30.0, connect=2.0)
_PAUSES: Final = (0.02, 1.0)  # seconds: first and longest between attempts, doubling


class LocalCluster:
    """A `Cluster`. `directory`: that of the node. `http`: is handed over, not closed."""

    def __init__(self, directory: Path, http: aiohttp.ClientSession) -> None:
        self._directory = directory
        self._http = http

    async def apply(self, commit: str) -> None:
        """Tells the node of `commit`. Raises ClusterUnavailable, also when the node refuses the commit."""
        try:
            async with self._http.post(f"{self._api()}/apply", json={"commit": commit}, timeout=_ANSWER) as answer:
                if answer.status != 204:
                    raise ClusterUnavailable(f"the node does not apply {commit}: {(await answer.text())[:500]}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterUnavailable(f"the node does not answer: {error}") from error

    async def watch(self) -> AsyncGenerator[ClusterState, None]:
        """The state now, then again after each change. Goes on over failures of the connection."""
        seen, pause = -1, _PAUSES[0]
        while True:
            try:
                state = await self._state(seen)
            except ClusterUnavailable as problem:
                log.debug("%s", problem)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSES[1])
                continue
            pause = _PAUSES[0]
            if state.seq != seen:
                seen = state.seq
                yield state

    async def nudge(self, pods: Iterable[str]) -> None:
        """Nothing to do: the node replaces mounted configs as soon as it applies them."""

    async def lease(self) -> Lease:
        """When it was renewed last."""
        known = _read(self._directory / _LEASE)
        return Lease(last_renewal=float(known["renewed"]) if known else None)

    async def renew(self, now: float) -> None:
        """Writes `now` down. Raises ClusterUnavailable when that is not possible."""
        path = self._directory / _LEASE
        temporary = path.with_name(f".{_LEASE}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"renewed": now}))
            temporary.replace(path)
        except OSError as error:
            raise ClusterUnavailable(f"cannot write the lease: {error}") from error

    async def _state(self, after: int) -> ClusterState:
        try:
            query = {"after": str(after)}
            async with self._http.get(f"{self._api()}/state", params=query, timeout=_POLL) as answer:
                answer.raise_for_status()
                return msgspec.json.decode(await answer.read(), type=ClusterState)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            raise ClusterUnavailable(f"the node does not answer: {error}") from error

    def _api(self) -> str:
        known = _read(self._directory / ADDRESSES)
        if known is None:
            raise ClusterUnavailable(f"no node has started in {self._directory} yet")
        return f"http://{known['api']}"


def _read(path: Path) -> Any:
    """A small JSON file, always written whole; None where there is none yet."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
