"""zsh and fish: the machine's own, or from the packages of its distribution, without root.

Completion is a conversation with a shell, so a test needs the shell itself, and few machines have all three. Where one
is missing, apt fetches its packages once, by the lists that the machine's own sources give and sign, and compares every
file with the checksum there. They are unpacked into the user's cache directory, in a folder that is named after the
distribution's release, and run from there.
"""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

_PACKAGES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "zsh": ("zsh", "zsh-common", "libcap2"),
        "fish": ("fish", "fish-common", "libpcre2-32-0"),
    }
)
"""What a shell needs besides what every machine with bash and apt has."""


class Missing(Exception):
    """The shell cannot be had here. The message says why, and what to do."""


class Shell(NamedTuple):
    """A `program`, the `variables` that it needs in its environment, and the `beginning` of what it is to run first,
    in its own language: where its parts are, if they are not where it was built for."""

    program: Path
    variables: Mapping[str, str] = MappingProxyType({})
    beginning: str = ""


def shell(name: str) -> Shell:
    """`name`: bash, zsh or fish. Raises Missing."""
    own = shutil.which(name)
    if own is not None:
        return Shell(Path(own))
    if name not in _PACKAGES:
        raise Missing(f"there is no {name} on this machine: install it")
    return _unpacked(name, _fetched(name))


def _fetched(name: str) -> Path:
    """The folder with the shell's packages, unpacked. Of two processes that come at once, the first one's stays."""
    folder = _cache() / name
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
            _fetch(name, Path(fresh))
            root = Path(fresh, "root")
            for package in sorted(Path(fresh).glob("*.deb")):
                _run(["dpkg-deb", "--extract", str(package), str(root)], Path(fresh), name)
            (root / "usr" / "etc").symlink_to("../etc")  # fish looks for its parts beside its program, or not at all
            try:
                root.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    return folder


def _cache() -> Path:
    release = platform.freedesktop_os_release()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "fresco" / "-".join(("shells", release["ID"], release.get("VERSION_ID", "rolling")))


def _fetch(name: str, folder: Path) -> None:
    """Its packages, into `folder`. apt keeps there whatever it writes, so it needs no rights, and changes nothing."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Missing(f"there is no {name} on this machine, and no apt to fetch it with: install {name}")
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    settings = {
        "Dir::State": f"{folder}/state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": f"{folder}/cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    apt = ["apt-get", "--quiet", *(f"--option={key}={value}" for key, value in settings.items())]
    # A source of something else that does not answer is nothing to us: the download tells whether one is missed.
    lists = subprocess.run([*apt, "update"], cwd=folder, capture_output=True, text=True, check=False)
    _run([*apt, "download", *_PACKAGES[name]], folder, name, told=lists.stderr)


def _run(command: list[str], folder: Path, name: str, told: str = "") -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"there is no {name} on this machine, and apt cannot fetch it: {told}{done.stderr}")


def _unpacked(name: str, root: Path) -> Shell:
    """The shell in `root`, which it was not built for."""
    program = next(path for path in (root / "bin" / name, root / "usr" / "bin" / name) if path.exists())
    libraries = sorted({str(path.parent) for path in root.glob("**/lib/*/lib*.so.*")})
    variables = {"LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else {}
    parts = f"module_path=({root}/usr/lib/*/zsh/*(N/)) fpath=({root}/usr/share/zsh/functions/**/*(N/))\n"
    return Shell(program, variables, parts if name == "zsh" else "")
