"""What the gateway sends to which pod, by Envoy's own counters, beside what the node says of the pod's readiness.

I/O: two small GETs, ten times a second, in a thread of its own.
"""

import json
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.e2e.harness import LocalFresco

NOTICE = 1.0  # seconds that Envoy has to take over that a pod is not ready any more
_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """`sent`: requests by pod since Envoy began to send to it. `unready`: the pods that were not ready before and after
    that was asked."""

    at: float
    sent: Mapping[str, int]
    unready: frozenset[str]


class RequestsSeen:
    """Samples while the block runs."""

    def __init__(self, fresco: LocalFresco) -> None:
        self._fresco = fresco
        self._samples: list[Sample] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="requests-seen")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def unready(self) -> set[str]:
        """The pods that were seen unready for longer than it takes to notice."""
        return {pod for pod, _ in self._intervals()}

    def by_unready_pods(self) -> dict[str, int]:
        """How many requests were sent to pods that had been unready for longer than it takes to notice."""
        sent: dict[str, int] = defaultdict(int)
        for pod, count in self._intervals():
            sent[pod] += count
        return {pod: count for pod, count in sent.items() if count}

    def _intervals(self) -> list[tuple[str, int]]:
        """Pod and requests, for each time between two samples in which a pod was known to be unready."""
        found: list[tuple[str, int]] = []
        since: dict[str, float] = {}
        for before, after in zip(self._samples, self._samples[1:], strict=False):
            since = {pod: since.get(pod, before.at) for pod in before.unready}
            long_known = {pod for pod in before.unready & after.unready if before.at - since[pod] >= NOTICE}
            found += [(pod, max(0, after.sent.get(pod, 0) - before.sent.get(pod, 0))) for pod in long_known]
        return found

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE):
            before, at = self._fresco.unready(), time.monotonic()
            sent, after = self._sent(), self._fresco.unready()
            if sent is not None:
                self._samples.append(Sample(at, sent, before & after))

    def _sent(self) -> Mapping[str, int] | None:
        pods = self._fresco.pods_by_port()
        try:
            url = f"http://127.0.0.1:{self._fresco.admin_port()}/clusters?format=json"
            with urllib.request.urlopen(url, timeout=5.0) as answer:
                clusters = json.loads(answer.read()).get("cluster_statuses", [])
        except (OSError, ValueError):
            return None
        sent: dict[str, int] = defaultdict(int)
        for host in (host for cluster in clusters for host in cluster.get("host_statuses", [])):
            counts = {one["name"]: int(one.get("value", 0)) for one in host["stats"]}
            sent[pods.get(host["address"]["socket_address"]["port_value"], "?")] += counts.get("rq_total", 0)
        return sent
