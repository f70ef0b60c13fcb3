"""`make fuzz`: what `make test` only samples, from a seed that is printed.

python -m tests.fuzz [--minutes M] [--seed N]

`fresco validate` is fed repositories that nobody would write, round after round. A failure prints the smallest one that
was found to fail, and becomes a row of `tests/render/test_traps.py`.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable

from hypothesis import HealthCheck, given, seed, settings

from tests.support.fuzzing import Repository, check, repositories

EXAMPLES = 500  # of one round


def main() -> int:
    """Runs until time is up; a failure ends it with an AssertionError that shows the repository."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Feeds fresco validate anything.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, help="of the first round (default: any)")
    options = parser.parse_args()
    first = options.seed if options.seed is not None else random.randrange(10**9)
    end, rounds = time.monotonic() + 60 * options.minutes, 0
    while time.monotonic() < end:
        print(f"seed {first + rounds}: {EXAMPLES} repositories", flush=True)
        seed(first + rounds)(_round())()
        rounds += 1
    print(f"nothing found in {rounds} rounds: {rounds * EXAMPLES} repositories")
    return 0


def _round() -> Callable[..., None]:
    how = settings(
        max_examples=EXAMPLES, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
    )

    @how
    @given(repositories())
    def once(files: Repository) -> None:
        check(files)

    return once


if __name__ == "__main__":
    sys.exit(main())
