"""The demo: the whole life of a model on this machine, told as it happens and checked against what it promises.

`run` sets the stage (`machine`, `models`, `person`), `story` has the scenes, `traffic` keeps asking, `history` reads
git, `board` is what people see, `checks` what is promised, `hints` what they can do next.
"""

from agent.demo.run import main

__all__ = ["main"]
