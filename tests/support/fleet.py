"""A large repository of the kind that people write: as many servers and Deployments as asked for. Pure, from its seed.

The servers share namespaces by twenties. They differ as real ones do: with and without a canary slice, of a few sizes,
some scaled automatically, some with GPUs; each with a handful of models, whose memory fits.
"""

import random
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from render.emit import emit

CLUSTER: Final = "prod"
SERVERS_A_NAMESPACE: Final = 20

Resource = dict[str, Any]

_API: Final = {"apiVersion": "serving.fresco.dev/v1alpha1"}
_SUBJECTS = ("fraud", "search", "maps", "rank", "price", "risk", "eats", "rides", "ads", "pay")
_MODELS = ("scorer", "ranker", "embedder", "forecast", "matcher", "tagger", "router", "filter")
_VERSIONS = ("24.08", "24.10", "24.10", "25.03")
_GIB = 1024  # MiB
_SIZES = (4, 8, 16, 32, 64, 128, 256)  # GiB of main memory
_GPUS = (16, 24, 40, 80)  # GiB of one GPU


@dataclass(frozen=True, slots=True)
class _Server:
    """What is decided of a server before its models are known."""

    name: str
    namespace: str
    gpu: bool
    replicas: int
    canary: int


def repository(*, servers: int, deployments: int, seed: int = 1) -> dict[str, bytes]:
    """The files of a branch `main`, by path: one for each resource, and `fresco.yaml`. Equal arguments, equal bytes.

    All of it is accepted for the cluster `CLUSTER` without a finding.
    """
    chance = random.Random(seed)
    fleet = [_server(chance, number) for number in range(servers)]
    weights = [chance.choice((1, 2, 3)) for _ in fleet]
    homes = sorted(chance.choices(range(servers), weights, k=deployments))
    models: dict[int, list[Resource]] = {}
    for number, home in enumerate(homes):
        models.setdefault(home, []).append(_deployment(chance, number, fleet[home]))
    files = {"fresco.yaml": emit(_settings(sorted({one.namespace for one in fleet})))}
    for home, server in enumerate(fleet):
        on_it = models.get(home, [])
        folder = f"{server.namespace}/servers"
        files[f"{folder}/{server.name}.yaml"] = emit(_server_resource(chance, server, _memory(on_it)))
        for one in on_it:
            files[f"{server.namespace}/deployments/{one['metadata']['name']}.yaml"] = emit(one)
    return files


def revised(deployment: bytes, revision: str) -> bytes:
    """The file of a Deployment with another revision of its model: what a team commits to roll one out."""
    lines = deployment.decode().splitlines()
    fresh = {"revision": f'"{revision}"', "digest": _digest(revision + deployment.decode())}
    return "".join(f"{_with(line, fresh)}\n" for line in lines).encode()


def _with(line: str, fresh: dict[str, str]) -> str:
    name, separator, _ = line.partition(": ")
    field = name.strip()
    return f"{name}: {fresh[field]}" if separator and field in fresh else line


def _digest(of: str) -> str:
    return f"sha256:{sha256(of.encode()).hexdigest()}"


def _settings(namespaces: list[str]) -> Resource:
    grants = {
        name: {
            "storage": [f"https://models.example.com/{name}/"],
            "hostnames": [f"{name}.models.example.com"],
            "secrets": ["models-read"],
            "images": ["registry.example.com/serving/"],
        }
        for name in namespaces
    }
    gateway = {"name": "public", "namespace": "gateway", "implementation": "istio"}
    spec = {"clusters": [{"name": CLUSTER, "gateway": gateway}], "namespaces": grants, "rollout": {"bake": "15m"}}
    return {**_API, "kind": "Repository", "spec": spec}


# ---- servers


def _server(chance: random.Random, number: int) -> _Server:
    group, gpu = number // SERVERS_A_NAMESPACE, chance.random() < 0.4
    replicas = chance.choice((2, 4, 6, 8, 10, 12, 16, 20))
    return _Server(
        name=f"{'gpu' if gpu else 'cpu'}-{number:04}",
        namespace=f"{_SUBJECTS[group % len(_SUBJECTS)]}-{group // len(_SUBJECTS)}",
        gpu=gpu,
        replicas=replicas,
        canary=max(1, replicas // 5) if chance.random() < 0.8 else 0,
    )


def _memory(models: list[Resource]) -> int:
    """MiB that the models of a server need, one of them twice."""
    needs = [int(one["spec"]["model"]["memory"].removesuffix("Mi")) for one in models]
    return sum(needs) + max(needs, default=0)


def _server_resource(chance: random.Random, server: _Server, need: int) -> Resource:
    backend: Resource = {"type": "triton", "version": chance.choice(_VERSIONS)}
    if chance.random() < 0.1:
        backend = {"type": "triton", "image": f"registry.example.com/serving/triton:{chance.randrange(100, 999)}"}
    if chance.random() < 0.3:
        backend |= {"args": ["--log-verbose=1", f"--buffer-manager-thread-count={chance.randrange(1, 9)}"]}
        backend |= {"env": {"OMP_NUM_THREADS": "4", "TEAM": f"team {server.namespace}", "TRACE": "on"}}
    spec: Resource = {"backend": backend, "replicas": server.replicas}
    if chance.random() < 0.3:
        spec["replicas"] = {"min": server.replicas, "max": server.replicas * 2, "targetCpu": 65}
    if server.canary:
        spec["canary"] = {"replicas": server.canary}
    spec["resources"] = _gpu_resources(need) if server.gpu else _cpu_resources(chance, need)
    if server.gpu:
        spec |= {"update": "replace", "scheduling": _gpu_scheduling()}
    if chance.random() < 0.5:
        account = f"arn:aws:iam::123456789012:role/{server.namespace}"
        spec |= {"credentials": "models-read"}
        spec |= {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": account}}}
    if chance.random() < 0.2:
        spec |= {"onModelFailure": "degrade", "cache": {"sizeLimit": "100Gi"}, "sync": {"loadDeadline": "10m"}}
    metadata = {"name": server.name, "namespace": server.namespace}
    return {**_API, "kind": "InferenceServer", "metadata": metadata, "spec": spec}


def _cpu_resources(chance: random.Random, need: int) -> Resource:
    size = next(one for one in _SIZES if one * _GIB >= need)
    return {"cpu": str(chance.choice((2, 4, 8))), "memory": f"{size}Gi"}


def _gpu_resources(need: int) -> Resource:
    count = next(one for one in (1, 2, 4, 8) if one * _GPUS[-1] * _GIB >= need)
    memory = next(one for one in _GPUS if one * count * _GIB >= need)
    return {"cpu": "8", "memory": "32Gi", "gpu": {"count": count, "memory": f"{memory}Gi"}}


def _gpu_scheduling() -> Resource:
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    return {"nodeSelector": {"node.example.com/pool": "gpu"}, "tolerations": [toleration]}


# ---- Deployments


def _deployment(chance: random.Random, number: int, server: _Server) -> Resource:
    name = f"{chance.choice(_MODELS)}-{number:05}"
    revision = f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    model: Resource = {
        "revision": revision,
        "uri": f"https://models.example.com/{server.namespace}/{name}/{revision}.tar.gz",
        "digest": _digest(f"{name} {revision}"),
        "memory": f"{chance.choice((128, 256, 512, 1024, 2048))}Mi",
    }
    if chance.random() < 0.3:
        model["name"] = name.replace("-", "_")
    if chance.random() < 0.2:
        model["options"] = {"priority": chance.choice(("low", "high")), "max_batch_size": "32"}
    if chance.random() < 0.5:
        values = ", ".join(f"{chance.random():.3f}" for _ in range(8))
        request = f'{{"inputs": [{{"name": "X", "datatype": "FP32", "shape": [1, 8], "data": [{values}]}}]}}'
        model["smokeTest"] = {"request": request, "timeout": "5s"}
    spec: Resource = {"server": server.name, "model": model}
    rollout, traffic = _rollout(chance, server), _traffic(chance, server)
    spec |= {"rollout": rollout} if rollout else {}
    spec |= {"traffic": traffic} if traffic else {}
    metadata = {"name": name, "namespace": server.namespace, "labels": {"team": server.namespace}}
    return {**_API, "kind": "Deployment", "metadata": metadata, "spec": spec}


def _rollout(chance: random.Random, server: _Server) -> Resource:
    """Steps where there is a canary slice, and no more than it can carry."""
    rollout: Resource = {}
    share = 100 * server.canary // server.replicas
    if server.canary and chance.random() < 0.8:
        weights = [weight for weight in (5, 10, 20, 50) if weight <= share]
        rollout["steps"] = [{"weight": weight, "soak": "10m"} for weight in weights]
        rollout["analysis"] = {"maxErrorRate": 0.01, "maxLatencyRatio": 1.3}
    if chance.random() < 0.3:
        rollout["deadlines"] = {"assetPreparation": "1h", "resourceAcquisition": "20m"}
    if chance.random() < 0.2:
        rollout["maxFailedReplicas"] = 5
    return rollout


def _traffic(chance: random.Random, server: _Server) -> Resource:
    traffic: Resource = {}
    if chance.random() < 0.5:
        traffic["hostnames"] = [f"{server.namespace}.models.example.com"]
    if chance.random() < 0.2:
        traffic["headers"] = [{"name": "x-tenant", "value": server.namespace}]
    if server.canary and chance.random() < 0.2:
        traffic |= {"canaryHeaders": [{"name": "x-try", "value": "candidate"}], "mirror": {"percent": 10}}
    return traffic
