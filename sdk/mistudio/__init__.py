"""Python SDK of miStudio mesh: from raw text to readable features of a language model.

`Client` and `AsyncClient` are the ways in; specs such as `TrainSae` are the messages of `mistudio.v1`.
"""

from mistudio.aio.client import AsyncClient
from mistudio.aio.job import AsyncJob
from mistudio.blocking.client import Client
from mistudio.blocking.job import Job
from mistudio.errors import (
    AlreadyExistsError,
    CancelledError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    JobCancelledError,
    JobFailedError,
    MistudioError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    Violation,
)
from mistudio.job_log import JobLogLine
from mistudio.pipelines import Pipeline, PipelineRun
from mistudio.references import ref
from mistudio.retries import RetryPolicy
from mistudio.states import JobState
from mistudio.v1 import (
    ArchiveJobs,
    ArtifactRef,
    CollectGarbage,
    DeleteArtifact,
    DownloadDataset,
    DownloadModel,
    ExportSae,
    ExtractActivations,
    ExtractFeatures,
    HubDataset,
    HubRepository,
    ImportSae,
    JobRequest,
    LocalFiles,
    PruneCheckpoints,
    SaeSpec,
    SummarizeDataset,
    TokenizeDataset,
    TrainSae,
    UpdateMetadata,
    VerifyArtifacts,
)

__all__ = [
    "AlreadyExistsError",
    "ArchiveJobs",
    "ArtifactRef",
    "AsyncClient",
    "AsyncJob",
    "CancelledError",
    "Client",
    "CollectGarbage",
    "DeadlineExceededError",
    "DeleteArtifact",
    "DownloadDataset",
    "DownloadModel",
    "ExportSae",
    "ExtractActivations",
    "ExtractFeatures",
    "FailedPreconditionError",
    "HubDataset",
    "HubRepository",
    "ImportSae",
    "InternalError",
    "InvalidArgumentError",
    "Job",
    "JobCancelledError",
    "JobFailedError",
    "JobLogLine",
    "JobRequest",
    "JobState",
    "LocalFiles",
    "MistudioError",
    "NotFoundError",
    "PermissionDeniedError",
    "Pipeline",
    "PipelineRun",
    "PruneCheckpoints",
    "ResourceExhaustedError",
    "RetryPolicy",
    "SaeSpec",
    "SummarizeDataset",
    "TokenizeDataset",
    "TrainSae",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UpdateMetadata",
    "VerifyArtifacts",
    "Violation",
    "ref",
]
