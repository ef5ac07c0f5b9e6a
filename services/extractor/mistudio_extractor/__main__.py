"""Entry point of the extractor: `python -m mistudio_extractor`."""

from mistudio_runtime.worker import run_worker


def main() -> None:
    """Runs a worker that serves the extraction queue until it is stopped."""
    run_worker(["extractor"])


if __name__ == "__main__":
    main()
