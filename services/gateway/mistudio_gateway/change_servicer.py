"""Changes of artifacts and features, which become jobs of the queue high_priority: convert, call, convert."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import grpc
import grpc.aio

from mistudio import v1
from mistudio_gateway.jobs import Jobs
from mistudio_gateway.submission import Submission
from mistudio_gateway.validation.references import body_of
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import FailedPreconditionError, InvalidRequestError, Violation

Context = grpc.aio.ServicerContext[Any, Any]
_OF_SPEC = re.compile(r"job\.spec\.\w+\.(feature_notes\[0\]\.)?")
Handlers = dict[str, "grpc.RpcMethodHandler[Any, Any]"]


class ChangeServicer:
    """The writing methods of CatalogService and FeatureService; their reads are forwarded to workers."""

    def __init__(self, submission: Submission, jobs: Jobs, store: ArtifactStore) -> None:
        """Takes what the rpcs call."""
        self._submission = submission
        self._jobs = jobs
        self._store = store

    def catalog_handlers(self) -> Handlers:
        """Returns the handlers of CatalogService that the gateway has itself."""
        return {
            "UpdateArtifact": grpc.unary_unary_rpc_method_handler(
                self.update_artifact,
                v1.UpdateArtifactRequest.FromString,
                v1.UpdateArtifactResponse.SerializeToString,
            ),
            "DeleteArtifact": grpc.unary_unary_rpc_method_handler(
                self.delete_artifact,
                v1.DeleteArtifactRequest.FromString,
                v1.DeleteArtifactResponse.SerializeToString,
            ),
        }

    def feature_handlers(self) -> Handlers:
        """Returns the handlers of FeatureService that the gateway has itself."""
        update = grpc.unary_unary_rpc_method_handler(
            self.update_feature, v1.UpdateFeatureRequest.FromString, v1.UpdateFeatureResponse.SerializeToString
        )
        return {"UpdateFeature": update}

    async def update_artifact(self, request: v1.UpdateArtifactRequest, context: Context) -> v1.UpdateArtifactResponse:
        """Submits update_metadata."""
        change = v1.UpdateMetadata(
            artifact_id=request.artifact_id, set_labels=request.set_labels, remove_labels=request.remove_labels
        )
        for name in ("display_name", "description"):
            if request.HasField(name):
                setattr(change, name, getattr(request, name))
        return v1.UpdateArtifactResponse(job=await self._submit(v1.JobSpec(update_metadata=change), request.request_id))

    async def delete_artifact(self, request: v1.DeleteArtifactRequest, context: Context) -> v1.DeleteArtifactResponse:
        """Submits delete_artifact, unless something depends on the artifact."""
        if children := await asyncio.to_thread(self._store.children, request.artifact_id):
            raise FailedPreconditionError(
                f"{request.artifact_id} cannot be deleted: {', '.join(children)} was made from it; delete that first",
                metadata={"dependants": ",".join(children)},
            )
        if waiting := self._jobs.needing(request.artifact_id):
            raise FailedPreconditionError(
                f"{request.artifact_id} cannot be deleted: {', '.join(waiting)} needs it; wait for it or cancel it",
                metadata={"dependants": ",".join(waiting)},
            )
        spec = v1.JobSpec(delete_artifact=v1.DeleteArtifact(artifact_id=request.artifact_id))
        return v1.DeleteArtifactResponse(job=await self._submit(spec, request.request_id))

    async def update_feature(self, request: v1.UpdateFeatureRequest, context: Context) -> v1.UpdateFeatureResponse:
        """Submits update_metadata with a note on one feature."""
        note = v1.FeatureNote(latent=request.latent)
        if request.HasField("label"):
            note.label = request.label
        if request.HasField("starred"):
            note.starred = request.starred
        change = v1.UpdateMetadata(artifact_id=request.artifact_id, feature_notes=[note])
        return v1.UpdateFeatureResponse(job=await self._submit(v1.JobSpec(update_metadata=change), request.request_id))

    async def _submit(self, spec: v1.JobSpec, request_id: str) -> v1.Job:
        try:
            job = await self._submission.submit(v1.JobRequest(spec=spec), request_id)
        except InvalidRequestError as error:
            await asyncio.to_thread(self._store.path, body_of(spec).artifact_id)  # or it is NotFoundError
            raise _as_asked(error) from error
        return self._jobs.diagnosed(job)


def _as_asked(error: InvalidRequestError) -> InvalidRequestError:
    """Names the bad fields as the request has them, not the job that it was to become."""
    return InvalidRequestError([Violation(_OF_SPEC.sub("", bad.field), bad.description) for bad in error.violations])
