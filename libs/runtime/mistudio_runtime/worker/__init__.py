"""The worker loop: attach, pull, claim, run in isolation, report, acknowledge."""

from mistudio_runtime.worker.run import run_worker

__all__ = ["run_worker"]
