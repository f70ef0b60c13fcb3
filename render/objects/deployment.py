"""The Kubernetes Deployment of a slice. Pure."""

from render.objects.base import Object, Part, metadata, selector
from render.objects.pod import pod_template


def deployment(part: Part) -> Object:
    """`replicas` stays rendered beside an autoscaler: without it Kubernetes would set 1."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(part.fleet, part.name, part.slice),
        "spec": {
            "replicas": part.state.replicas.min,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling_update(part)},
            "selector": {"matchLabels": selector(part.fleet.name, part.slice)},
            "template": pod_template(part),
        },
    }


def _rolling_update(part: Part) -> Object:
    if part.template.update == "surge":
        return {"maxSurge": "25%", "maxUnavailable": 0}
    return {"maxSurge": 0, "maxUnavailable": 1}  # there is no spare GPU to surge onto
