"""The model of the demo, in revisions that can be told apart: each answers with its own label. I/O: small files.

Revision 3 cannot be loaded: its Python raises, as a wrong path or a missing library would make it.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from agent.storage.digest_of import digest_of

REQUEST = (
    b'{"inputs": [{"name": "AMOUNT", "datatype": "FP32", "shape": [1], "data": [250.0]}],'
    b' "outputs": [{"name": "REVISION"}]}'
)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A revision as a Deployment names it."""

    revision: str
    uri: str
    digest: str


async def publish(models: Path, storage: Path) -> dict[str, Artifact]:
    """Puts every revision below `models` into `storage`, as training jobs would, and gives them by label."""
    shutil.copytree(models, storage)
    return {place.name: await _artifact(place) for place in sorted(storage.iterdir())}


async def _artifact(place: Path) -> Artifact:
    uri = place.as_uri()
    return Artifact(place.name, uri, await digest_of(uri))
