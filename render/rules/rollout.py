"""The rules of rollouts and of what fits a server. Pure values."""

from typing import Final

from render.rules import Rule
from render.rules.explained import Example, Explained, Table

_ROLLOUT = "kind: Deployment\nspec:\n  rollout:\n"

ROLLOUT: Final[Table] = {
    Rule.NO_DIGEST: Explained(
        title="A model has a digest",
        why="The digest is what every replica proves that it serves. `fresco lock` computes it and writes it down.",
        wrong=Example("kind: Deployment\nspec:\n  model: {digest: null}\n"),
        right=Example(
            "kind: Deployment\nspec:\n  model:\n"
            "    digest: sha256:9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f\n"
        ),
    ),
    Rule.NO_REASON: Explained(
        title="An emergency has a reason",
        why="It goes to all pods at once and skips every precaution. Whoever reads the history later is to know why.",
        wrong=Example(f"{_ROLLOUT}    strategy: emergency\n"),
        right=Example(f"{_ROLLOUT}    strategy: emergency\n    reason: the model approves every payment\n"),
    ),
    Rule.WEIGHTS_NOT_RISING: Explained(
        title="Weights rise from step to step",
        why="A step that takes requests away again proves nothing that the step before has not.",
        wrong=Example(f"{_ROLLOUT}    steps: [{{weight: 20, soak: 5m}}, {{weight: 10, soak: 5m}}]\n"),
        right=Example(f"{_ROLLOUT}    steps: [{{weight: 10, soak: 5m}}, {{weight: 20, soak: 5m}}]\n"),
    ),
    Rule.STEPS_WITHOUT_CANARY: Explained(
        title="Traffic steps have a canary slice to go to",
        why="Weights split requests between the slices of a server. Without a canary slice the candidate is tried on "
        "one pod for the first soak, and the weights mean nothing: a warning.",
        wrong=Example(f"kind: InferenceServer\nspec:\n  canary: null\n---\n{_ROLLOUT}    steps: [{{weight: 10}}]\n"),
        right=Example(
            f"kind: InferenceServer\nspec:\n  canary: {{replicas: 1}}\n---\n{_ROLLOUT}    steps: [{{weight: 10}}]\n"
        ),
    ),
    Rule.STEP_TOO_LARGE: Explained(
        title="A canary slice can carry each step's share",
        why="Half of the requests on a quarter of the pods is an overload, and the candidate is blamed for it. A "
        "warning, because pods are seldom busy to the brim.",
        wrong=Example(
            "kind: InferenceServer\nspec:\n  replicas: 4\n  canary: {replicas: 1}\n---\n"
            f"{_ROLLOUT}    steps: [{{weight: 50}}]\n"
        ),
        right=Example(
            "kind: InferenceServer\nspec:\n  replicas: 4\n  canary: {replicas: 1}\n---\n"
            f"{_ROLLOUT}    steps: [{{weight: 25}}]\n"
        ),
    ),
    Rule.REPLICAS_REVERSED: Explained(
        title="A range of replicas runs from few to many",
        why="An autoscaler refuses any other.",
        wrong=Example(
            "kind: InferenceServer\nmetadata: {name: gpu-b, namespace: fraud}\nspec:\n  replicas: {min: 8, max: 2}\n"
        ),
        right=Example(
            "kind: InferenceServer\nmetadata: {name: gpu-b, namespace: fraud}\nspec:\n  replicas: {min: 2, max: 8}\n"
        ),
    ),
    Rule.MEMORY_TOO_SMALL: Explained(
        title="The models of a server, one twice, fit its memory",
        why="Every pod of every slice has all models of its server, and during a rollout the new copy beside the old "
        "one: of the largest, because one candidate at a time is loaded, and of each emergency, which does not wait. "
        "A base model of vLLM is there once, because its pods are replaced.",
        wrong=Example(
            "kind: InferenceServer\nspec:\n  resources: {memory: 4Gi}\n---\n"
            "kind: Deployment\nspec:\n  model: {memory: 3Gi}\n"
        ),
        right=Example(
            "kind: InferenceServer\nspec:\n  resources: {memory: 6Gi}\n---\n"
            "kind: Deployment\nspec:\n  model: {memory: 3Gi}\n"
        ),
    ),
    Rule.CONFIG_TOO_LARGE: Explained(
        title="The models of a server fit one model config",
        why="The sidecars are told their models by one ConfigMap of each slice, and Kubernetes bounds its size.",
        wrong=Example("kind: Deployment\nspec:\n  model:\n    smokeTest: {request: '…'}  # 320 KiB of JSON\n"),
        right=Example("kind: Deployment\nspec:\n  model:\n    smokeTest: {request: '{}'}\n"),
    ),
    Rule.DEADLINE_TOO_SHORT: Explained(
        title="A deadline leaves time for what it limits",
        why="A traffic step is not done before the gateway has settled, so a shorter deadline rolls every candidate "
        "back. A soak comes besides the deadline and may be as long as it likes.",
        wrong=Example(f"{_ROLLOUT}    deadlines: {{trafficRouting: 200ms}}\n"),
        right=Example(f"{_ROLLOUT}    deadlines: {{trafficRouting: 2m}}\n"),
    ),
    Rule.ANALYSIS_BLIND: Explained(
        title="An analysis has a canary slice and a soak to look at",
        why="Answers are compared while a step soaks, those of the canary slice with those of main. Without either the "
        "limits never stop a candidate before it has all requests: a warning.",
        wrong=Example(f"{_ROLLOUT}    analysis: {{maxErrorRate: 0.01}}\n    steps: [{{weight: 10}}]\n"),
        right=Example(f"{_ROLLOUT}    analysis: {{maxErrorRate: 0.01}}\n    steps: [{{weight: 10, soak: 5m}}]\n"),
    ),
}
