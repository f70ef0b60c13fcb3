"""Installing Fresco from this checkout's own files, without a network: what it needs comes from this environment."""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_PACKAGED = ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml", "schemas", "render", "agent")
_LEFT_OUT = ("fresco", "_fresco", "pip", "setuptools", "__pycache__")


def checkout(folder: Path) -> Path:
    """A copy of all that is packaged, as a person would clone it."""
    for name in _PACKAGED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def offline(folder: Path) -> dict[str, str]:
    """An environment in which pip installs Fresco and finds everything else installed already.

    `folder` gets a link to each package of this environment but Fresco's own, so that what is tried is what was
    installed.
    """
    folder.mkdir()
    for path in map(Path, sys.path):
        for one in path.iterdir() if any(path.glob("*.dist-info")) else ():
            if not (one.name.startswith(_LEFT_OUT) or one.suffix == ".pth" or (folder / one.name).exists()):
                (folder / one.name).symlink_to(one)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "GIT_", "VIRTUAL_ENV"))}
    return {**kept, "PYTHONPATH": str(folder), "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
