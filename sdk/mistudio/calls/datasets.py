"""Calls of DatasetService."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio.calls.call import Call, unary


def preview(
    artifact_id: str, *, offset: int = 0, rows: int = 0, timeout: float | None = None
) -> Call[v1.PreviewDatasetResponse]:
    """Returns rows of a dataset from row `offset` on; 0 rows is 10, the most is 100."""
    request = v1.PreviewDatasetRequest(artifact_id=artifact_id, offset=offset, rows=rows)
    answer = v1.PreviewDatasetResponse
    return unary("DatasetService/PreviewDataset", request, answer, lambda a: a, timeout=timeout, repeatable=True)


def preview_tokenization(
    model_artifact_id: str, text: str, *, timeout: float | None = None
) -> Call[Sequence[v1.Token]]:
    """Returns how a model's tokenizer splits a text of at most 20,000 characters."""
    return unary(
        "DatasetService/PreviewTokenization",
        v1.PreviewTokenizationRequest(model_artifact_id=model_artifact_id, text=text),
        v1.PreviewTokenizationResponse,
        lambda answer: answer.tokens,
        timeout=timeout,
        repeatable=True,
    )
