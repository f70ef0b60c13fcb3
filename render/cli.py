"""The `fresco` program: finds the command and runs it. I/O: the arguments, standard error.

This is where errors become exit codes: 0 fine, 1 findings, 2 wrong use, 3 a mistake of ours.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final

from render.errors import ExitCode, FrescoError

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "validate": "print every finding as file:line:column: rule message",
        "render": "print the manifests, or write them into a folder",
        "diff": "tell what a change will do, before it is merged",
        "lock": "compute digests of models, and write them into the files or compare",
        "status": "show where deployments stand, or wait for a commit",
        "verify": "replay a cluster's branch: every manifest and every stage change",
        "explain": "say what a rule or a field is for, with examples",
        "init": "begin a repository: settings, hooks and an example",
        "new": "write a server or a deployment to begin with",
        "schema": "print or write the JSON Schemas, for editors",
        "completion": "print what makes a shell complete commands and names",
        "convert": "rewrite Michelangelo's own resources as Fresco's",
    }
)
"""What each command does. A command is the module of that name in `render.commands`."""

_COMPLETES: Final = "_ARGCOMPLETE"  # a shell's script sets it

_EXAMPLES = """\
examples:
  fresco validate                            # what is wrong in this repository, all of it
  fresco diff                                # what the changes in the working tree will do
  fresco lock fraud/deployments/scorer.yaml  # write down the digest of its model
  fresco render --revision clusters/prod     # exactly what the agent has written there
  fresco status                              # where everything stands, what needs a person first
  fresco COMMAND --help                      # more of each command
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if _COMPLETES in os.environ:
        _complete()
    try:
        options = parser(given).parse_args(given)
        code = options.run(options)
        sys.stdout.flush()
        return int(code)
    except FrescoError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        # Whoever read has seen enough. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.FINE)
    except OSError as error:
        what = error.strerror or str(error)
        return _fail(f"{error.filename}: {what}" if error.filename else what, ExitCode.WRONG_USE)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: say that it is ours, without a traceback
        return _fail(f"a mistake in Fresco, please report it: {type(error).__name__}: {error}", ExitCode.OUR_BUG)


def parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the program. Only what `arguments` ask for is imported: the others' arguments are not there."""
    top = argparse.ArgumentParser(
        prog="fresco",
        description="Model serving as GitOps: checks and renders a repository.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        one = commands.add_parser(name, help=what, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name in arguments:
            module = import_module(f"render.commands.{name}")
            one.description, one.epilog = f"{what[0].upper()}{what[1:]}.", module.EXAMPLES
            module.add_arguments(one)
            one.set_defaults(run=module.run)
    return top


def _complete() -> None:
    """Answers a shell that asks how its line may go on, and ends the process."""
    from render.completion import LINE, complete

    complete(parser(os.environ.get(LINE, "").split()))


def _fail(message: str, code: ExitCode) -> int:
    from render.characters import printable

    sys.stderr.write(f"fresco: {printable(message)}\n")
    return int(code)
