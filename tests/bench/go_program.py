"""Peers that are written in Go: built once from the module proxy, as their `go.mod` here pins them, and then kept in
the user's cache.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

_GO = "/usr/local/go/bin/go"  # where its own archive is unpacked to, often outside PATH


class Missing(Exception):
    """The peer cannot be made here. The message says what is missing."""


def program(module: Path, package: str) -> Path:
    """The program `package`, of the version that `module/go.mod` pins, built when it is not in the cache.

    Raises Missing.
    """
    name = package.rpartition("/")[2]
    pinned = re.search(rf"{re.escape(package.partition('/cmd/')[0])} (\S+)", (module / "go.mod").read_text("utf-8"))
    assert pinned is not None
    found = cache() / f"{name}-{pinned[1]}" / name
    if not found.exists():
        print(f"  building {name}, once: up to two minutes", flush=True)
        found.parent.mkdir(parents=True, exist_ok=True)
        fresh = found.with_name(f"{name}.{os.getpid()}")
        go("build", "-mod=readonly", "-trimpath", "-o", str(fresh), package, cwd=module)
        fresh.replace(found)
    return found


def go(*arguments: str, cwd: Path) -> str:
    """What `go` with `arguments` prints. Raises Missing."""
    command = shutil.which("go") or shutil.which(_GO)
    if command is None:
        raise Missing("there is no Go to build it: install Go (https://go.dev/dl)")
    done = subprocess.run([command, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"go {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def cache() -> Path:
    """Where such programs are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fresco"
