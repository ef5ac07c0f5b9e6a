"""Entry point of the ingest service: `python -m mistudio_ingest`."""

from mistudio_runtime.worker import run_worker


def main() -> None:
    """Runs a worker that serves the datasets and processing queues until it is stopped."""
    run_worker(["ingest"])


if __name__ == "__main__":
    main()
