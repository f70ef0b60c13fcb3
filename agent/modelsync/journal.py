"""What must survive the sidecar's own end: loads under way, refusals, quarantine, readiness. One fsynced file. I/O.

Written before each load: when the server dies over one, the next start knows over which.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from agent.modelsync.identity import Identity, Key
from agent.modelsync.layout import Publication, write_atomically
from schemas.report import ReportError

FILE_NAME: Final = "journal.json"
_MOST_QUARANTINED: Final = 200
_LOG = logging.getLogger(__name__)


class LoadNote(msgspec.Struct, frozen=True):
    """A load that was about to be asked for. `crashes`: how often nobody saw how such a load ended."""

    publication: Publication
    previous: Publication | None
    attempt: int
    crashes: int = 0

    @property
    def directories(self) -> list[str]:
        """The publications that the end of this load decides between."""
        return [item.directory for item in (self.publication, self.previous) if item is not None]

    @property
    def key(self) -> Key:
        """What a verdict over this load is about."""
        return Key(self.publication.name, self.publication.target.identity, self.attempt)


class Quarantined(msgspec.Struct, frozen=True):
    """A verdict of this pod that no restart forgets."""

    name: str
    identity: Identity
    attempt: int
    error: ReportError

    @property
    def key(self) -> Key:
        """What the verdict is about."""
        return Key(self.name, self.identity, self.attempt)


class _Content(msgspec.Struct):
    loading: dict[str, LoadNote] = {}
    suspects: list[tuple[Key, int]] = []
    refusals: list[tuple[Key, int]] = []
    quarantined: list[Quarantined] = []
    was_ready: bool = False
    stopped: bool = False


class Journal:
    """The journal in `directory`. Each change is on disk when the method returns. Methods raise OSError; what could not
    be written is written with the next change."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._content = self._read()
        self._is_written = True

    def _read(self) -> _Content:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Content)
        except FileNotFoundError:
            return _Content()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            # It is only ever replaced whole, so the disk lost it. Ending for that would help nobody.
            _LOG.exception("%s is not a journal: starting with an empty one", self._path)
            return _Content()

    @property
    def loading(self) -> dict[str, LoadNote]:
        """The loads under way, by name."""
        return dict(self._content.loading)

    @property
    def quarantined(self) -> list[Quarantined]:
        """The verdicts that stand."""
        return list(self._content.quarantined)

    @property
    def was_ready(self) -> bool:
        """Whether this pod was ready when that was last written."""
        return self._content.was_ready

    def begin(self, note: LoadNote) -> None:
        """Before a load is asked for."""
        self._content.loading[note.publication.name] = note
        self._write()

    def end(self, name: str) -> None:
        """After a load has ended and the disk agrees with its end."""
        if self._content.loading.pop(name, None) is not None:
            self._write()

    def quarantine(self, key: Key, error: ReportError) -> None:
        """Never again on this pod, whatever restarts, until the entry's attempt is raised."""
        others = [item for item in self._content.quarantined if item.key != key]
        kept = [*others, Quarantined(key.name, key.identity, key.attempt, error)]
        self._content.quarantined = kept[-_MOST_QUARANTINED:]
        self._write()

    def crashes(self, key: Key) -> int:
        """How often a load of `key` was under way when both the server and the sidecar ended."""
        return dict(self._content.suspects).get(key, 0)

    def suspect(self, key: Key) -> None:
        """A load of `key` was under way when both ended."""
        counts = dict(self._content.suspects)
        counts[key] = counts.get(key, 0) + 1
        self._content.suspects = list(counts.items())[-_MOST_QUARANTINED:]
        self._write()

    def acquit(self, key: Key) -> None:
        """A load of `key` ended without harm."""
        counts = dict(self._content.suspects)
        if counts.pop(key, None) is not None:
            self._content.suspects = list(counts.items())
            self._write()

    @property
    def refusals(self) -> dict[Key, int]:
        """How often in a row the server has refused each load."""
        return dict(self._content.refusals)

    def set_refusals(self, counts: Mapping[Key, int]) -> None:
        """Notes how often in a row, for all loads that still matter."""
        kept = list(counts.items())[-_MOST_QUARANTINED:]
        if dict(kept) != dict(self._content.refusals):
            self._content.refusals = kept
            self._write()

    def set_ready(self, ready: bool) -> None:
        """Notes a change of readiness, and all that there was no room for before."""
        if ready != self._content.was_ready or not self._is_written:
            self._content.was_ready = ready
            self._write()

    def take_stopped(self) -> bool:
        """Whether the last end was an orderly one. Answers that once, if the disk has room to note it."""
        stopped = self._content.stopped
        if stopped:
            self._content.stopped = False
            with suppress(OSError):
                self._write()
        return stopped

    def stop(self) -> None:
        """An orderly end: loads under way are suspected of nothing."""
        self._content.stopped = True
        self._write()

    def _write(self) -> None:
        self._is_written = False
        write_atomically(self._path, msgspec.json.encode(self._content))
        self._is_written = True
