"""Models for tests: small Python models that answer with their revision, and the ways in which a model can be bad."""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from schemas.digest import FileEntry, digest

PARTS = """
import os, signal, time
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        {initialize}

    def execute(self, requests):
        time.sleep({seconds})
        answer = pb_utils.Tensor("OUT", np.array([{answer!r}.encode()], dtype=object))
        return [pb_utils.InferenceResponse([answer]) for _ in requests]
"""
COMPLETES = """
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "IN", "data_type": "TYPE_FP32", "dims": [1]})
        config.add_output({"name": "OUT", "data_type": "TYPE_STRING", "dims": [1]})
        return config
"""
CONFIG = """
backend: "python"
input { name: "IN" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "OUT" data_type: TYPE_STRING dims: [ 1 ] }
"""


def model(
    directory: Path,
    answer: str,
    *,
    initialize: str = "pass",
    seconds: float = 0.0,
    config: str | None = CONFIG,
    more: str = "",
) -> Path:
    """Writes a model that answers every request with `answer`, and returns its directory. `more`: of its class."""
    (directory / "1").mkdir(parents=True)
    text = PARTS.format(answer=answer, initialize=initialize, seconds=seconds)
    (directory / "1" / "model.py").write_text(text + more, "utf-8")
    if config is not None:
        (directory / "config.pbtxt").write_text(config, "utf-8")
    return directory


def digest_of_directory(directory: Path) -> str:
    """The digest of a directory, by the definition and not by the code under test."""
    entries = []
    for folder, _, names in os.walk(directory):
        for name in names:
            data = Path(folder, name).read_bytes()
            path = Path(folder, name).relative_to(directory).as_posix()
            entries.append(FileEntry(path, len(data), hashlib.sha256(data).hexdigest()))
    return digest(entries)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Says nothing."""


@contextmanager
def serving_directory(directory: Path) -> Iterator[str]:
    """Serves `directory` over HTTP on a free port of loopback; yields the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
