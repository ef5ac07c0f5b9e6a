"""`python -m mistudio_runtime.worker --services a,b`: one process that serves several services."""

from mistudio_runtime.worker.run import run_worker


def main() -> None:
    """Runs the services that --services names."""
    run_worker([])


if __name__ == "__main__":
    main()
