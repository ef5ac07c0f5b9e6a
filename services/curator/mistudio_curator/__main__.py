"""`python -m mistudio_curator`: one curator process."""

from mistudio_runtime.worker import run_worker


def main() -> None:
    """Runs a worker that serves the curator's queues until it is stopped."""
    run_worker(["curator"])


if __name__ == "__main__":
    main()
