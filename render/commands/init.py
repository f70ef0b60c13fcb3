"""`fresco init`: the first files of a repository. I/O: the file system, standard output."""

import argparse
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from render import templates
from render.document import REPOSITORY_FILE
from render.errors import AlreadyThere, ExitCode
from render.repository import work_tree

EXAMPLES = """\
examples:
  fresco init          # a fresco.yaml, hooks for pre-commit and an example, here
  fresco init models   # the same in a folder, which is made if need be
"""

PRE_COMMIT_FILE: Final = ".pre-commit-config.yaml"

_NEXT: Final = (
    ("pre-commit install", "commits are checked before they are made"),
    ("fresco new deployment NAME --namespace example --server cpu-a", "a model to serve"),
    ("fresco validate", "what is wrong in this repository, all of it"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("directory", nargs="?", type=Path, default=Path(), metavar="DIR", help="where (default: here)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command. Raises AlreadyThere, and then nothing was written.

    A configuration of pre-commit that is there is not in the way: most repositories have one.
    """
    there = [path for path in first_files() if (options.directory / path).exists()]
    files = {path: text for path, text in first_files().items() if path not in there}
    if there == [PRE_COMMIT_FILE]:
        path = options.directory / PRE_COMMIT_FILE
        sys.stderr.write(f"fresco: {path} is there and stays: add hooks that run fresco lock and fresco validate\n")
    elif there:
        raise AlreadyThere(f"{options.directory} has {', '.join(there)} already: nothing was written")
    for path, text in files.items():
        (options.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (options.directory / path).write_text(text, "utf-8")
        if not options.quiet:
            sys.stdout.write(f"{options.directory / path}\n")
    if not options.quiet:
        sys.stdout.write(_next(options.directory))
    return ExitCode.FINE


def _next(directory: Path) -> str:
    """The commands to go on with, from the current folder on."""
    rows = list(_NEXT)
    if work_tree(directory) is None:
        rows.insert(0, ("git init", "hooks and branches are git's"))
    if directory.resolve() != Path.cwd():
        rows.insert(0, (f"cd {shlex.quote(str(directory))}", "where the files are"))
    width = max(len(command) for command, _ in rows)
    return "".join(["next:\n", *(f"  {command:<{width}}   # {what}\n" for command, what in rows)])


def first_files() -> Mapping[str, str]:
    """What is written, by path. The example's Deployment is a comment, because its model is nowhere."""
    example = templates.deployment(
        name="scorer",
        namespace="example",
        server="cpu-a",
        revision="1",
        uri="https://models.example.com/example/scorer/1.tar.gz",
    )
    return {
        REPOSITORY_FILE: templates.repository(),
        PRE_COMMIT_FILE: templates.pre_commit(),
        "example/servers/cpu-a.yaml": templates.server(
            name="cpu-a", namespace="example", version=templates.DEFAULT_VERSION
        ),
        "example/deployments/scorer.yaml": templates.commented(example),
    }
