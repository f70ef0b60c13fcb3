"""What the sidecar is told at its start: by environment, and by flags that win over it. Pure but for reading both."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from schemas import limits


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything configurable of one sidecar. Durations in seconds."""

    pod: str
    namespace: str
    server: str
    slice: Literal["main", "canary"]
    config_dir: Path
    models_dir: Path
    backend: Literal["triton"]
    grpc: str
    report_host: str
    report_port: int
    resync: float
    load_deadline: float
    load_threads: int
    connections: int
    on_model_failure: Literal["block", "degrade"]
    log_json: bool


# Flag -> (environment variable, default or None if required, what it is).
_OPTIONS: dict[str, tuple[str, str | None, str]] = {
    "pod": ("FRESCO_POD", None, "name of this pod"),
    "namespace": ("FRESCO_NAMESPACE", None, "namespace of the InferenceServer"),
    "server": ("FRESCO_SERVER", None, "name of the InferenceServer"),
    "slice": ("FRESCO_SLICE", "main", "main or canary"),
    "config-dir": ("FRESCO_CONFIG_DIR", "/etc/fresco", "directory with model-config.json"),
    "models-dir": ("FRESCO_MODELS_DIR", "/models", "volume shared with the server"),
    "backend": ("FRESCO_BACKEND", "triton", "kind of server: triton"),
    "grpc": ("FRESCO_GRPC", "127.0.0.1:8001", "host:port of the server's gRPC"),
    "report-host": ("FRESCO_REPORT_HOST", "0.0.0.0", "address to report on"),
    "report-port": ("FRESCO_REPORT_PORT", "8090", "port to report on"),
    "resync": ("FRESCO_RESYNC_SECONDS", f"{limits.SIDECAR_RESYNC:g}", "seconds between full comparisons"),
    "load-deadline": ("FRESCO_LOAD_DEADLINE_SECONDS", f"{limits.LOAD_DEADLINE:g}", "seconds that one load may take"),
    "load-threads": ("FRESCO_LOAD_THREADS", "4", "loads at once"),
    "connections": ("FRESCO_CONNECTIONS", str(limits.DOWNLOAD_CONNECTIONS), "downloads at once"),
    "on-model-failure": ("FRESCO_ON_MODEL_FAILURE", "block", "block or degrade: a failed gated model at start"),
    "log-format": ("FRESCO_LOG_FORMAT", "text", "text or json"),
}
_CHOICES = {
    "slice": ("main", "canary"),
    "backend": ("triton",),
    "on-model-failure": ("block", "degrade"),
    "log-format": ("text", "json"),
}


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings. Ends the program with a usage message where something is missing or makes no sense."""
    parser = argparse.ArgumentParser(
        prog="fresco-model-sync", description="Keeps a server's models as the config says."
    )
    for flag, (variable, default, text) in _OPTIONS.items():
        parser.add_argument(
            f"--{flag}",
            default=environment.get(variable, default),
            help=f"{text} (${variable})",
            metavar=flag.upper(),
        )
    given: dict[str, str | None] = vars(parser.parse_args(arguments))
    for flag, (variable, _, _) in _OPTIONS.items():
        value = given[flag.replace("-", "_")]
        if not value:
            parser.error(f"--{flag} or {variable} is required")
        if flag in _CHOICES and value not in _CHOICES[flag]:
            parser.error(f"--{flag} or {variable}: expected {' or '.join(_CHOICES[flag])}, got {value!r}")
    try:
        return _settings({key: value or "" for key, value in given.items()})
    except ValueError as error:
        parser.error(f"a number was expected: {error}")


def _settings(given: dict[str, str]) -> Settings:
    return Settings(
        pod=given["pod"],
        namespace=given["namespace"],
        server=given["server"],
        slice=cast(Literal["main", "canary"], given["slice"]),
        config_dir=Path(given["config_dir"]),
        models_dir=Path(given["models_dir"]),
        backend=cast(Literal["triton"], given["backend"]),
        grpc=given["grpc"],
        report_host=given["report_host"],
        report_port=int(given["report_port"]),
        resync=float(given["resync"]),
        load_deadline=float(given["load_deadline"]),
        load_threads=int(given["load_threads"]),
        connections=int(given["connections"]),
        on_model_failure=cast(Literal["block", "degrade"], given["on_model_failure"]),
        log_json=given["log_format"] == "json",
    )
