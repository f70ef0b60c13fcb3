"""What the sidecars of a slice are told: the entries of its model config. Pure.

A Deployment's status says which of its revisions a slice serves, tries and stages; here that becomes the contract with
the sidecar. While a Deployment moves to another server or served name its two revisions live in two places: each place
gets the share of the slice's state that concerns the revision which lives there.
"""

from collections.abc import Iterable, Mapping

import msgspec

from render.errors import StatusUnreadable, TooLarge
from schemas import limits
from schemas.model_config import SCHEMA_VERSION, ConfigCandidate, ConfigEntry, ConfigRevision, ModelConfig, checksum
from schemas.status import DeploymentStatus, ModelRevision, Role, SliceName, SliceState


def entry(status: DeploymentStatus, slice_name: SliceName) -> ConfigEntry | None:
    """The entry of a Deployment that is not moving in the config of a slice, or None where it has nothing there."""
    found = [_entry(status, slice_name, _roles(status, place)) for place in _places(status)]
    return next((one for one in found if one is not None), None)


def entries(status: DeploymentStatus, *, server: str, slice_name: SliceName) -> dict[str, ConfigEntry]:
    """The entries of one Deployment, by served name, in the config of the slice of `server`."""
    made = {
        name: _entry(status, slice_name, _roles(status, (at, name))) for at, name in _places(status) if at == server
    }
    return {name: one for name, one in made.items() if one is not None}


def config(
    deployments: Iterable[DeploymentStatus], *, namespace: str, server: str, slice_name: SliceName
) -> ModelConfig:
    """The whole model config of one slice. `deployments` are those of `namespace`, in any order.

    A name that a Deployment has here, and that no entry is for, is to be unloaded: that is decided, and the sidecar's
    guard need not fear a mistake.
    """
    models: dict[str, ConfigEntry] = {}
    names: set[str] = set()
    for status in sorted(deployments, key=lambda status: status.metadata.name):
        names |= {name for at, name in _places(status) if at == server}
        for name, one in entries(status, server=server, slice_name=slice_name).items():
            models.setdefault(name, one)
    models = {name: models[name] for name in sorted(models)}
    return ModelConfig(
        schema_version=SCHEMA_VERSION,
        namespace=namespace,
        server=server,
        slice=slice_name,
        checksum=checksum(models),
        models=models,
        unload=tuple(sorted(names - models.keys())),
    )


def text(config: ModelConfig) -> str:
    """The config as the file that the sidecar reads.

    Raises TooLarge above `limits.MODEL_CONFIG_BYTES`: a ConfigMap takes little more.
    """
    content = msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n"
    if len(content) > limits.MODEL_CONFIG_BYTES:
        raise TooLarge(
            f"the model config of {config.namespace}/{config.server}, slice {config.slice}, has {len(content)} bytes "
            f"with {len(config.models)} models, {limits.MODEL_CONFIG_BYTES} are allowed: use a further server"
        )
    return content.decode()


def _places(status: DeploymentStatus) -> list[tuple[str, str]]:
    revisions = [status.current, status.candidate]
    return list(dict.fromkeys((one.server, one.name) for one in revisions if one is not None))


def _roles(status: DeploymentStatus, place: tuple[str, str]) -> dict[Role, ModelRevision]:
    both = {Role.CURRENT: status.current, Role.CANDIDATE: status.candidate}
    return {role: one for role, one in both.items() if one is not None and (one.server, one.name) == place}


def _entry(status: DeploymentStatus, slice_name: SliceName, here: Mapping[Role, ModelRevision]) -> ConfigEntry | None:
    state = status.slices.get(slice_name, SliceState())
    _check(status, state)
    serve = here.get(state.serve) if state.serve is not None else None
    candidate = here.get(Role.CANDIDATE) if state.first_pods else None
    stage = [here[role] for role in state.stage if role in here]
    if serve is None and candidate is None and not stage:
        return None
    return ConfigEntry(
        serve=_revision(status, serve) if serve is not None else None,
        candidate=_candidate(status, candidate, state.first_pods) if candidate is not None else None,
        stage=tuple(_revision(status, one) for one in stage),
        gate=is_gated(status),
        attempt=max(one.attempt for one in (serve, candidate, *stage) if one is not None),
    )


def is_gated(status: DeploymentStatus) -> bool:
    """Whether a route points to it; or may still do so, because it is only just being taken away."""
    return status.route is not None or (status.progress is not None and status.progress.step == "traffic")


def _check(status: DeploymentStatus, state: SliceState) -> None:
    named = {state.serve, *state.stage, Role.CANDIDATE if state.first_pods else None}
    for role, revision in ((Role.CURRENT, status.current), (Role.CANDIDATE, status.candidate)):
        if role in named and revision is None:
            where = f"{status.metadata.namespace}/{status.metadata.name}"
            raise StatusUnreadable(
                f"the status of Deployment {where} has a slice with its {role}, but it has no {role}"
            )


def _revision(status: DeploymentStatus, revision: ModelRevision) -> ConfigRevision:
    return ConfigRevision(
        deployment=status.metadata.name,
        type=revision.type.value,
        revision=revision.revision,
        uri=revision.uri,
        digest=revision.digest,
        options=revision.options,
        smoke_test=revision.smoke_test,
    )


def _candidate(status: DeploymentStatus, revision: ModelRevision, first_pods: tuple[str, ...]) -> ConfigCandidate:
    return ConfigCandidate(**msgspec.structs.asdict(_revision(status, revision)), first_pods=first_pods)
