"""How an editor with yaml-language-server finds the schema of a file: by a line in it. I/O: looks at folders."""

import os.path
from pathlib import Path
from typing import Final

FOLDER: Final = Path(".fresco/schemas")
"""Where a repository keeps the schemas, unless it is said."""


def schema_name(kind: str) -> str:
    """What the file with the schema of `kind` is called."""
    return f"{kind}.schema.json"


def line(schema: Path, file: Path) -> str:
    """What `file` has to begin with to be checked by `schema`: the path between them, which begins at its folder."""
    relative = Path(os.path.relpath(schema.resolve(), file.parent.resolve())).as_posix()
    return f"# yaml-language-server: $schema={relative if relative.startswith('../') else f'./{relative}'}"
