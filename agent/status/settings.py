"""What a status agent is told when it starts. Pure."""

from dataclasses import dataclass
from pathlib import Path

from render.repository import Credentials
from render.resolve import default_branch
from schemas import limits


@dataclass(frozen=True, slots=True)
class Settings:
    """`repository`: URL, HTTP(S) or SSH. `main`: the humans' branch. `data`: a directory that may be lost.
    Times in seconds; `web_port` 0 takes a free port. `version`: of Fresco."""

    repository: str
    cluster: str
    data: Path
    main: str = "main"
    credentials: Credentials | None = None
    poll: float = limits.POLL_MAIN
    window: float = limits.COMMIT_WINDOW
    resync: float = limits.RESYNC
    web_host: str = "127.0.0.1"
    web_port: int = 0
    version: str = "0"

    @property
    def branch(self) -> str:
        """The cluster's branch, unless `fresco.yaml` names another."""
        return default_branch(self.cluster)
