"""A real tritonserver for tests: one process group, free ports, its own shared memory, nothing left behind."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import tritonclient.grpc as triton

from agent.local import triton_wheel


def free_port() -> int:
    """A TCP port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], *, what: str, seconds: float = 120.0) -> None:
    """Returns once `condition` holds; fails the test after a generous while."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not seen within {seconds:g} s: {what}"
        time.sleep(0.02)


class TritonServer:
    """A tritonserver on `repository` (made if absent), in explicit control mode.

    It keeps its ports over `kill` and `start`, as a container keeps its own.
    """

    def __init__(self, directory: Path, repository: Path | None = None, *, flags: Sequence[str] = ()) -> None:
        """`flags`: further ones for tritonserver, which win over its usual ones."""
        self.repository = repository or directory / "repository"
        self.repository.mkdir(parents=True, exist_ok=True)
        self.http_port, self.grpc_port, self.metrics_port = free_port(), free_port(), free_port()
        self.grpc = f"127.0.0.1:{self.grpc_port}"
        self._directory = directory
        self._flags = flags
        self._name = f"fresco-test-{uuid4().hex[:8]}-"
        self._backends = triton_wheel.prepare_backend(directory / "backends")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of tritonserver itself."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """All that the server has printed."""
        return (self._directory / "triton.log").read_text("utf-8", errors="replace")

    def start(self) -> None:
        """Starts it and waits until it is live."""
        with (self._directory / "triton.log").open("ab") as log:
            command = triton_wheel.command(
                backends=self._backends,
                repository=self.repository,
                http_port=self.http_port,
                grpc_port=self.grpc_port,
                metrics_port=self.metrics_port,
                name=self._name,
            )
            self._process = subprocess.Popen(
                [*command, *self._flags],
                env=triton_wheel.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self.is_live, what="tritonserver is live")

    def is_live(self) -> bool:
        """Whether it answers."""
        with triton.InferenceServerClient(self.grpc) as client:
            try:
                return bool(client.is_server_live(client_timeout=2.0))
            except triton.InferenceServerException:
                return False

    def is_running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL to the server and its stubs, as the end of a container does; and its shared memory is cleaned."""
        if self._process is None:
            return
        with_group = self._process.pid
        try:
            os.killpg(with_group, signal.SIGKILL)
        except ProcessLookupError:
            assert self._process.poll() is not None
        self._process.wait()
        triton_wheel.clean_shared_memory(self._name)

    def restart(self) -> None:
        """What the kubelet does when the container has ended."""
        self.kill()
        self.start()


@contextmanager
def running_triton(
    directory: Path, repository: Path | None = None, *, flags: Sequence[str] = ()
) -> Iterator[TritonServer]:
    """A live TritonServer; killed at the end."""
    server = TritonServer(directory, repository, flags=flags)
    try:
        server.start()
        yield server
    finally:
        server.kill()
