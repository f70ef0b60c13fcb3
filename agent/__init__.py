"""What runs beside the servers: the status agent, the sidecar `fresco-model-sync`, storage, and the local cluster."""
