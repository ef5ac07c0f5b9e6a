"""The contract between a job kind and the worker that runs it."""

from mistudio_runtime.jobs.context import JobContext
from mistudio_runtime.jobs.failures import JobStoppedError, PermanentFailure, TransientFailure
from mistudio_runtime.jobs.handler import Handler, Service, ServiceContext
from mistudio_runtime.jobs.stop import Stop

__all__ = [
    "Handler",
    "JobContext",
    "JobStoppedError",
    "PermanentFailure",
    "Service",
    "ServiceContext",
    "Stop",
    "TransientFailure",
]
