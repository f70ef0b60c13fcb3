"""Makes the virtual environment that the lock file describes, or says in plain words what this machine lacks.

Standard library only, and plain enough for Python 3.6 to read: it is what tells the owner of an old Python so.

    python3 .ci/environment.py .venv .ci/locks/dev.txt
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Dict, Optional, Tuple

Version = Tuple[int, ...]

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
OLDEST_GLIBC = (2, 35)
"""The wheel with Triton is built for Linux x86-64 with this C library or a newer one."""
NEWEST_WITH_NUMPY = (3, 12)
"""The last Python that numpy 1, which Triton's stubs need, has wheels for. On later ones pip compiles it."""
TRITON = "nvidia-pytriton"
STUBS = Path("pytriton", "tritonserver", "python_backend_stubs")
"""Where the wheel with Triton keeps one folder per Python that can run models."""
PYTHON = sys.version_info[:2]


class Lacking(Exception):
    """Something this machine does not have. The message says what, and what to do."""


def main() -> int:
    """Exit code 0: the environment is ready. 1: the machine lacks something, which is printed. 2: wrong arguments."""
    if len(sys.argv) != 3:
        print("usage: environment.py VENV LOCK", file=sys.stderr)
        return 2
    venv, lock = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        check_python(PYTHON, sys.executable)
        check_platform(platform.system(), platform.machine(), platform.libc_ver())
        check_git(shutil.which("git"))
        prepare(venv, lock)
    except Lacking as lacking:
        print(f"\n{lacking}", file=sys.stderr)
        return 1
    return 0


def prepare(venv: Path, lock: Path) -> None:
    """Triton first: it decides whether this Python will do, before anything else is downloaded or compiled."""
    print(f"Making {venv} with Python {platform.python_version()} ({sys.executable})", flush=True)
    create(venv)
    print(f"Installing Triton ({TRITON})", flush=True)
    install(venv, only(TRITON, lock))
    check_stub(venv / "lib" / f"python{dotted(PYTHON)}" / "site-packages", PYTHON)
    if PYTHON > NEWEST_WITH_NUMPY:
        check_compiler(shutil.which("c++"), Path(sysconfig.get_path("include"), "Python.h"))
        print(f"For Python {dotted(PYTHON)} numpy 1 is compiled: that takes some minutes", flush=True)
    print(f"Installing {lock} (about 150 MB the first time)", flush=True)
    install(venv, lock.read_text(encoding="utf-8"))
    check_stub_starts(venv)


def check_python(version: Version, executable: str) -> None:
    """Raises Lacking for a Python that is too old."""
    if version < OLDEST_PYTHON:
        raise Lacking(
            f"Fresco needs Python {dotted(OLDEST_PYTHON)} or newer; {executable} is {dotted(version)}.\n"
            "Install one, or name it: make PYTHON=/path/to/python3.11"
        )


def check_platform(system: str, machine: str, libc: Tuple[str, str]) -> None:
    """Raises Lacking where the wheels of Triton and Envoy do not run. `libc` is (name, version)."""
    if (system, machine) != ("Linux", "x86_64"):
        raise Lacking(
            "The demo and the tests run real Triton and Envoy servers, and their wheels are for Linux on x86-64 only; "
            f"this is {system} on {machine}."
        )
    name, version = libc
    if name != "glibc" or numbers(version) < OLDEST_GLIBC:
        raise Lacking(
            f"The wheel with Triton needs glibc {dotted(OLDEST_GLIBC)} or newer (Ubuntu 22.04, Debian 12, Fedora 36); "
            f"this machine has {' '.join(libc).strip() or 'another C library'}."
        )


def check_git(git: Optional[str]) -> None:
    """Raises Lacking without git (`git` is its path) or without the HTTP server that comes with it."""
    if git is None:
        raise Lacking("git is missing. Install it with the system's packages, e.g. apt install git")
    programs = subprocess.run([git, "--exec-path"], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    if not Path(programs, "git-http-backend").exists():
        raise Lacking(
            "The demo and the tests serve their repositories with git's own http-backend, which this git lacks "
            f"({programs}/git-http-backend). Install the full git package."
        )


def create(venv: Path) -> None:
    """A fresh environment each time, so that it holds what the lock says and nothing else."""
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if made.returncode != 0:
        raise Lacking(
            f"{sys.executable} cannot make a virtual environment:\n{indented(made.stdout.decode(errors='replace'))}\n"
            f"On Debian and Ubuntu its module is a package of its own: apt install python{dotted(PYTHON)}-venv"
        )


def only(name: str, lock: Path) -> str:
    """What the lock says of one package: its pin and the hashes below it."""
    text = lock.read_text(encoding="utf-8")
    block = re.search(rf"^{re.escape(name)}==.*\n(?:[ ].*\n)*", text, flags=re.MULTILINE)
    if block is None:
        raise Lacking(f"{lock} does not pin {name}: make lock writes it anew.")
    return block.group()


def install(venv: Path, pins: str) -> None:
    """Exactly these pins, every file checked against its hash. The lock is complete, so pip resolves nothing."""
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    command = [*pip, "--no-deps", "--require-hashes", "--requirement", "/dev/stdin"]
    if subprocess.run(command, input=pins.encode(), env=environment(), check=False).returncode != 0:
        raise Lacking(
            f"pip could not install this; its words are above. This is Python {dotted(PYTHON)}, and Fresco is tested "
            "with 3.11, 3.12 and 3.13: another one can be named with make PYTHON=python3.12.\n"
            "Otherwise look at the network and at pip's settings (pip config list)."
        )


def environment() -> Dict[str, str]:
    """This process' environment, without what would send pip elsewhere than into the new virtual environment."""
    ignored = {"PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PYTHONHOME", "PYTHONPATH"}
    return {name: value for name, value in os.environ.items() if name not in ignored}


def check_stub(packages: Path, version: Version) -> None:
    """Raises Lacking when the Triton installed in `packages` cannot run models with this Python."""
    stubs = packages / STUBS
    if (stubs / dotted(version)).is_dir():
        return
    known = sorted(numbers(entry.name) for entry in stubs.iterdir()) if stubs.is_dir() else []
    raise Lacking(
        f"Triton's wheel cannot run models with Python {dotted(version)}: it has a stub for "
        f"{', '.join(map(dotted, known)) or 'no Python'} ({stubs}).\n"
        "Install a newer one of these, and name it: make PYTHON=python3.12"
    )


def check_stub_starts(venv: Path) -> None:
    """Raises Lacking when Triton's stub does not run here, as where Python's shared library is a package of its own."""
    program = "import pathlib; from agent.local import triton_wheel; triton_wheel.prepare_backend(pathlib.Path({!r}))"
    python = str(venv.resolve() / "bin" / "python")
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(
            [python, "-c", program.format(folder)], cwd=str(ROOT), stderr=subprocess.PIPE, check=False
        )
    if tried.returncode != 0:
        raise Lacking(
            f"{tried.stderr.decode(errors='replace').strip().splitlines()[-1]}\n"
            f"When it is libpython that is missing, on Debian and Ubuntu: apt install libpython{dotted(PYTHON)}"
        )


def check_compiler(compiler: Optional[str], header: Path) -> None:
    """Raises Lacking where numpy cannot be compiled: no `compiler`, or no Python.h, which is `header`."""
    if compiler is None or not header.exists():
        raise Lacking(
            f"Triton's models need numpy 1, which has no wheel for Python {dotted(PYTHON)}: use Python 3.11 or 3.12 "
            "(make PYTHON=python3.12).\n"
            f"Or have it compiled: that needs {header} and c++; on Debian and Ubuntu: "
            f"apt install g++ python{dotted(PYTHON)}-dev"
        )


def dotted(version: Version) -> str:
    """(3, 11) → '3.11'."""
    return ".".join(map(str, version))


def numbers(version: str) -> Version:
    """'2.35' → (2, 35). What is no number is left out, so that an unknown version is older than any."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def indented(text: str) -> str:
    """The text as a block of its own."""
    return "\n".join("    " + line for line in text.strip().splitlines())


if __name__ == "__main__":
    sys.exit(main())
