"""The embedded cluster: real servers, sidecars and a gateway as processes of this machine. I/O: processes."""
