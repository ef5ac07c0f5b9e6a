"""Calls of CatalogService."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mistudio import v1
from mistudio.calls.call import Call, Listing, request_id_or_new, unary


def list_(
    *,
    kinds: Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
    page_size: int = 0,
    timeout: float | None = None,
) -> Listing[v1.Artifact]:
    """Iterates over all artifacts that match, newest first and without their files, reading page after page.

    `kinds` are names such as "sae"; `timeout` is for each page. Raises ValueError if a kind is unknown.
    """
    values = [v1.ArtifactKind.Value(f"ARTIFACT_KIND_{kind.upper()}") for kind in kinds]
    request = v1.ListArtifactsRequest(kinds=values, labels=labels or {}, page_size=page_size)
    return Listing(
        unary(
            "CatalogService/ListArtifacts",
            request,
            v1.ListArtifactsResponse,
            lambda answer: (answer.artifacts, answer.next_page_token),
            timeout=timeout,
            repeatable=True,
        )
    )


def get(artifact_id: str, *, timeout: float | None = None) -> Call[v1.GetArtifactResponse]:
    """Returns an artifact with its files, and the ids of those made from it. Raises NotFoundError if there is none."""
    request = v1.GetArtifactRequest(artifact_id=artifact_id)
    answer = v1.GetArtifactResponse
    return unary("CatalogService/GetArtifact", request, answer, lambda a: a, timeout=timeout, repeatable=True)


def read_file(
    artifact_id: str, path: str, *, offset: int = 0, max_bytes: int = 0, timeout: float | None = None
) -> Call[v1.ReadArtifactFileResponse]:
    """Returns a part of one of an artifact's files, and the file's size; 0 `max_bytes` is 1 MiB, the most is 4 MiB.

    Raises NotFoundError if there is no such artifact or file.
    """
    request = v1.ReadArtifactFileRequest(artifact_id=artifact_id, path=path, offset=offset, max_bytes=max_bytes)
    answer = v1.ReadArtifactFileResponse
    return unary("CatalogService/ReadArtifactFile", request, answer, lambda a: a, timeout=timeout, repeatable=True)


def update(
    artifact_id: str,
    *,
    display_name: str | None = None,
    description: str | None = None,
    set_labels: Mapping[str, str] | None = None,
    remove_labels: Sequence[str] = (),
    request_id: str = "",
    timeout: float | None = None,
) -> Call[v1.Job]:
    """Changes what people wrote about an artifact and returns the handle of the job that does it. None leaves as is."""
    request = v1.UpdateArtifactRequest(
        artifact_id=artifact_id,
        display_name=display_name,
        description=description,
        set_labels=set_labels or {},
        remove_labels=remove_labels,
        request_id=request_id_or_new(request_id),
    )
    answer = v1.UpdateArtifactResponse
    return unary("CatalogService/UpdateArtifact", request, answer, lambda a: a.job, timeout=timeout, repeatable=True)


def delete(artifact_id: str, *, request_id: str = "", timeout: float | None = None) -> Call[v1.Job]:
    """Deletes an artifact and returns the handle of the job that does it.

    Raises FailedPreconditionError with the dependants if something was made from it.
    """
    request = v1.DeleteArtifactRequest(artifact_id=artifact_id, request_id=request_id_or_new(request_id))
    answer = v1.DeleteArtifactResponse
    return unary("CatalogService/DeleteArtifact", request, answer, lambda a: a.job, timeout=timeout, repeatable=True)
