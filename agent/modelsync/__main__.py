"""`fresco-model-sync`: the sidecar of one inference server. Starts the supervisor, or, for it, the worker."""

import sys

from agent.modelsync.settings import parse


def main() -> None:
    """The program. Ends with its exit status."""
    arguments = sys.argv[1:]
    is_worker = "--worker" in arguments
    settings = parse([argument for argument in arguments if argument != "--worker"])
    # Each process imports only its own half: the supervisor stays small.
    if is_worker:
        from agent.modelsync import worker

        sys.exit(worker.run(settings))
    from agent.modelsync import supervise

    sys.exit(supervise.run(settings, arguments))


if __name__ == "__main__":
    main()
