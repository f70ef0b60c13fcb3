"""Every exception that crosses a module's border, and the one place that turns them into exit codes. Pure.

A problem in a human's file is no exception but a finding (`schemas.status.Finding`).
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the `fresco` program's exit status says."""

    FINE = 0
    FINDINGS = 1
    WRONG_USE = 2
    OUR_BUG = 3


class FrescoError(Exception):
    """Something that a person can mend; its text says what and how. `exit_code` is what the program ends with."""

    exit_code = ExitCode.WRONG_USE


class NotFound(FrescoError):
    """A repository, revision, file or cluster that was asked for does not exist."""


class AlreadyThere(FrescoError):
    """A file that would be written exists, and people's files are never overwritten."""


class RemoteUnavailable(FrescoError):
    """The remote repository cannot be reached or refuses to answer: try again later."""


class CloneUnwritable(FrescoError):
    """The repository on this machine's own disk cannot be written, because that is full or broken: try again later."""


class StatusUnreadable(FrescoError):
    """A status tree breaks its contract, or is newer than this program. Nothing may be rendered from it."""


class TooLarge(FrescoError):
    """A rendered object is larger than Kubernetes, or our own limit, takes."""

    exit_code = ExitCode.FINDINGS


class InvalidRepository(FrescoError):
    """`fresco.yaml` is missing or broken, so nothing can be rendered. The findings were reported."""

    exit_code = ExitCode.FINDINGS
