"""Every contract of Fresco: what humans write, what the agent writes, what travels to and from the sidecar.

Each contract has one typed form (a frozen struct) and one JSON Schema generated from it; `make schemas`
writes the files and a test keeps the two equal. Pure: only `load` touches the file system, for this package's own data.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

API_VERSION: Final = "serving.fresco.dev/v1alpha1"

WRITTEN = ("repository", "inferenceserver", "deployment")
"""The contracts of what people write."""

THEIRS = ("michelangelo-inferenceserver", "michelangelo-deployment")
"""The contracts of what people have written for Michelangelo."""

NAMES = (
    *WRITTEN,
    "repository-status",
    "inferenceserver-status",
    "deployment-status",
    "model-config",
    "sidecar-report",
    "findings",
    "change",
    "overview",
    "verdicts",
    "lock",
    *THEIRS,
)


@cache
def load(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) called `name`, one of `NAMES`, as plain values. Do not modify it.

    Raises KeyError for a name that is not a contract.
    """
    if name not in NAMES:
        raise KeyError(name)
    schema: dict[str, Any] = json.loads(files(__package__).joinpath(f"{name}.schema.json").read_text("utf-8"))
    return schema
