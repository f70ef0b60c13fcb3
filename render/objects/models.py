"""The ConfigMap with a slice's model config. Pure."""

from render.objects import model_config
from render.objects.base import Object, Part, metadata
from schemas.model_config import FILE_NAME


def config_map_name(part: Part) -> str:
    """What the ConfigMap of a slice is called."""
    return f"{part.name}-models"


def models(part: Part) -> Object:
    """Raises TooLarge when the config is larger than a ConfigMap takes."""
    fleet = part.fleet
    config = model_config.config(fleet.deployments, namespace=fleet.namespace, server=fleet.name, slice_name=part.slice)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(fleet, config_map_name(part), part.slice),
        "data": {FILE_NAME: model_config.text(config)},
    }
