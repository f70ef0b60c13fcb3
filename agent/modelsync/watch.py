"""Noticing a new config at once: the only module with watchdog. Watches the directory, because the kubelet (and the
local node) swap a symlink in it and never write the file itself."""

import asyncio
import logging
from pathlib import Path

from watchdog.events import (
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

# What a swap or a plain rewrite ends with. Opening and reading, which the sidecar does itself, are not among it.
_EVENTS: list[type[FileSystemEvent]] = [
    FileMovedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
]


_LOG = logging.getLogger(__name__)


class DirectoryWatch:
    """Sets `changed` whenever something in `directory` changes. Without the directory nothing is watched."""

    def __init__(self, directory: Path, changed: asyncio.Event) -> None:
        self._directory, self._changed = directory, changed
        self._loop = asyncio.get_running_loop()
        self._observer = Observer()
        self._inode: int | None = None

    def start(self) -> None:
        """Begins to watch."""
        try:
            self._observer.start()
        except OSError as error:
            _LOG.warning("no events of the config: it is read at each resync alone: %s", error)
        self.refresh()

    def refresh(self) -> None:
        """Watches the directory if it is not watched yet, or has become another one. Call it at every resync."""
        inode = self._directory.stat().st_ino if self._directory.is_dir() else None
        if inode == self._inode:
            return
        if not self._observer.is_alive():
            return
        self._observer.unschedule_all()
        if inode is not None:
            try:
                self._observer.schedule(_Handler(self._loop, self._changed), str(self._directory), event_filter=_EVENTS)
            except OSError as error:
                _LOG.warning("no events of the config for now: %s", error)
                return
            self._changed.set()
        self._inode = inode

    def stop(self) -> None:
        """Ends the watching thread."""
        self._observer.stop()
        if self._observer.is_alive():
            self._observer.join()


class _Handler(FileSystemEventHandler):
    def __init__(self, loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
        self._loop, self._changed = loop, changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        # No debounce: a pass is cheap, and the next one sees whatever comes meanwhile.
        self._loop.call_soon_threadsafe(self._changed.set)
