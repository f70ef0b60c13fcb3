"""Completion in shells: commands, their options, and the names of what there is. Alone it knows argcomplete.

A shell runs `fresco` itself for each press of the key, with the line so far in its environment. So names come from what
is quickly read: fresco.yaml, and the names of files where `fresco new` puts them. I/O: the file system.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from argcomplete import autocomplete
from argcomplete.completers import FilesCompleter
from argcomplete.shell_integration import shellcode

from render.document import REPOSITORY_FILE
from render.root import root_of

SHELLS: Final = ("bash", "zsh", "fish")
LINE: Final = "COMP_LINE"
"""The variable in which a shell gives the line that is to be completed."""


def script(shell: str) -> str:
    """What one of SHELLS has to run to complete `fresco`."""
    return shellcode(["fresco"], shell=shell)


def complete(parser: argparse.ArgumentParser) -> None:
    """Answers the shell and ends the process."""
    autocomplete(parser, always_complete_options="long", default_completer=_Names())


class _Names(FilesCompleter):
    """What an argument may be, by what it is called; files, where that says nothing."""

    def __call__(self, prefix: str, **asked: object) -> list[str]:
        """As argcomplete asks: `asked` has the `action`, and the `parsed_args` before it."""
        name = getattr(asked["action"], "dest", "")
        if name in _NAMES:
            return _NAMES[name](getattr(asked["parsed_args"], "directory", None) or root_of(Path()))
        return super().__call__(prefix, **asked)


def _clusters(directory: Path) -> list[str]:
    return [str(one.get("name", "")) for one in _listed(_spec(directory).get("clusters"))]


def _namespaces(directory: Path) -> list[str]:
    found = _spec(directory).get("namespaces")
    return list(found) if isinstance(found, dict) else []


def _servers(directory: Path) -> list[str]:
    return [path.stem for path in _files(directory, "servers")]


def _deployments(directory: Path) -> list[str]:
    return [f"{path.parts[-3]}/{path.stem}" for path in _files(directory, "deployments")]


def _topics(_: Path) -> list[str]:
    from render import fields
    from render.rules import Rule

    return [*Rule, *fields.paths()]


def _nothing(_: Path) -> list[str]:
    return []


_NAMES: Final[Mapping[str, Callable[[Path], list[str]]]] = MappingProxyType(
    {
        "cluster": _clusters,
        "namespace": _namespaces,
        "server": _servers,
        "deployment": _deployments,
        "topic": _topics,
        **dict.fromkeys(("name", "uri", "version", "revision"), _nothing),
    }
)
"""Where the names for an argument come from, by its `dest`; given the repository's folder."""


def _spec(directory: Path) -> Mapping[str, object]:
    """The Repository's settings as they are written, be they valid or not; nothing where they cannot be read."""
    from render.load import load_file

    path = directory / REPOSITORY_FILE
    loaded = load_file(REPOSITORY_FILE, path.read_bytes()) if path.is_file() else None
    specs = [one.value.get("spec") for one in loaded.documents] if loaded is not None else []
    return specs[0] if specs and isinstance(specs[0], dict) else {}


def _files(directory: Path, folder: str) -> list[Path]:
    """The files in a `folder` of each namespace, in each cluster's part of the repository."""
    roots = {str(one.get("path", ".")) for one in _listed(_spec(directory).get("clusters"))} or {"."}
    return sorted(path for root in roots for path in (directory / root).glob(f"*/{folder}/*.yaml"))


def _listed(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
