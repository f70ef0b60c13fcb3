"""Starting the tritonserver that the wheel `nvidia-pytriton` carries, by itself. Reads the installation, copies files.

The wheel holds the server, the Python backend, and that backend's stub once per version of Python. None of it runs
where it lies: the backend wants the stub beside it, and without its libraries on the path the stub cannot start and
**a load call never returns**. So what a load needs to end is put right, and tried, before a start.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

_STUB = "triton_python_backend_stub"
_STUB_STARTS_SECONDS = 30.0
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class WheelUnusable(Exception):
    """The installed wheel cannot run a tritonserver here. The message says what is missing and what to do."""


def binary() -> Path:
    """The tritonserver program. Raises WheelUnusable if the wheel is not installed."""
    return _existing(_root() / "bin" / "tritonserver")


def environment() -> dict[str, str]:
    """The whole environment for tritonserver: this process' own, with the wheel's libraries and this Python's.

    Models run in a Python embedded in the stub, which finds its standard library through the `python3` that comes
    first on PATH, and installed packages (numpy) through PYTHONPATH. Raises WheelUnusable without the wheel.
    """
    return {
        **os.environ,
        "LD_LIBRARY_PATH": _joined([_libraries(), *_python_libraries()], os.environ.get("LD_LIBRARY_PATH")),
        "PATH": _joined([Path(sys.executable).parent], os.environ.get("PATH", os.defpath)),
        "PYTHONPATH": _joined(_packages(), os.environ.get("PYTHONPATH")),
        # Models are linked from a store that only its owner may write to.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def prepare_backend(directory: Path, *, python: str = _PYTHON) -> Path:
    """Makes `directory` the folder for `--backend-directory`, with the Python backend for `python`, and returns it.

    May be called again on the same directory. Raises WheelUnusable if the wheel has no stub for that version of
    Python, or if the stub does not start.
    """
    stub = _stub(python)
    target = directory / "python"
    target.mkdir(parents=True, exist_ok=True)
    for source in (*sorted(_existing(_root() / "backends" / "python").iterdir()), stub):
        if source.is_file():
            _copy(source, target / source.name)
    _try(target / _STUB)
    return directory


def command(
    *, backends: Path, repository: Path, http_port: int, grpc_port: int, metrics_port: int, name: str
) -> list[str]:
    """The command line of a tritonserver whose models are controlled from outside.

    `name` marks the server's shared memory (`/dev/shm/<name>*`), so that what a kill leaves behind can be found.
    Loads run four at a time; loading and failed models do not make the server as a whole unready.
    """
    return [
        str(binary()),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        "--model-control-mode=explicit",
        "--strict-readiness=false",
        "--model-load-thread-count=4",
        "--http-address=127.0.0.1",
        f"--http-port={http_port}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc_port}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={metrics_port}",
        f"--backend-config=python,shm-region-prefix-name={name}",
        "--exit-timeout-secs=10",
        "--log-info=false",
    ]


def clean_shared_memory(name: str) -> None:
    """Removes what a killed server called `name` left in `/dev/shm`. Call it before that server starts again."""
    for left in Path("/dev/shm").glob(f"{name}*"):
        left.unlink(missing_ok=True)


@cache
def _root() -> Path:
    # find_spec does not import pytriton, which would pull in its whole client.
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise WheelUnusable(
            "tritonserver is not installed: pip install 'fresco[local]' (it needs the wheel nvidia-pytriton)"
        )
    return Path(spec.origin).parent / "tritonserver"


def _libraries() -> Path:
    return _existing(_root().parent.parent / "nvidia_pytriton.libs")


def _python_libraries() -> list[Path]:
    """Where this interpreter's own libpython is; else the loader takes the system's, of another patch version."""
    candidates = (Path(sys.base_prefix) / "lib", Path(str(sysconfig.get_config_var("LIBDIR") or "/nonexistent")))
    name = str(sysconfig.get_config_var("INSTSONAME") or "")
    return [path for path in dict.fromkeys(candidates) if name and (path / name).exists()]


def _packages() -> list[Path]:
    return [Path(path) for path in dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))]


def _stub(version: str) -> Path:
    stubs = _existing(_root() / "python_backend_stubs")
    stub = stubs / version / _STUB
    if not stub.is_file():
        known = ", ".join(sorted((path.name for path in stubs.iterdir() if path.is_dir()), key=_version))
        raise WheelUnusable(f"the wheel nvidia-pytriton has no Triton stub for Python {version}, only for {known}")
    return stub


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _copy(source: Path, target: Path) -> None:
    # Replaced by rename: a server that runs from the old file keeps it.
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copy(source, temporary)
    temporary.replace(target)


def _try(stub: Path) -> None:
    """Starts the stub without arguments: it ends at once, unless the loader does not find its libraries."""
    result = subprocess.run(
        [str(stub)], env=environment(), capture_output=True, text=True, timeout=_STUB_STARTS_SECONDS, check=False
    )
    if result.returncode == 127:
        message = result.stderr.strip().splitlines()[-1:] or ["no message"]
        raise WheelUnusable(f"Triton's Python stub does not start here: {message[0]}")


def _existing(path: Path) -> Path:
    if not path.exists():
        raise WheelUnusable(f"the wheel nvidia-pytriton is incomplete: {path} is missing; install it again")
    return path


def _joined(first: list[Path], then: str | None) -> str:
    return os.pathsep.join([*map(str, first), *([then] if then else [])])
