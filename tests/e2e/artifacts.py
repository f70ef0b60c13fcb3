"""Artifacts for the end-to-end tests: tiny Python models that answer with their revision, and harmful archives.

A model is what its `initialize` does before it is ready; everything else is the same for all. I/O: files.
"""

import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from schemas.digest import FileEntry, digest

CONFIG = """\
backend: "python"
max_batch_size: 0
input [{ name: "QUESTION" data_type: TYPE_STRING dims: [ 1 ] }]
output [{ name: "REVISION" data_type: TYPE_STRING dims: [ 1 ] }]
instance_group [{ kind: KIND_CPU count: 1 }]
"""
QUESTION = {"inputs": [{"name": "QUESTION", "shape": [1], "datatype": "BYTES", "data": ["who?"]}]}

_MODEL = """\
import os
import signal
import time

import numpy
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        {initialize}

    def execute(self, requests):
        answer = numpy.array([{revision!r}.encode()], dtype=numpy.object_)
        tensor = pb_utils.Tensor("REVISION", answer)
        return [pb_utils.InferenceResponse(output_tensors=[tensor]) for _ in requests]
"""

FINE = "pass"
RAISES = 'raise ValueError("weights are for another architecture")'
HANGS = "time.sleep(3600)"
KILLS_ITS_SERVER = "os.kill(os.getppid(), signal.SIGKILL)"
CANNOT_ANSWER = "self.execute = lambda requests: 1 / 0"

Content = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something to serve: the label of its revision, where it is, and its digest."""

    revision: str
    uri: str
    digest: str


def model(revision: str, initialize: str = FINE) -> Content:
    """The files of a model that answers `revision`. `initialize`: one statement that it runs while it is loaded."""
    code = _MODEL.format(revision=revision, initialize=initialize)
    return {"config.pbtxt": CONFIG.encode(), "1/model.py": code.encode()}


def digest_of(content: Content) -> str:
    """The digest by which a person pins `content`."""
    return digest(FileEntry(path, len(data), sha256(data).hexdigest()) for path, data in content.items())


def directory(place: Path, revision: str, content: Content) -> Artifact:
    """`content` as a directory below `place`, behind file://."""
    root = place / revision
    for path, data in content.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return Artifact(revision, root.as_uri(), digest_of(content))


def tar(content: Content, *harm: tarfile.TarInfo, mode: str = "w:gz") -> bytes:
    """`content` as a tar archive, with further members; those that are regular files hold a few bytes."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:  # type: ignore[call-overload]  # the mode is a plain str
        for path, data in content.items():
            archive.addfile(_member(path, len(data)), io.BytesIO(data))
        for member in harm:
            archive.addfile(member, io.BytesIO(b"out!") if member.isreg() else None)
    return target.getvalue()


def zipped(content: Content) -> bytes:
    """`content` as a zip archive; names are taken as they are."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return target.getvalue()


def file_at(path: str) -> tarfile.TarInfo:
    """A member that is a small regular file."""
    return _member(path, 4)


def link_at(path: str, target: str, *, hard: bool = False) -> tarfile.TarInfo:
    """A member that is a link."""
    member = tarfile.TarInfo(path)
    member.type, member.linkname = (tarfile.LNKTYPE if hard else tarfile.SYMTYPE), target
    return member


HARMFUL: dict[str, Callable[[Content, Path], bytes]] = {
    "parent.tar.gz": lambda content, out: tar(content, file_at(f"1/{'../' * 12}{str(out)[1:]}")),
    "absolute.tar": lambda content, out: tar(content, file_at(str(out)), mode="w"),
    "symlink.tar.gz": lambda content, out: tar(content, link_at("way", str(out.parent)), file_at(f"way/{out.name}")),
    "hardlink.tar.gz": lambda content, out: tar(content, link_at("1/passwd", "/etc/hostname", hard=True)),
    "parent.zip": lambda content, out: zipped({**content, f"{'../' * 12}{str(out)[1:]}": b"out!"}),
}
"""Archives by file name, made of a model and of a path outside that they try to write to or to reach."""


def _member(path: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.size = size
    return member
