"""What the sidecars of a slice are told: the entries of its model config. Pure.

A Deployment's status says which of its revisions a slice serves, tries and stages; here that becomes the contract with
the sidecar. All functions take a Deployment as one place sees it (`render.places`).
"""

from collections.abc import Iterable

import msgspec

from render.errors import StatusUnreadable, TooLarge
from schemas import limits
from schemas.model_config import SCHEMA_VERSION, ConfigCandidate, ConfigEntry, ConfigRevision, ModelConfig, checksum
from schemas.status import DeploymentStatus, ModelRevision, Role, SliceName, SliceState


def entry(status: DeploymentStatus, slice_name: SliceName) -> ConfigEntry | None:
    """The entry of a Deployment in the config of a slice, or None where it has nothing there.

    Raises StatusUnreadable for a slice that is told of a revision which is not there.
    """
    state = status.slices.get(slice_name, SliceState())
    serve = _of(status, state.serve)
    candidate = _of(status, Role.CANDIDATE if state.first_pods else None)
    stage = [one for role in state.stage if (one := _of(status, role)) is not None]
    if serve is None and candidate is None and not stage:
        return None
    return ConfigEntry(
        serve=_revision(status, serve) if serve is not None else None,
        candidate=_candidate(status, candidate, state.first_pods) if candidate is not None else None,
        stage=tuple(_revision(status, one) for one in stage),
        gate=is_gated(status),
        attempt=max(one.attempt for one in (serve, candidate, *stage) if one is not None),
    )


def config(
    deployments: Iterable[DeploymentStatus], *, namespace: str, server: str, slice_name: SliceName
) -> ModelConfig:
    """The whole model config of one slice. `deployments` are those on `server`, in any order.

    A name that a Deployment has here, and that no entry is for, is to be unloaded: that is decided, and the sidecar's
    guard need not fear a mistake.
    """
    models: dict[str, ConfigEntry] = {}
    names: set[str] = set()
    for status in sorted(deployments, key=lambda status: status.metadata.name):
        name, made = model_name(status), entry(status, slice_name)
        names |= {name} if name is not None else set()
        if made is not None and name is not None:
            models.setdefault(name, made)
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


def model_name(status: DeploymentStatus) -> str | None:
    """The served name of a Deployment, None while it has no revision."""
    revision = status.current or status.candidate
    return revision.name if revision is not None else None


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


def is_gated(status: DeploymentStatus) -> bool:
    """Whether a route points to it; or may still do so, because it is only just being taken away or turned."""
    return status.route is not None or (status.progress is not None and status.progress.step in ("traffic", "route"))


def _of(status: DeploymentStatus, role: Role | None) -> ModelRevision | None:
    if role is None:
        return None
    revision = status.current if role is Role.CURRENT else status.candidate
    if revision is None:
        where = f"{status.metadata.namespace}/{status.metadata.name}"
        raise StatusUnreadable(f"the status of Deployment {where} has a slice with its {role}, but it has no {role}")
    return revision


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
