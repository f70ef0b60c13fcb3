"""All pods of this machine, made, replaced and stopped as slices ask: what Kubernetes' controllers do. I/O: pods."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from agent.local.desired import ConfigMap, Desired, Service
from agent.local.pods import Identity, Pod, Surroundings
from agent.local.process import Process
from agent.local.rolling import PodView, Step, step

log = logging.getLogger(__name__)

_DRAIN = 0.3  # seconds that a pod runs on without new requests before it is stopped


class Fleet:
    """`pods` by `namespace/name`. `failed` gets the exception of a pod's task: a bug, and the node is to die of it."""

    def __init__(self, directory: Path, around: Surroundings, changed: Callable[[], None]) -> None:
        """Finds the pods of an earlier node in `directory`. `changed` is called when a pod comes or goes."""
        self.pods: dict[str, Pod] = {}
        self._directory = directory
        self._around = around
        self._changed = changed
        self._desired = Desired()
        self._ending = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stops: set[asyncio.Task[None]] = set()
        directory.mkdir(parents=True, exist_ok=True)
        for record in sorted(directory.glob("*/pod.json")):
            self._add(msgspec.json.decode(record.read_bytes(), type=Identity))

    @property
    def processes(self) -> Iterable[Process]:
        """Of all pods, those that run."""
        return [process for pod in self.pods.values() for process in pod.processes]

    def endpoints(self, services: Mapping[str, Service]) -> dict[str, list[int]]:
        """The ports of the ready pods, by `namespace/service/port`."""
        ready = [pod for pod in self.pods.values() if pod.ready]
        return {
            f"{key}/{port.number}": [number for pod in _selected(service, ready) if (number := pod.port(port.target))]
            for key, service in services.items()
            for port in service.ports
        }

    def mount(self, configs: Mapping[str, ConfigMap]) -> None:
        """Puts the configs in place for every pod that mounts them. A pod keeps a config that has gone."""
        for pod in self.pods.values():
            config = configs.get(f"{pod.identity.namespace}/{pod.identity.template.config}")
            if config is not None:
                pod.mount(config.data)

    def apply(self, desired: Desired) -> None:
        """Makes the pods what `desired` asks for, step by step from now on. Its configs must be mounted."""
        self._desired = desired
        self.reconcile()

    def reconcile(self) -> None:
        """Takes the steps that can be taken now. To be called after each change."""
        if self._ending:
            return
        for key in self._desired.slices.keys() | {_slice_key(pod) for pod in self.pods.values()}:
            self._reconcile(key)

    def resume(self) -> None:
        """Lets the pods that were found go on."""
        for pod in self.pods.values():
            pod.start(self._done)

    async def stop(self) -> None:
        """Stops every pod; their directories stay, for the next start."""
        self._ending = True
        for task in self._stops:
            task.cancel()
        await asyncio.gather(*self._stops, return_exceptions=True)
        await asyncio.gather(*(pod.stop() for pod in self.pods.values()))

    def _reconcile(self, key: str) -> None:
        pods = {pod.identity.name: pod for pod in self.pods.values() if _slice_key(pod) == key}
        wanted = self._desired.slices.get(key)
        if wanted is None:
            todo = Step(stop=tuple(name for name, pod in pods.items() if not pod.stopping))
        else:
            todo = step(wanted, [_view(pod) for pod in pods.values()])
            for name in todo.make:
                self._make(Identity.of(wanted, name))
        for name in todo.stop:
            self._begin_stop(pods[name])
        if todo.make or todo.stop:
            self._changed()

    def _make(self, identity: Identity) -> None:
        config = self._desired.configs.get(f"{identity.namespace}/{identity.template.config}")
        if config is None:
            log.warning("pod %s/%s waits for ConfigMap %s", identity.namespace, identity.name, identity.template.config)
            return
        pod = self._add(identity)
        pod.mount(config.data)
        pod.start(self._done)

    def _add(self, identity: Identity) -> Pod:
        # Hashed, because namespace and name together may be longer than a name in a directory or of a socket.
        place = sha256(f"{identity.namespace}/{identity.name}".encode()).hexdigest()[:6]
        pod = Pod(identity, self._directory / f"{identity.name}.{place}", self._around)
        self.pods[pod.key] = pod
        return pod

    def _begin_stop(self, pod: Pod) -> None:
        pod.stopping = True
        task = asyncio.create_task(self._stop(pod))
        self._stops.add(task)
        task.add_done_callback(self._stops.discard)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def _stop(self, pod: Pod) -> None:
        await self._around.drained()
        await asyncio.sleep(_DRAIN)
        await pod.stop()
        await asyncio.to_thread(pod.remove)
        del self.pods[pod.key]
        self._changed()


def _selected(service: Service, pods: Iterable[Pod]) -> list[Pod]:
    return [pod for pod in pods if service.selects(pod.identity.namespace, pod.labels)]


def _slice_key(pod: Pod) -> str:
    return f"{pod.identity.namespace}/{pod.identity.deployment}"


def _view(pod: Pod) -> PodView:
    return PodView(pod.identity.name, pod.identity.template.hash, pod.ready, pod.stopping)
