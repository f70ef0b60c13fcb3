"""The sidecar's one error, which carries what the report will say. Pure."""

import re

from schemas import limits
from schemas.report import Reason, ReportError


class Failed(Exception):
    """Something is wrong that the report has to tell.

    `permanent`: certain, trying again cannot help. `passing`: it never becomes certain, however often it is seen.
    """

    def __init__(self, reason: Reason, message: str, *, permanent: bool = False, passing: bool = False) -> None:
        self.reason, self.message = reason, one_line(message)
        super().__init__(f"{reason}: {self.message}")
        self.permanent, self.passing = permanent, passing

    def error(
        self, *, digest: str | None = None, attempt: int = 0, retries: int = 0, certain: bool = False
    ) -> ReportError:
        """This, as the report says it. `certain`: it was tried often enough to be taken for permanent."""
        return ReportError(
            reason=self.reason,
            message=self.message,
            permanent=self.permanent or certain,
            digest=digest,
            attempt=attempt,
            retries=retries,
        )


def one_line(message: str) -> str:
    """`message` as one printable line, cut to the report's limit, with URLs' queries taken out."""
    line = " ".join(message.split())
    line = re.sub(r"(\w+://[^\s?#'\"]+)[?#][^\s'\"]*", r"\1", line)
    line = "".join(character if character.isprintable() else "�" for character in line)
    return line if len(line) <= limits.MESSAGE_CHARACTERS else line[: limits.MESSAGE_CHARACTERS - 1] + "…"
