"""Job kind delete_artifact: deletes an artifact on which nothing depends."""

from __future__ import annotations

from mistudio.v1 import DeleteArtifact
from mistudio_runtime.errors import FailedPreconditionError, NotFoundError
from mistudio_runtime.jobs import JobContext, PermanentFailure


def run(spec: DeleteArtifact, context: JobContext) -> list[str]:
    """Deletes it with its notes; makes no artifact. What is gone already counts as deleted, so repeating is harmless.

    Raises PermanentFailure naming what was made from it.
    """
    try:
        context.store.delete(spec.artifact_id)
    except FailedPreconditionError as error:
        raise PermanentFailure(error.message, reason="HAS_DEPENDANTS") from error
    except NotFoundError:
        context.log("info", f"{spec.artifact_id} is already gone")
    return []
