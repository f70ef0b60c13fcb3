"""`fresco-model-sync`, the sidecar of an inference server: fetches, publishes, loads, proves, reports."""
