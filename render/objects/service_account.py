"""The ServiceAccount of a server's pods, for the storage it may read; no token of it is mounted. Pure."""

from render.objects.base import Fleet, Object, Part, metadata


def service_account(fleet: Fleet) -> Object:
    """One for all slices, with the annotations of the main slice's template."""
    leading = max(fleet.server.slices)  # main, unless only canary is left
    wanted = Part(fleet, leading).template.service_account_annotations
    meta = metadata(fleet, fleet.name)
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {**meta, "annotations": dict(wanted)} if wanted else meta,
        "automountServiceAccountToken": False,
    }
