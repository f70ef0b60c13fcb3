"""The request paths that lead to a model: an allowed suffix of the route's path, and what it becomes. Pure."""

from collections.abc import Mapping
from typing import Final

SUFFIXES: Final[Mapping[str, str]] = {
    "/infer": "/infer",
    "/generate": "/generate",
    "/generate_stream": "/generate_stream",
    "/ready": "/ready",
    "": "",  # the model's metadata
}
INFERENCE: Final = ("/infer", "/generate", "/generate_stream")
GRPC_METHODS: Final = ("ModelInfer", "ModelStreamInfer", "ModelReady", "ModelMetadata")
