"""`make soak`: the rules under random humans, faults and times, for as long as asked, from a seed that is printed.

python -m tests.soak [--minutes M] [--seed N]

A failure prints the steps that lead to it, made as few as possible, and becomes a case in
`tests/render/rollout/test_found.py`.
"""

import argparse
import random
import sys
import time

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.render.rollout.test_machine import Humans

EXAMPLES, STEPS = 100, 60  # of one round


def main() -> int:
    """Runs round after round, each with the next seed, until time is up or something is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Tries to break the rules of a rollout.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, help="of the first round (default: any)")
    options = parser.parse_args()
    first = options.seed if options.seed is not None else random.randrange(10**9)
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    end, rounds = time.monotonic() + 60 * options.minutes, 0
    while time.monotonic() < end:
        print(f"seed {first + rounds}: {EXAMPLES} runs of {STEPS} steps", flush=True)
        run_state_machine_as_test(seed(first + rounds)(type("Seeded", (Humans,), {})), settings=how)
        rounds += 1
    print(f"nothing found in {rounds} rounds: {rounds * EXAMPLES} runs, {rounds * EXAMPLES * STEPS} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
