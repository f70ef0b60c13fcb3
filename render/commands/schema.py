"""`fresco schema`: the JSON Schemas, and how an editor finds them. I/O: the file system, standard output."""

import argparse
import json
import sys
from pathlib import Path

import schemas
from render.document import Document
from render.editor import FOLDER, line, schema_name
from render.errors import ExitCode, FrescoError
from render.load import load_file
from render.resource import Resource, identify
from render.root import root_of

EXAMPLES = """\
examples:
  fresco schema deployment                     # print it
  fresco schema                                # which there are
  fresco schema change                         # of what `fresco diff --format json` prints
  fresco schema --output .fresco/schemas       # write those of people's files, for editors
  fresco schema --line fraud/servers/a.yaml    # the line with which an editor checks that file

Unless --output says where they are, schemas are in .fresco/schemas of the repository, which is the first folder
upwards with a fresco.yaml. DIR and FILE are looked up from the current folder.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("kind", nargs="?", choices=schemas.NAMES, metavar="KIND", help="repository, deployment, …")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write below DIR instead of printing")
    parser.add_argument(
        "--line", type=Path, metavar="FILE", help="print what FILE begins with, for yaml-language-server"
    )
    parser.add_argument("-C", dest="directory", type=Path, metavar="DIR", help="the repository's root")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command. Raises FrescoError where `--line` cannot tell the kind."""
    folder = options.output or _root(options) / FOLDER
    if options.output is not None:
        for kind in [options.kind] if options.kind else [*schemas.WRITTEN, *schemas.THEIRS]:
            sys.stdout.write(f"{_write(folder, kind)}\n")
    if options.line is not None:
        schema = folder / schema_name(options.kind or _kind(options.line))
        sys.stdout.write(line(schema, options.line) + "\n")
    elif options.output is None:
        sys.stdout.write(_text(options.kind) if options.kind else "".join(f"{name}\n" for name in schemas.NAMES))
    return ExitCode.FINE


def _root(options: argparse.Namespace) -> Path:
    return options.directory if options.directory is not None else root_of(options.line or Path())


def _write(folder: Path, kind: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / schema_name(kind)
    path.write_text(_text(kind), "utf-8")
    return path


def _text(kind: str) -> str:
    return json.dumps(schemas.load(kind), indent=2, ensure_ascii=False) + "\n"


def _kind(file: Path) -> str:
    """The schema, one of `schemas.NAMES`, of what is in `file`. Raises FrescoError where there are several, or none."""
    documents = load_file(str(file), file.read_bytes()).documents if file.is_file() else ()
    found = {_schema(document, one.kind) for document in documents if isinstance(one := identify(document), Resource)}
    if len(found) != 1:
        raise FrescoError(
            f"{file} holds {' and '.join(sorted(found)) or 'no resource'}: say which kind: fresco schema KIND"
        )
    return found.pop()


def _schema(document: Document, kind: str) -> str:
    return f"michelangelo-{kind.lower()}" if document.is_theirs else kind.lower()
