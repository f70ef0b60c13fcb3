"""`fresco completion`: what a shell runs to complete `fresco`. I/O: standard output."""

import argparse
import sys

from render.completion import SHELLS, script
from render.errors import ExitCode

EXAMPLES = """\
examples:
  fresco completion bash > ~/.local/share/bash-completion/completions/fresco
  fresco completion zsh > ~/.zfunc/_fresco   # where ~/.zfunc is in fpath, before compinit
  fresco completion fish > ~/.config/fish/completions/fresco.fish

Where the folder is missing, mkdir -p makes it. For the running shell alone: eval "$(fresco completion bash)".
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("shell", choices=SHELLS, help="for which shell")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    sys.stdout.write(script(options.shell))
    return ExitCode.FINE
