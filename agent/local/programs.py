"""What a container is as a process of this machine. Reads the installation only.

The manifests take all that differs between a cluster and this machine from environment variables, so their values are
all that changes: directories of the pod's own, ports of 127.0.0.1. To a tritonserver the flags are added that the wheel
needs, and those that keep it to 127.0.0.1.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

import agent
from agent.local import triton_wheel
from agent.local.desired import Container, expand
from agent.local.process import Program

_EXIT_SECONDS = 4  # that requests in flight may take when a server is told to end


class Ports(msgspec.Struct, frozen=True):
    """A pod's ports on 127.0.0.1."""

    http: int
    grpc: int
    metrics: int
    report: int


class Place(msgspec.Struct, frozen=True):
    """Where a pod lives: its directory, its ports, and the prefix of its files in /dev/shm."""

    directory: Path
    ports: Ports
    memory: str


class Programs:
    """Makes programs of containers. `backends`: the directory for Triton's backends."""

    def __init__(self, backends: Path) -> None:
        """Raises WheelUnusable when there is no tritonserver that could be started."""
        self._backends = triton_wheel.prepare_backend(backends)

    def server(self, container: Container, place: Place, fields: Mapping[str, str]) -> Program:
        """The inference server of a pod."""
        argv, environment = expand(container, fields=fields, overrides=_overrides(container, place))
        if argv[:1] == ["tritonserver"]:
            argv = [str(triton_wheel.binary()), *argv[1:], *self._triton(place)]
            environment = {**triton_wheel.environment(), **environment}
        return _program(argv, environment, place, "server")

    def sidecar(self, container: Container, place: Place, fields: Mapping[str, str]) -> Program:
        """The model-sync sidecar of a pod: its image is this very installation."""
        argv, environment = expand(container, fields=fields, overrides=_overrides(container, place))
        program = argv or [sys.executable, "-m", "agent.modelsync"]
        return _program(program, {"PYTHONPATH": _source(), **environment}, place, "model-sync")

    def _triton(self, place: Place) -> list[str]:
        return [
            f"--backend-directory={self._backends}",
            f"--backend-config=python,shm-region-prefix-name={place.memory}",
            "--http-address=127.0.0.1",
            "--grpc-address=127.0.0.1",
            "--metrics-address=127.0.0.1",
            # A Python model that failed to load counts as live for ever, and Triton would wait 30 s for it to end.
            f"--exit-timeout-secs={_EXIT_SECONDS}",
        ]


def _overrides(container: Container, place: Place) -> dict[str, str]:
    """New values for those of these variables that the container has."""
    ports = place.ports
    values = {
        "FRESCO_MODELS_DIR": str(place.directory / "models"),
        "FRESCO_CONFIG_DIR": str(place.directory / "config"),
        "FRESCO_HTTP_PORT": str(ports.http),
        "FRESCO_GRPC_PORT": str(ports.grpc),
        "FRESCO_METRICS_PORT": str(ports.metrics),
        "FRESCO_HTTP": f"127.0.0.1:{ports.http}",
        "FRESCO_GRPC": f"127.0.0.1:{ports.grpc}",
        "FRESCO_REPORT_HOST": "127.0.0.1",
        "FRESCO_REPORT_PORT": str(ports.report),
    }
    names = {variable.name for variable in container.variables}
    return {name: value for name, value in values.items() if name in names}


def _program(argv: list[str], environment: Mapping[str, str], place: Place, name: str) -> Program:
    return Program(argv, {**os.environ, **environment}, place.directory, place.directory / f"{name}.log")


def _source() -> str:
    """Where this installation's packages lie, before what is on the path already."""
    (package,) = agent.__path__
    before = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(Path(package).parent), *([before] if before else [])])
