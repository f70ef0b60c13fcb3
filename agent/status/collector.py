"""How often Python's garbage collector looks at all objects of the agent's process."""

import gc
from typing import Final

_YOUNG_COLLECTIONS: Final = 1000  # before one of all objects


def look_seldom() -> None:
    """What an agent reads stays, so looking through it finds nothing: 0.6 s a look for 10,000 Deployments."""
    gc.set_threshold(*gc.get_threshold()[:2], _YOUNG_COLLECTIONS)
