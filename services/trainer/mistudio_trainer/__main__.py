"""Entry point of the trainer: `python -m mistudio_trainer`."""

from mistudio_runtime.worker import run_worker


def main() -> None:
    """Runs a worker that serves the training queue until it is stopped."""
    run_worker(["trainer"])


if __name__ == "__main__":
    main()
