"""One real Triton and one real sidecar for each module that asks for them; each test begins with nothing served."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton

from schemas.model_config import ConfigEntry
from tests.support.sidecar import Sidecar, running_sidecar
from tests.support.triton import TritonServer, running_triton


@dataclass
class World:
    """A server, its sidecar, and the volume that they share."""

    server: TritonServer
    sidecar: Sidecar
    models: Path

    def ask(self, name: str) -> str:
        """What the model called `name` answers."""
        with triton.InferenceServerClient(self.server.grpc) as client:
            tensor = triton.InferInput("IN", [1], "FP32")
            tensor.set_data_from_numpy(np.zeros([1], np.float32))
            answer = client.infer(name, [tensor], client_timeout=30).as_numpy("OUT")
            assert answer is not None
            return bytes(answer[0]).decode()

    def clear(self) -> None:
        """Leaves nothing served and nothing refused."""
        published = sorted(path.name for path in (self.models / "repository").iterdir())
        self.sidecar.write({}, unload=tuple(published))
        self.sidecar.until(lambda report: not report.models and report.config.error is None, what="nothing is served")


@pytest.fixture(scope="module")
def one_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The module's server and sidecar."""
    folder = tmp_path_factory.mktemp("world")
    models = folder / "models"
    with (
        running_triton(folder, models / "repository") as server,
        running_sidecar(folder / "sidecar", grpc=server.grpc, models=models) as sidecar,
    ):
        yield World(server, sidecar, models)


@pytest.fixture
def world(one_world: World) -> World:
    """The module's server and sidecar, with nothing served."""
    one_world.clear()
    return one_world


@pytest.fixture
def own_world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A server and a sidecar for one test alone, which may kill them. Its parameter is the load deadline."""
    deadline = getattr(request, "param", 60)
    models = tmp_path / "models"
    with (
        running_triton(tmp_path, models / "repository") as server,
        running_sidecar(tmp_path / "sidecar", grpc=server.grpc, models=models, load_deadline=deadline) as sidecar,
    ):
        yield World(server, sidecar, models)


def entry(**fields: object) -> ConfigEntry:
    """An entry that a route points to."""
    return ConfigEntry(**{"gate": True, **fields})  # type: ignore[arg-type]
