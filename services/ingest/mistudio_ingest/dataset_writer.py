"""Writes the rows of a dataset artifact as Parquet, a batch at a time."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mistudio_ingest.text_column import choose_text_column, is_text
from mistudio_runtime.jobs import PermanentFailure

_ROW_GROUP_BYTES = 8 << 20
_FILE_BYTES = 512 << 20


class DatasetWriter:
    """Context manager: `data-00000.parquet`, … with the columns of the first batch.

    Memory is bounded by one row group. Columns that are neither text, numbers, booleans nor times are left out.
    """

    def __init__(self, folder: Path, *, text_column: str = "", max_rows: int = 0) -> None:
        """Takes where to write, the column asked for ("" finds it), and how many rows to take (0: all)."""
        self._folder = folder
        self._wanted = text_column
        self._max_rows = max_rows
        self._schema: pa.Schema | None = None
        self._file: pq.ParquetWriter | None = None
        self._pending: list[pa.Table] = []
        self._pending_bytes = self._file_bytes = self._files = 0
        self.text_column = ""
        self.rows = 0
        self.text_bytes = 0
        """UTF-8 bytes of all texts."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what is pending and closes the file; after an exception only closes it."""
        if kind is None:
            self._flush()
        self._close_file()

    @property
    def full(self) -> bool:
        """Whether as many rows are written as were asked for."""
        return 0 < self._max_rows <= self.rows

    @property
    def columns(self) -> dict[str, str]:
        """Names and Arrow types of the columns that are kept; a text is a "string"."""
        return {field.name: str(field.type) for field in self._schema or ()}

    def add(self, table: pa.Table, source: str) -> None:
        """Appends rows that come from `source`; those above the limit are left out.

        Raises PermanentFailure if there is no text column, or a column's type is not that of the rows before.
        """
        if self._schema is None:
            self.text_column = choose_text_column(table.schema, self._wanted, source)
            self._schema = _kept(table.schema)
        if self._max_rows:
            table = table.slice(0, self._max_rows - self.rows)
        table = _aligned(table, self._schema, self.text_column, source)
        self.rows += table.num_rows
        self.text_bytes += pc.sum(pc.binary_length(table.column(self.text_column))).as_py() or 0
        self._pending.append(table)
        self._pending_bytes += table.nbytes
        if self._pending_bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def summary(self) -> dict[str, Any]:
        """Returns what the artifact's manifest tells about it."""
        return {
            "rows": self.rows,
            "bytes": self.text_bytes,
            "text_column": self.text_column,
            "columns": self.columns,
        }

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._file is None:
            self._file = pq.ParquetWriter(self._folder / f"data-{self._files:05d}.parquet", self._schema)
            self._files += 1
        self._file.write_table(pa.concat_tables(self._pending))
        self._file_bytes += self._pending_bytes
        self._pending, self._pending_bytes = [], 0
        if self._file_bytes >= _FILE_BYTES:
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._file_bytes = None, 0


def _kept(schema: pa.Schema) -> pa.Schema:
    fields = [field for field in schema if _is_plain(field.type) and schema.names.count(field.name) == 1]
    return pa.schema([pa.field(f.name, pa.string() if is_text(f.type) else f.type) for f in fields])


def _is_plain(kind: pa.DataType) -> bool:
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return bool(is_text(kind) or numbers or pa.types.is_temporal(kind))


def _aligned(table: pa.Table, schema: pa.Schema, text_column: str, source: str) -> pa.Table:
    if text_column not in table.column_names:
        raise PermanentFailure(
            f"{source} has no column {text_column!r}, which held the text before; give it in a job of its own",
            reason="NO_TEXT_COLUMN",
        )
    columns = [_column(table, field, source) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(table: pa.Table, field: pa.Field, source: str) -> pa.ChunkedArray | pa.Array:
    if field.name not in table.column_names:
        return pa.nulls(table.num_rows, field.type)
    try:
        return table.column(field.name).cast(field.type)
    except pa.ArrowException as error:
        kind = table.schema.field(field.name).type
        raise PermanentFailure(
            f"column {field.name!r} of {source} is {kind} but {field.type} in the rows before; "
            "give files with the same columns, or each in a job of its own",
            reason="COLUMNS_DIFFER",
        ) from error
