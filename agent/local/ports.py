"""Free TCP ports of 127.0.0.1 for servers that cannot say which one they took. I/O: binds for a moment."""

import argparse
import random
import socket

# Below the ports that the kernel gives to connections, so that none of those takes a port before its server does.
_FIRST, _LAST = 20_000, 32_000


class NoFreePort(Exception):
    """All that were tried are taken."""


def number(text: str) -> int:
    """A port number of a command line. Raises ArgumentTypeError."""
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now. Connections that linger do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Pool:
    """Gives out free ports, none of them twice: what was given out may not be listened on yet."""

    def __init__(self) -> None:
        self._given: set[int] = set()

    def keep(self, *numbers: int) -> None:
        """Marks ports as given out already."""
        self._given.update(numbers)

    def take(self, count: int) -> list[int]:
        """`count` free ports. Raises NoFreePort."""
        found: list[int] = []
        # Not from the lowest up: several programs that choose at the same time would all choose the same.
        for port in random.sample(range(_FIRST, _LAST), k=_LAST - _FIRST):
            if len(found) == count:
                break
            if port not in self._given and is_free(port):
                found.append(port)
        if len(found) < count:
            raise NoFreePort(f"no {count} free ports between {_FIRST} and {_LAST}")
        self.keep(*found)
        return found
