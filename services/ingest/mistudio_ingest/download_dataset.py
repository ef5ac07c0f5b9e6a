"""Job kind download_dataset: brings a text dataset into the store as Parquet."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.json_format import MessageToDict

from mistudio.v1 import DownloadDataset
from mistudio_ingest.batch import Batch
from mistudio_ingest.bundled_text import read_bundled
from mistudio_ingest.dataset_writer import DatasetWriter
from mistudio_ingest.local_source import read_local
from mistudio_runtime.jobs import JobContext, PermanentFailure


def run(spec: DownloadDataset, context: JobContext) -> list[str]:
    """Commits a dataset artifact and returns its id.

    Raises PermanentFailure for a source that is missing, unreadable, broken or without text, and TransientFailure
    for trouble with the network.
    """
    context.stages({"read": 1})
    parameters = MessageToDict(spec, preserving_proto_field_name=True)
    with context.draft("dataset", parents=[], parameters=parameters) as draft:
        with DatasetWriter(draft.path, text_column=spec.text_column, max_rows=spec.max_rows) as writer:
            for batch in _batches(spec, context):
                context.raise_if_stopped()
                writer.add(batch.table, batch.source)
                _report(spec, context, batch, writer.rows)
                if writer.full:
                    break
        if not writer.rows:
            raise PermanentFailure(f"{_source(spec)} holds no rows; give data with text in it", reason="EMPTY_DATASET")
        draft.summary.update(writer.summary(), source=_source(spec), name=_name(spec))
        context.log("info", f"{writer.rows} rows with {writer.text_bytes} bytes of text in {writer.text_column!r}")
        return [draft.commit()]


def _batches(spec: DownloadDataset, context: JobContext) -> Iterator[Batch]:
    match spec.WhichOneof("source"):
        case "local":
            return read_local(spec.local, context)
        case "bundled":
            return read_bundled(spec.bundled)
        case "hub":
            from mistudio_ingest.hub_source import read_hub  # noqa: PLC0415 - its libraries take seconds

            return read_hub(spec.hub, context)
        case _:
            raise PermanentFailure("no source is given; set hub, local or bundled")


def _report(spec: DownloadDataset, context: JobContext, batch: Batch, rows: int) -> None:
    if spec.max_rows:
        context.progress("read", rows, spec.max_rows, "rows")
    else:
        context.progress("read", batch.done, batch.total, batch.unit)


def _source(spec: DownloadDataset) -> str:
    match spec.WhichOneof("source"):
        case "hub":
            return f"hub:{spec.hub.name}"
        case "local":
            return f"local:{', '.join(spec.local.paths)}"
        case _:
            return f"bundled:{spec.bundled}"


def _name(spec: DownloadDataset) -> str:
    if spec.WhichOneof("source") == "local":
        return spec.local.paths[0].rstrip("/").rpartition("/")[2]
    return spec.hub.name or spec.bundled
