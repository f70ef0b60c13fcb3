"""`make soak`: what `make test` only samples, from a seed that is printed.

python -m tests.soak [--what rules|faults|all] [--minutes M] [--seed N]

`rules`: the rules under random humans, faults and times, for as long as asked. A failure prints the steps that lead to
it, made as few as possible, and becomes a case in `tests/render/rollout/test_found.py`.
`faults`: every program of a real Fresco killed and stopped at every stage, each once, under load: about half an hour.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.e2e import faults
from tests.e2e.faults import Trial
from tests.e2e.load import SESSION
from tests.e2e.world import checked, world
from tests.render.rollout.test_machine import Humans

EXAMPLES, STEPS = 100, 60  # of one round


def main() -> int:
    """Runs what is asked for. Returns 1 when a fault did harm; broken rules end it with the steps that lead there."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Tries to break the promises.")
    parser.add_argument("--what", choices=[*_KINDS, "all"], default="all", help="what to try (default: all)")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the rules are tried (default: 10)")
    parser.add_argument("--seed", type=int, help="of the first round (default: any)")
    options = parser.parse_args()
    first = options.seed if options.seed is not None else random.randrange(10**9)
    kinds = list(_KINDS.values()) if options.what == "all" else [_KINDS[options.what]]
    return max(kind(first, options.minutes) for kind in kinds)


def try_rules(first: int, minutes: float) -> int:
    """Round after round, each with the next seed, until time is up or something is found."""
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    end, rounds = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        print(f"seed {first + rounds}: {EXAMPLES} runs of {STEPS} steps", flush=True)
        run_state_machine_as_test(seed(first + rounds)(type("Seeded", (Humans,), {})), settings=how)
        rounds += 1
    print(f"nothing found in {rounds} rounds: {rounds * EXAMPLES} runs, {rounds * EXAMPLES * STEPS} steps")
    return 0


def try_faults(first: int, minutes: float) -> int:
    """All of them, in an order that the seed gives. After one that did harm the others are tried on a new Fresco."""
    dice, left, harmful = random.Random(first), faults.trials(), list[Trial]()
    dice.shuffle(left)
    print(f"seed {first}: {len(left)} faults", flush=True)
    while left:
        with tempfile.TemporaryDirectory(prefix="fresco-soak-") as directory:
            harmful += _until_harm(Path(directory), left, dice)
    print(f"{SESSION.sent} requests: {SESSION.failed} failed, {SESSION.excused} more without a gateway, ", end="")
    print(f"{SESSION.wrong} answered by a wrong revision")
    print(f"harm was done by {len(harmful)}: {', '.join(map(str, harmful)) or 'none'}")
    return int(bool(harmful))


def _until_harm(directory: Path, left: list[Trial], dice: random.Random) -> list[Trial]:
    """Takes trials from `left` until there are none, or one did harm. Returns that one."""
    trial = left[-1]
    try:
        with world(directory, load_deadline="5m") as made:
            while left:
                trial = left.pop()
                begin = time.monotonic()
                with checked(made):
                    faults.suffer(made, trial, dice)
                print(f"{trial}: no harm, {time.monotonic() - begin:.1f} s", flush=True)
    except AssertionError as error:
        print(f"{trial}: {error}", flush=True)
        return [trial]
    return []


_KINDS: dict[str, Callable[[int, float], int]] = {"rules": try_rules, "faults": try_faults}

if __name__ == "__main__":
    sys.exit(main())
