"""A full models volume, on real processes: it is said, what serves goes on, and so does the rest once there is room."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.model_config import ConfigEntry
from schemas.report import ModelState, Reason
from tests.agent.modelsync.conftest import World
from tests.support.models import model
from tests.support.sidecar import revision, running_sidecar
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.triton import running_triton


@dataclass
class FullWorld(World):
    """A World whose volume can be filled."""

    disk: SmallDisk

    def fill(self, *, files: bool = False) -> None:
        """No room for the sidecar any more."""
        worker = self.sidecar.worker()
        assert worker is not None
        self.disk.fill(worker, files=files)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[FullWorld]:
    """A server and its sidecar on a small volume."""
    with small_disk(tmp_path / "volume", megabytes=80) as disk:
        models = disk.root / "models"
        with (
            running_triton(tmp_path, models / "repository") as server,
            running_sidecar(tmp_path / "sidecar", grpc=server.grpc, models=models) as sidecar,
        ):
            yield FullWorld(server, sidecar, models, disk)


@pytest.mark.parametrize("files", [False, True], ids=["bytes", "files"])
def test_a_full_volume_is_said_and_touches_nothing_that_serves(scene: FullWorld, tmp_path: Path, files: bool) -> None:
    good, better = revision(model(tmp_path / "good", "good")), revision(model(tmp_path / "better", "better"))
    sidecar = scene.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=good, gate=True)})
    sidecar.until_serving("scorer", good.digest)
    scene.fill(files=files)
    sidecar.write({"scorer": ConfigEntry(serve=good, stage=(better,), gate=True)})
    report = sidecar.until(lambda r: r.models["scorer"].error is not None, what="the disk is told of")
    error = report.models["scorer"].error
    assert error is not None
    assert (error.reason, error.permanent, error.digest) == (Reason.INSUFFICIENT_DISK, False, better.digest)
    assert (report.ready, report.models["scorer"].serving) == (True, good.digest)
    assert scene.ask("scorer") == "good"
    scene.disk.free()
    sidecar.until(lambda r: better.digest in r.models["scorer"].staged, what="it goes on by itself")


def test_a_load_that_finds_no_room_is_told_and_made_later(scene: FullWorld, tmp_path: Path) -> None:
    good, better = revision(model(tmp_path / "good", "good")), revision(model(tmp_path / "better", "better"))
    sidecar = scene.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=good, stage=(better,), gate=True)})
    sidecar.until_serving("scorer", good.digest)
    sidecar.until(lambda r: better.digest in r.models["scorer"].staged, what="both are on disk")
    scene.fill()
    sidecar.write({"scorer": ConfigEntry(serve=better, gate=True)})
    report = sidecar.until(lambda r: r.models["scorer"].error is not None, what="the disk is told of")
    error = report.models["scorer"].error
    assert error is not None
    assert (error.reason, error.permanent) == (Reason.INSUFFICIENT_DISK, False)
    assert (report.ready, report.models["scorer"].serving) == (True, good.digest)
    assert scene.ask("scorer") == "good"
    scene.disk.free()
    sidecar.until_serving("scorer", better.digest)
    assert scene.ask("scorer") == "better"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_sidecar_that_starts_on_a_full_volume_takes_over(
    scene: FullWorld, tmp_path: Path, number: signal.Signals
) -> None:
    good, better = revision(model(tmp_path / "good", "good")), revision(model(tmp_path / "better", "better"))
    sidecar = scene.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=good, gate=True)})
    sidecar.until_serving("scorer", good.digest)
    sidecar.stop(number)
    scene.disk.fill()
    sidecar.start()
    sidecar.until(lambda r: r.ready and r.models["scorer"].serving == good.digest, what="it is ready again")
    scene.fill()
    sidecar.write({"scorer": ConfigEntry(serve=better, gate=True)})
    sidecar.until(lambda r: r.models["scorer"].error is not None, what="the disk is told of")
    assert scene.ask("scorer") == "good"
    scene.disk.free()
    sidecar.until_serving("scorer", better.digest)


def test_a_server_that_starts_again_beside_a_full_volume_gets_its_models_once_there_is_room(
    scene: FullWorld, tmp_path: Path
) -> None:
    good = revision(model(tmp_path / "good", "good"))
    sidecar = scene.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=good, gate=True)})
    sidecar.until_serving("scorer", good.digest)
    scene.fill()
    scene.server.restart()
    sidecar.until(lambda r: r.models["scorer"].error is not None, what="the disk is told of")
    scene.disk.free()
    report = sidecar.until_serving("scorer", good.digest)
    assert report.models["scorer"].state is ModelState.SERVING
    assert scene.ask("scorer") == "good"
