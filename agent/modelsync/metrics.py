"""Prometheus metrics of the sidecar: the only module with prometheus_client. Pure but for its own registry."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from schemas.report import Reason, SidecarReport

_LOAD_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_FETCH_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 1800)


class Metrics:
    """Counters that the engine moves, and gauges that are taken from its report when somebody asks."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._loads = Counter(
            "fresco_modelsync_loads", "Loads, by how they ended.", ["result", "reason"], registry=registry
        )
        self._load_seconds = Histogram(
            "fresco_modelsync_load_seconds", "Time of successful loads.", buckets=_LOAD_BUCKETS, registry=registry
        )
        self._fetches = Counter(
            "fresco_modelsync_downloads", "Downloads, by how they ended.", ["result", "reason"], registry=registry
        )
        self._fetch_seconds = Histogram(
            "fresco_modelsync_download_seconds", "Time of downloads.", buckets=_FETCH_BUCKETS, registry=registry
        )
        self._fetch_bytes = Counter("fresco_modelsync_download_bytes", "Bytes downloaded.", registry=registry)
        self._evictions = Counter("fresco_modelsync_evictions", "Artifacts evicted.", registry=registry)
        self._models = Gauge("fresco_modelsync_models", "Models, by state.", ["state"], registry=registry)
        self._ready = Gauge("fresco_modelsync_ready", "Whether the pod is ready.", registry=registry)
        self._live = Gauge("fresco_modelsync_server_live", "Whether the server is live.", registry=registry)
        self._config_ok = Gauge("fresco_modelsync_config_valid", "Whether the config file is good.", registry=registry)

    def loaded(self, seconds: float) -> None:
        """A load ended well."""
        self._loads.labels("success", "").inc()
        self._load_seconds.observe(seconds)

    def load_failed(self, reason: Reason) -> None:
        """A load ended badly."""
        self._loads.labels("failure", reason.value).inc()

    def fetched(self, *, seconds: float, size: int) -> None:
        """A download ended well."""
        self._fetches.labels("success", "").inc()
        self._fetch_seconds.observe(seconds)
        self._fetch_bytes.inc(size)

    def fetch_failed(self, reason: Reason) -> None:
        """A download ended badly."""
        self._fetches.labels("failure", reason.value).inc()

    def evicted(self) -> None:
        """An artifact was removed from the store."""
        self._evictions.inc()

    def text(self, report: SidecarReport) -> str:
        """Everything, in Prometheus' text format."""
        self._models.clear()
        for model in report.models.values():
            self._models.labels(model.state.value).inc()
        self._ready.set(report.ready)
        self._live.set(report.server.live)
        self._config_ok.set(report.config.error is None)
        return generate_latest(self._registry).decode()
