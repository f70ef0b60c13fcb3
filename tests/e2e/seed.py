"""What the faults of a session are drawn by: the same in every run, unless the environment says another one."""

import os
from typing import Final

SEED: Final = int(os.environ.get("FRESCO_SEED") or "706519")
