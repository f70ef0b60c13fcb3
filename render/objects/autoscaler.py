"""The autoscaler of the main slice. Pure."""

from render.objects.base import Object, Part, metadata


def autoscaler(part: Part) -> Object | None:
    """None where the number of replicas is fixed."""
    replicas = part.state.replicas
    if replicas.min == replicas.max:
        return None
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(part.fleet, part.name, part.slice),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": part.name},
            "minReplicas": replicas.min,
            "maxReplicas": replicas.max,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": replicas.target_cpu or 70},
                    },
                }
            ],
        },
    }
