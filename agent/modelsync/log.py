"""Logging: one line a decision on standard error, as text or as JSON. Changes the logging of the whole process."""

import logging
import sys
import time

import msgspec


def configure(*, json: bool, process: str) -> None:
    """Sets up logging for this `process` (a word to tell its lines by)."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter(f"%(asctime)s %(levelname)s {process} %(name)s: %(message)s")
    handler.setFormatter(_Json(process) if json else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # A line for each probe would drown the rest.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


class _Json(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()
