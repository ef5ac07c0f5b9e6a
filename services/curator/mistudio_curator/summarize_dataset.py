"""Job kind summarize_dataset: counts rows, lengths and columns of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mistudio.v1 import SummarizeDataset
from mistudio_curator.lengths import Lengths
from mistudio_curator.report import commit_report
from mistudio_runtime.artifacts import ArtifactManifest
from mistudio_runtime.jobs import JobContext, PermanentFailure
from mistudio_runtime.jobs.inputs import input_artifact

_BATCH_ROWS = 4096


def run(spec: SummarizeDataset, context: JobContext) -> list[str]:
    """Reads the text column once and commits a report with rows, bytes, columns and the lengths of texts.

    Raises PermanentFailure if it is no dataset, or its files cannot be read.
    """
    manifest = input_artifact(context.store, spec.dataset, "dataset", "dataset")
    files = sorted((context.store.root / manifest.id).glob("*.parquet"))
    try:
        report = _summarize(files, str(manifest.summary["text_column"]), manifest, context)
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise PermanentFailure(
            f"{manifest.id} cannot be read; run verify_artifacts on it, then download it again"
        ) from error
    return commit_report(context, spec, summary=report, report=report, parents=[manifest.id])


def _summarize(files: list[Path], column: str, manifest: ArtifactManifest, context: JobContext) -> dict[str, Any]:
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    schema = pq.read_schema(files[0])
    lengths, nulls, done = Lengths(), 0, 0
    context.stages({"read": 1})
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS, columns=[column]):
            context.raise_if_stopped()
            texts = batch.column(0)
            nulls += texts.null_count
            lengths.add(pc.utf8_length(texts))
            done += len(texts)
            context.progress("read", done, rows, "rows")
    return {
        "rows": rows,
        "bytes": manifest.bytes,
        "text_column": column,
        "columns": [{"name": field.name, "type": str(field.type)} for field in schema],
        "missing_texts": nulls,
        "text_characters": lengths.as_dict(),
    }
