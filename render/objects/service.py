"""Services: one for each slice, and one that covers them all. Pure."""

from render.objects.base import GRPC_PORT, HTTP_PORT, Fleet, Object, Part, metadata, selector


def common_service(fleet: Fleet) -> Object:
    """The Service that covers all slices: where a steady route leads."""
    return _service(metadata(fleet, fleet.name), selector(fleet.name))


def slice_service(part: Part) -> Object:
    """The Service of one slice: where a split route leads."""
    return _service(metadata(part.fleet, part.name, part.slice), selector(part.fleet.name, part.slice))


def _service(meta: Object, pods: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {
            "type": "ClusterIP",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "selector": pods,
            "ports": [
                {"name": "http", "protocol": "TCP", "port": HTTP_PORT, "targetPort": "http"},
                {
                    "name": "grpc",
                    "protocol": "TCP",
                    "port": GRPC_PORT,
                    "targetPort": "grpc",
                    "appProtocol": "kubernetes.io/h2c",
                },
            ],
        },
    }
