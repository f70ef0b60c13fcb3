"""The lock files and what pyproject.toml asks for, as values. Reads files and the metadata of installed packages."""

import importlib.metadata
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OURSELVES = canonicalize_name(PROJECT["project"]["name"])


@dataclass(frozen=True)
class Pin:
    """One package of a lock file, which applies in this environment."""

    version: Version
    hashes: tuple[str, ...]


def pins(lock: str) -> dict[NormalizedName, Pin]:
    """What `.ci/locks/<lock>.txt` installs here."""
    text = (ROOT / ".ci" / "locks" / f"{lock}.txt").read_text(encoding="utf-8")
    found = {}
    for line in re.findall(r"^\w.*", text.replace(" \\\n", " "), flags=re.MULTILINE):
        wanted, *hashes = map(str.strip, line.split("--hash="))
        requirement = Requirement(wanted)
        if applies(requirement):
            found[canonicalize_name(requirement.name)] = Pin(only_version(requirement), tuple(hashes))
    return found


def only_version(requirement: Requirement) -> Version:
    """The version of `name==version`. Raises ValueError when it is no pin."""
    (specifier,) = requirement.specifier
    if specifier.operator != "==":
        raise ValueError(f"{requirement} is not pinned")
    return Version(specifier.version)


def asked(*, extra: str | None = None, group: str | None = None) -> list[Requirement]:
    """What pyproject.toml asks for: the base and one extra, or a dependency group."""
    if group is not None:
        return [found for entry in PROJECT["dependency-groups"][group] for found in _of_group(entry)]
    more = PROJECT["project"]["optional-dependencies"][extra] if extra else []
    return [Requirement(text) for text in (*PROJECT["project"]["dependencies"], *more)]


def _of_group(entry: str | dict[str, str]) -> list[Requirement]:
    return [Requirement(entry)] if isinstance(entry, str) else asked(group=entry["include-group"])


def closure(requirements: list[Requirement]) -> dict[NormalizedName, list[Requirement]]:
    """Everything that installing these brings, by the metadata of what is installed: name → all that is asked of it."""
    found: dict[NormalizedName, list[Requirement]] = {}
    open_ends, seen = list(requirements), set()
    while open_ends:
        requirement = open_ends.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        name = canonicalize_name(requirement.name)
        if name != OURSELVES:
            found.setdefault(name, []).append(requirement)
        open_ends += needs(name, requirement.extras)
    return found


def needs(name: NormalizedName, extras: set[str]) -> list[Requirement]:
    """What a package with these extras needs here."""
    if name == OURSELVES:
        return [requirement for extra in extras for requirement in asked(extra=extra)]
    requirements = map(Requirement, importlib.metadata.requires(name) or [])
    return [requirement for requirement in requirements if any(applies(requirement, extra) for extra in ("", *extras))]


def applies(requirement: Requirement, extra: str = "") -> bool:
    """Whether its marker holds in this environment."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})
