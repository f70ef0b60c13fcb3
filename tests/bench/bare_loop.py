"""The peer of `config_to_load`: waits for a file by inotify and calls load, and does nothing else.

python -m tests.bench.bare_loop <directory to watch> <host:port of gRPC> <model>
"""

import queue
import sys
from pathlib import Path

import tritonclient.grpc as triton
from watchdog.events import DirMovedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer


class _Handler(FileSystemEventHandler):
    def __init__(self, events: "queue.SimpleQueue[None]") -> None:
        self._events = events

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._events.put(None)


def main(directory: Path, address: str, model: str) -> None:
    """Works until it is killed."""
    events: queue.SimpleQueue[None] = queue.SimpleQueue()
    observer = Observer()
    observer.schedule(_Handler(events), str(directory), event_filter=[FileMovedEvent, DirMovedEvent])
    observer.start()
    with triton.InferenceServerClient(address) as client:
        client.load_model(model)
        while True:
            events.get()
            client.load_model(model)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
