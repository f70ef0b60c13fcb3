"""What a commit on a cluster's branch says of itself, by the names of its trailers; and who writes there. Pure."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final

AUTHOR: Final = ("fresco-agent", "fresco-agent@serving.fresco.dev")
SOURCE: Final = "Source-Commit"
VERSION: Final = "Fresco-Version"
EPOCH: Final = "Lease-Epoch"
REASON: Final = "Reason"
ALL: Final = (SOURCE, VERSION, EPOCH, REASON)


def installed_version() -> str:
    """The version of this Fresco as the agent writes it down, also where it runs from a checkout nobody installed."""
    try:
        return version("fresco")
    except PackageNotFoundError:
        return "0+unknown"
