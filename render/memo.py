"""What was made of what, so that the next pass over a repository makes only what is made of something else. Pure.

The owner of a memo decides how long it lives; without one everything is made anew, and the same comes of it.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Inputs = TypeVarTuple("Inputs")

_Results = dict[Callable[..., Any], dict[Hashable, tuple[Any, ...]]]  # the result and its inputs, by function and name


class Memo:
    """Results of functions beside the inputs that they were made from.

    A function that is asked through it sees nothing but its inputs, so equal inputs give an equal result, and the very
    object that was made before is given again. Inputs compare by `==`: where the order of a dict matters, hand in its
    items.
    """

    def __init__(self) -> None:
        self._known: _Results = defaultdict(dict)
        self._asked: _Results = defaultdict(dict)

    def of(self, make: Callable[[*Inputs], T], name: Hashable, *inputs: *Inputs) -> T:
        """`make(*inputs)`, from the memo where the inputs are what they were for `name`. `make` is pure."""
        found = self._known[make].get(name)
        if found is None or found[1:] != inputs:
            found = (make(*inputs), *inputs)
        self._asked[make][name] = found
        result: T = found[0]
        return result

    def forget(self) -> None:
        """The end of a pass: what it did not ask for is forgotten."""
        self._known, self._asked = self._asked, defaultdict(dict)
