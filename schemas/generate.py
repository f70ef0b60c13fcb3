"""Writes the JSON Schema files from the typed forms: `python -m schemas.generate [--check]`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from schemas.base import Printed
from schemas.change import Change
from schemas.examples import EXAMPLES
from schemas.findings import Findings
from schemas.lockfile import LockFile
from schemas.michelangelo import TheirDeployment, TheirServer
from schemas.model_config import ModelConfig
from schemas.overview import Overview
from schemas.report import SidecarReport
from schemas.resources import Deployment, InferenceServer, Repository
from schemas.status import DeploymentStatus, RepositoryStatus, ServerStatus
from schemas.verdicts import Verdicts

TYPES: dict[str, type[msgspec.Struct]] = {
    "repository": Repository,
    "inferenceserver": InferenceServer,
    "deployment": Deployment,
    "repository-status": RepositoryStatus,
    "inferenceserver-status": ServerStatus,
    "deployment-status": DeploymentStatus,
    "model-config": ModelConfig,
    "sidecar-report": SidecarReport,
    "findings": Findings,
    "change": Change,
    "overview": Overview,
    "verdicts": Verdicts,
    "lock": LockFile,
    "michelangelo-inferenceserver": TheirServer,
    "michelangelo-deployment": TheirDeployment,
}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of the contract called `name`, with dialect and identifier."""
    body = msgspec.json.schema(TYPES[name])
    for kind in Printed.__subclasses__():
        if kind.__module__ == TYPES[name].__module__:
            body["$defs"][kind.__name__]["required"] = _always(kind)
    root = body["$defs"].pop(body.pop("$ref").rpartition("/")[2])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://fresco.dev/schemas/v1alpha1/{name}.schema.json",
        **root,
        "examples": [EXAMPLES[name]],
        "$defs": {key: body["$defs"][key] for key in sorted(body["$defs"])},
    }


def _always(kind: type[Printed]) -> list[str]:
    """The fields that are always written: a default is, and what is unset is not."""
    return [one.encode_name for one in msgspec.structs.fields(kind) if one.default is not msgspec.UNSET]


def text(name: str) -> str:
    """The schema file's content."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Writes the files, or with `--check` names those that differ and returns 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if a file differs")
    check = parser.parse_args().check
    folder = Path(__file__).parent
    stale = [name for name in TYPES if not _is_current(folder, name)]
    if not check:
        for name in stale:
            (folder / f"{name}.schema.json").write_text(text(name), "utf-8")
    for name in stale:
        sys.stdout.write(f"{name}.schema.json {'is stale' if check else 'written'}\n")
    return 1 if check and stale else 0


def _is_current(folder: Path, name: str) -> bool:
    path = folder / f"{name}.schema.json"
    return path.is_file() and path.read_text("utf-8") == text(name)


if __name__ == "__main__":
    sys.exit(main())
