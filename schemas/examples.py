"""One whole example of every contract, as plain values: what editors and the documentation show. Pure.

They tell one story: revision 2 of the model `scorer` has the first tenth of the requests, from the canary slice.
"""

from typing import Any, Final

import msgspec

from schemas.model_config import ConfigEntry, checksum, entry_hash

_API: Final = "serving.fresco.dev/v1alpha1"
_THEIR_API: Final = "michelangelo.api/v2"
_PLACE: Final = {"name": "scorer", "namespace": "fraud"}
_CURRENT: Final = {
    "revision": "2026-11-13",
    "uri": "s3://models/fraud/scorer/2026-11-13",
    "digest": "sha256:" + "4d" * 32,
}
_CANDIDATE: Final = {
    "revision": "2026-11-20",
    "uri": "s3://models/fraud/scorer/2026-11-20",
    "digest": "sha256:" + "9f" * 32,
}
_SERVED: Final = {"deployment": "scorer", "type": "repository"}
_ACCEPTED: Final = {
    "server": "gpu-a",
    "name": "scorer",
    "type": "repository",
    "options": {},
    "attempt": 0,
    "path": "/fraud/gpu-a/scorer",
}
_MODELS: Final[dict[str, Any]] = {
    "scorer": {"serve": {**_SERVED, **_CANDIDATE}, "stage": [{**_SERVED, **_CURRENT}], "gate": True}
}
_ENTRIES: Final = msgspec.convert(_MODELS, dict[str, ConfigEntry])

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "repository": {
        "apiVersion": _API,
        "kind": "Repository",
        "spec": {
            "clusters": [{"name": "prod", "gateway": {"name": "public", "namespace": "gateway"}}],
            "namespaces": {"fraud": {"storage": ["s3://models/fraud/"], "hostnames": ["models.example.com"]}},
        },
    },
    "inferenceserver": {
        "apiVersion": _API,
        "kind": "InferenceServer",
        "metadata": {"name": "gpu-a", "namespace": "fraud"},
        "spec": {
            "backend": {"type": "triton", "version": "24.10"},
            "replicas": 4,
            "canary": {"replicas": 1},
            "resources": {"cpu": "4", "memory": "16Gi", "gpu": {"count": 1, "memory": "24Gi"}},
        },
    },
    "deployment": {
        "apiVersion": _API,
        "kind": "Deployment",
        "metadata": _PLACE,
        "spec": {
            "server": "gpu-a",
            "model": _CANDIDATE,
            "rollout": {"steps": [{"weight": 10, "soak": "5m"}, {"weight": 50, "soak": "10m"}]},
        },
    },
    "repository-status": {
        "apiVersion": _API,
        "kind": "RepositoryStatus",
        "schemaVersion": 2,
        "cluster": "prod",
        "gateway": {"name": "public", "namespace": "gateway"},
        "settle": 2.0,
    },
    "inferenceserver-status": {
        "apiVersion": _API,
        "kind": "InferenceServerStatus",
        "schemaVersion": 2,
        "metadata": {"name": "gpu-a", "namespace": "fraud"},
        "stage": "Serve",
        "message": "serving",
        "quorum": 75,
        "current": {
            "templateVersion": 1,
            "backend": "triton",
            "image": "nvcr.io/nvidia/tritonserver:24.10-py3",
            "modelSyncImage": "fresco-model-sync:0.1.0",
            "args": [],
            "env": {},
            "resources": {"cpu": "4", "memory": "16Gi", "gpu": {"count": 1, "memory": "24Gi"}},
            "scheduling": {},
            "cache": {"sizeLimit": "20Gi"},
            "sync": {"resync": 15.0, "connections": 8, "loadDeadline": 300.0},
            "onModelFailure": "block",
            "update": "surge",
        },
        "slices": {
            "canary": {"template": "current", "replicas": {"min": 1, "max": 1}},
            "main": {"template": "current", "replicas": {"min": 4, "max": 4}},
        },
        "transitions": [
            {"at": "2026-11-02T09:12:40.250000Z", "stage": "Serve", "step": "Serve", "message": "serving"},
        ],
    },
    "deployment-status": {
        "apiVersion": _API,
        "kind": "DeploymentStatus",
        "schemaVersion": 2,
        "metadata": _PLACE,
        "stage": "Model Traffic Routing",
        "message": "revision 2026-11-20: 10 % of the requests; watched for 300 s",
        "rollout": {
            "strategy": "progressive",
            "steps": [{"weight": 10, "soak": 300.0}, {"weight": 50, "soak": 600.0}],
            "deadlines": {
                "assetPreparation": 1800.0,
                "resourceAcquisition": 600.0,
                "trafficRouting": 300.0,
                "rollback": 600.0,
            },
            "bake": 600.0,
            "maxFailedReplicas": 10,
            "paused": False,
        },
        "traffic": {"hostnames": [], "headers": [], "canaryHeaders": []},
        "current": {**_ACCEPTED, **_CURRENT, "modelHash": "sha256:" + "c4" * 32},
        "candidate": {**_ACCEPTED, **_CANDIDATE, "modelHash": "sha256:" + "ca" * 32},
        "progress": {
            "work": "Rollout",
            "step": "weight 1",
            "startedAt": "2026-11-20T08:00:01.250000Z",
            "since": "2026-11-20T08:01:12.500000Z",
            "liveSince": "2026-11-20T08:01:13.125000Z",
            "slices": {"canary": 1, "main": 4},
            "moved": ["canary"],
        },
        "slices": {
            "canary": {"serve": "candidate", "stage": ["current"]},
            "main": {"serve": "current", "stage": ["candidate"]},
        },
        "route": {"split": {"main": 90, "canary": 10}},
        "transitions": [
            {
                "at": "2026-11-20T08:01:12.500000Z",
                "stage": "Model Traffic Routing",
                "step": "weight 1",
                "message": "revision 2026-11-20: 10 % of the requests",
                "evidence": {
                    "digest": _CANDIDATE["digest"],
                    "pods": ["gpu-a-canary-f84fe2-0"],
                    "route": "9255ba81b8e7ffa4",
                },
            },
        ],
    },
    "model-config": {
        "schemaVersion": 1,
        "namespace": "fraud",
        "server": "gpu-a",
        "slice": "canary",
        "checksum": checksum(_ENTRIES),
        "models": _MODELS,
    },
    "sidecar-report": {
        "schemaVersion": 1,
        "seq": "5f3c9a10.42",
        "pod": "gpu-a-canary-f84fe2-0",
        "namespace": "fraud",
        "serverName": "gpu-a",
        "slice": "canary",
        "config": {"checksum": checksum(_ENTRIES)},
        "server": {"type": "triton", "live": True, "startedAt": 1793610760.25, "version": "2.51.0"},
        "ready": True,
        "models": {
            "scorer": {
                "state": "Serving",
                "entry": entry_hash(_ENTRIES["scorer"]),
                "staged": [_CANDIDATE["digest"], _CURRENT["digest"]],
                "serving": _CANDIDATE["digest"],
                "loadSeconds": 0.84,
                "requests": {"count": 1200, "failures": 0, "latencySeconds": 1.31, "busy": True},
            },
        },
    },
    "lock": {
        "apiVersion": _API,
        "kind": "Lock",
        "digests": {_CANDIDATE["uri"]: _CANDIDATE["digest"]},
    },
    "michelangelo-inferenceserver": {
        "apiVersion": _THEIR_API,
        "kind": "InferenceServer",
        "metadata": {"name": "gpu-a", "namespace": "fraud"},
        "spec": {
            "tenancyType": "TENANCY_TYPE_DEDICATED",
            "backendType": "BACKEND_TYPE_TRITON",
            "ownerSpec": {"tier": 1},
            "initSpec": {
                "resourceSpec": {"cpu": 4, "memory": "16Gi", "gpu": 1},
                "servingSpec": {"version": "24.10"},
                "numInstances": 4,
            },
            "owner": {"name": "ada"},
        },
    },
    "michelangelo-deployment": {
        "apiVersion": _THEIR_API,
        "kind": "Deployment",
        "metadata": _PLACE,
        "spec": {
            "desiredRevision": {"name": "scorer-2026-11-20"},
            "inferenceServer": {"name": "gpu-a"},
            "strategy": {"rolling": {"incrementPercentage": 25}},
            "definition": {"type": "TARGET_TYPE_INFERENCE_SERVER", "subType": "realtime-serving"},
            "owner": {"name": "ada"},
        },
    },
    "findings": {
        "schemaVersion": 1,
        "findings": [
            {
                "file": "fraud/scorer.yaml",
                "line": 5,
                "column": 11,
                "rule": "FR021",
                "message": "spec.server: there is no InferenceServer fraud/gpu-b",
                "hint": "did you mean gpu-a?",
                "other": {"file": "fraud/gpu-a.yaml", "line": 3, "column": 18},
            },
        ],
    },
    "change": {
        "schemaVersion": 1,
        "base": "3b3fc72ed2",
        "head": "the working tree",
        "clusters": [
            {
                "cluster": "prod",
                "now": "clusters/prod at d9f0f5104c",
                "objects": {
                    "changes": [
                        {
                            "path": "manifests/fraud/servers/gpu-a/main-models.yaml",
                            "kind": "ConfigMap",
                            "namespace": "fraud",
                            "name": "gpu-a-main-models",
                            "action": "changed",
                            "fields": {
                                "shown": [{"path": "scorer.serve.revision", "before": "13", "after": "20"}],
                                "more": 3,
                            },
                            "patch": "",
                        },
                    ],
                    "unchanged": 14,
                },
                "servers": [],
                "deployments": [
                    {
                        "key": "fraud/scorer",
                        "what": "rollout",
                        "before": {"revision": "13", "server": "gpu-a", "name": "scorer"},
                        "after": {"revision": "20", "server": "gpu-a", "name": "scorer"},
                        "strategy": "progressive",
                        "reason": None,
                        "plan": {
                            "steps": [
                                {
                                    "name": "weight 1",
                                    "message": "10 % of the requests",
                                    "route": "main 90 %, canary 10 %",
                                    "weight": 10,
                                    "soak": 300.0,
                                    "deadline": 300.0,
                                },
                            ],
                            "atLeast": 300.0,
                            "atMost": 600.0,
                        },
                        "rules": [],
                        "fields": {
                            "shown": [{"path": "model.revision", "before": "13", "after": "20"}],
                            "more": 0,
                        },
                        "notes": [],
                    },
                ],
                "memory": [
                    {
                        "server": "fraud/gpu-a",
                        "slice": "main",
                        "pods": "2–6",
                        "before": 3221225472,
                        "during": 6442450944,
                        "after": 3221225472,
                        "room": 25769803776,
                    },
                ],
                "findings": [],
                "notes": [],
            },
        ],
        "findings": [],
    },
    "overview": {
        "schemaVersion": 1,
        "clusters": [
            {
                "cluster": "prod",
                "branch": "clusters/prod",
                "commit": "d9f0f5104c3b3fc72ed2d9f0f5104c3b3fc72ed2",
                "sourceCommit": "3b3fc72ed2d9f0f5104c3b3fc72ed2d9f0f5104c",
                "notices": [],
                "deployments": [
                    {
                        "deployment": "fraud/scorer",
                        "stage": "Model Traffic Routing",
                        "needsPerson": False,
                        "revision": "2026-11-13",
                        "candidate": "2026-11-20",
                        "proven": 2,
                        "replicas": 6,
                        "age": 131.5,
                        "message": "routing 10 % of requests to revision 2026-11-20",
                    },
                ],
            },
        ],
    },
    "verdicts": {
        "schemaVersion": 1,
        "commit": "3b3fc72ed2d9f0f5104c3b3fc72ed2d9f0f5104c",
        "resources": [
            {
                "cluster": "prod",
                "resource": "Deployment fraud/scorer",
                "outcome": "complete",
                "message": "Rollout Complete, revision 2026-11-20 serves",
                "findings": [],
            },
        ],
    },
}
"""By the name of the contract."""
