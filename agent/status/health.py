"""What the agent tells about itself: what stands in its way now, and its counters. Pure, but for the log."""

import logging
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

log = logging.getLogger(__name__)


class Trouble(StrEnum):
    """What can stand in the way, each until it is over."""

    REPOSITORY = "repository"
    CLONE = "clone"
    MAIN = "main"
    STATUS = "status"
    RENDER = "render"
    PUSH = "push"
    LEADER = "leader"
    CLUSTER = "cluster"


class Health:
    """Troubles by kind, and metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.commits = Counter("fresco_commits", "Commits pushed.", registry=self.registry)
        self.pushes_lost = Counter("fresco_pushes_lost", "Pushes that lost a race.", registry=self.registry)
        self.pushes_refused = Counter("fresco_pushes_refused", "Pushes that were refused.", registry=self.registry)
        self.advance_seconds = Histogram("fresco_advance_seconds", "Seconds a look took.", registry=self.registry)
        self.write_seconds = Histogram("fresco_write_seconds", "Seconds render and push took.", registry=self.registry)
        self.last_success = Gauge("fresco_last_success_seconds", "Time of the last fetch.", registry=self.registry)
        self._troubles: dict[Trouble, str] = {}

    @property
    def troubles(self) -> Mapping[Trouble, str]:
        """What stands in the way now, in words for people."""
        return MappingProxyType(self._troubles)

    def trouble(self, kind: Trouble, message: str) -> None:
        """Something stands in the way. Said once, not each time it is tried."""
        if self._troubles.get(kind) != message:
            log.error("%s: %s", kind, message)
        self._troubles[kind] = message

    def over(self, *kinds: Trouble) -> None:
        """It stands in the way no more."""
        for kind in kinds:
            if self._troubles.pop(kind, None) is not None:
                log.info("%s: in order again", kind)
