"""Expected output that lies in files beside the tests: compared, or written anew with `make golden`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Golden:
    """What a test gives its output to. With `update` it writes the files instead, and a human reads the diff."""

    update: bool

    def check(self, path: Path, actual: str) -> None:
        """`actual` is exactly what the file holds."""
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(actual.encode())
        assert path.is_file(), f"{path} is missing: make golden writes it"
        assert actual == path.read_bytes().decode(), f"{path} differs: if this is meant, make golden"

    def check_tree(self, folder: Path, actual: dict[str, str]) -> None:
        """`actual` (path below the folder → text) is exactly what the folder holds, no file more or less."""
        for name, text in actual.items():
            self.check(folder / name, text)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.relative_to(folder).as_posix() not in actual:
                self._surplus(path)

    def _surplus(self, path: Path) -> None:
        assert self.update, f"{path} is expected, but was not made"
        path.unlink()
