"""The seed of what is drawn by chance, the same for a whole run. `FRESCO_SEED` gives it, to see a run again."""

import os
import random

SEED = int(os.environ.get("FRESCO_SEED") or random.randrange(10**6))
