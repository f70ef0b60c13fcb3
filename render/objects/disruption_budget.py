"""The PodDisruptionBudget: a drain of nodes takes one pod of a server at a time. Pure."""

from render.objects.base import Fleet, Object, metadata, selector


def disruption_budget(fleet: Fleet) -> Object:
    """Covers all slices. Pods that are not ready anyway may always go."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(fleet, fleet.name),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(fleet.name)},
        },
    }
