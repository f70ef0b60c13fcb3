"""The commands of `fresco`, each a module that is imported when it is asked for.

A module has `EXAMPLES` for its help, `add_arguments(parser)`, which says what it takes, and `run(options)`, which does
it and gives the exit code.
"""
