"""What the worker tells its supervisor, one JSON value a line. Pure."""

import msgspec

from schemas.report import SidecarReport


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: a report with what the liveness probe is told, or metrics that were asked for."""

    report: SidecarReport | None = None
    alive: bool = True
    metrics: str | None = None
