"""Holds what programs really wrote to the JSON Schema files, which bind everybody, as the typed forms do not."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator

import schemas
from schemas.model_config import FILE_NAME

_STATUSES = {
    "RepositoryStatus": "repository-status",
    "InferenceServerStatus": "inferenceserver-status",
    "DeploymentStatus": "deployment-status",
}


def check(contract: str, value: Any) -> None:
    """`value`, as any reader of JSON or YAML has it, keeps the contract, one of `schemas.NAMES`."""
    problems = [f"{contract}{problem.json_path[1:]}: {problem.message}" for problem in _of(contract).iter_errors(value)]
    assert problems == []


def check_branch(files: Mapping[str, bytes]) -> None:
    """Every status and every model config among `files`, of a cluster's branch by path, keeps its contract."""
    for path, content in files.items():
        if path.startswith("status/") and path.endswith(".yaml"):
            status = yaml.safe_load(content)
            check(_STATUSES[status["kind"]], status)
        elif path.endswith("-models.yaml"):
            check("model-config", json.loads(yaml.safe_load(content)["data"][FILE_NAME]))


@cache
def _of(contract: str) -> Draft202012Validator:
    return Draft202012Validator(schemas.load(contract))
