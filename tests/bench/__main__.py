"""`make bench`: every figure beside a peer's on the same work in the same run, and how it was measured.

python -m tests.bench [config-to-load] [commit-to-answer] [size] [checking]
"""

import argparse
import sys
from types import ModuleType

from tests.bench import checking, commit_to_answer, config_to_load, size
from tests.bench.numbers import machine

BENCHES: dict[str, ModuleType] = {
    "config-to-load": config_to_load,
    "commit-to-answer": commit_to_answer,
    "size": size,
    "checking": checking,
}
"""By name: a module whose docstring is the method, and whose `run` gives the lines to print."""


def main() -> int:
    """Runs the benches that are named, all unless any are."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures Fresco against peers.")
    parser.add_argument("names", nargs="*", choices=[[], *BENCHES], metavar="NAME", help=", ".join(BENCHES))
    names = parser.parse_args().names or list(BENCHES)
    print(f"on {machine()}")
    for name in names:
        print(f"\n{(BENCHES[name].__doc__ or '').strip()}\n", flush=True)
        for line in BENCHES[name].run():
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
