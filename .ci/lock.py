"""Writes one lock file, with hashes, for every set of packages that is installed somewhere: `make lock`.

Versions already locked stay while pyproject.toml allows them; `--upgrade` moves everything to the newest.
The other files take their versions from the developers' one, so what is tested is what is installed.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")
EVERYTHING = "dev"
SETS: dict[str, tuple[str, ...]] = {
    EVERYTHING: ("pyproject.toml", "--extra=local", "--extra=lock", "--group=dev"),
    "fresco": ("pyproject.toml",),
    "lock": ("pyproject.toml", "--extra=lock"),
    "agent": ("pyproject.toml", "--extra=agent"),
    "model-sync": ("pyproject.toml", "--extra=model-sync"),
    "local": ("pyproject.toml", "--extra=local"),
    "build": ("--group=build",),
}
"""Lock file → what of pyproject.toml it installs. The first constrains the others."""

COMPILE = (
    "pip",
    "compile",
    "--quiet",
    "--generate-hashes",
    "--universal",
    "--python-version=3.11",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--custom-compile-command=make lock",
)


def main() -> int:
    """Write all lock files. The exit code is uv's, which has said what is wrong."""
    for name, chosen in SETS.items():
        constraints = () if name == EVERYTHING else (f"--constraint=.ci/locks/{EVERYTHING}.txt",)
        print(f".ci/locks/{name}.txt", flush=True)
        arguments = (*COMPILE, *chosen, *constraints, *sys.argv[1:], f"--output-file=.ci/locks/{name}.txt")
        done = subprocess.run([UV, *arguments], cwd=ROOT, check=False)
        if done.returncode != 0:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
