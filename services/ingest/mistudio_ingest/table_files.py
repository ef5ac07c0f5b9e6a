"""CSV and Parquet files as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mistudio_ingest.text_column import is_text
from mistudio_runtime.jobs import PermanentFailure

_BLOCK_BYTES = 8 << 20
_BATCH_ROWS = 1024


def read_csv(stream: BinaryIO, name: str) -> Iterator[pa.Table]:
    """Yields tables with the columns that hold text in the first block, as CSV itself has no types.

    Raises pa.ArrowInvalid naming the row that does not fit, and PermanentFailure for a file that is not UTF-8.
    """
    kinds = _open_csv(stream, pacsv.ConvertOptions()).schema
    if any(pa.types.is_binary(field.type) for field in kinds):
        raise PermanentFailure(f"{name} is not UTF-8 text; convert it to UTF-8", reason="BROKEN_FILE")
    texts = [field.name for field in kinds if is_text(field.type) or pa.types.is_null(field.type)]
    if not texts:
        yield kinds.empty_table()
        return
    stream.seek(0)
    options = pacsv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string()), include_columns=texts)
    for batch in _open_csv(stream, options):
        yield pa.Table.from_batches([batch])


def read_parquet(stream: BinaryIO, name: str) -> Iterator[pa.Table]:  # noqa: ARG001 - one signature for all readers
    """Yields tables of some rows. Raises OSError or pa.ArrowException for a broken file."""
    for batch in pq.ParquetFile(stream).iter_batches(_BATCH_ROWS):
        yield pa.Table.from_batches([batch])


def _open_csv(stream: BinaryIO, options: pacsv.ConvertOptions) -> pacsv.CSVStreamingReader:
    return pacsv.open_csv(
        pa.PythonFile(stream, mode="r"),
        read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=options,
    )
