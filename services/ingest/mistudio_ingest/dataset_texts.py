"""The texts of a dataset artifact, read a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mistudio_ingest.text_column import choose_text_column
from mistudio_runtime.jobs import PermanentFailure

_BATCH_ROWS = 512
_BATCH_CHARACTERS = 1 << 20

Text = tuple[int, str]
"""A row's number in the dataset, and its text."""


class DatasetTexts:
    """One text column over all Parquet files of a dataset; a missing text counts as an empty one."""

    def __init__(self, folder: Path, column: str, name: str) -> None:
        """Opens the dataset called `name`. Raises PermanentFailure without a readable text column `column`."""
        self.files = sorted(folder.glob("*.parquet"))
        if not self.files:
            raise PermanentFailure(f"{name} holds no Parquet file; download it again", reason="EMPTY_DATASET")
        try:
            self.row_counts = [int(pq.read_metadata(file).num_rows) for file in self.files]
            schema = pq.read_schema(self.files[0])
        except (OSError, pa.ArrowException) as error:
            raise PermanentFailure(f"{name} cannot be read; download it again", reason="BROKEN_FILE") from error
        self.column = choose_text_column(schema, column, name)

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(self.row_counts)

    def batches(self) -> Iterator[list[Text]]:
        """Yields the rows in order, about a million characters at a time."""
        batch: list[Text] = []
        size = 0
        for text in self._texts():
            batch.append(text)
            size += len(text[1])
            if size >= _BATCH_CHARACTERS:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def slice(self, offset: int, rows: int) -> list[Text]:
        """Returns at most `rows` rows from number `offset` on, reading only the row groups that hold them."""
        found: list[Text] = []
        before = 0
        for file in self.files:
            parquet = pq.ParquetFile(file)
            for group in range(parquet.num_row_groups):
                count = parquet.metadata.row_group(group).num_rows
                skip, wanted = max(0, offset - before), rows - len(found)
                if skip < count and wanted > 0:
                    texts = parquet.read_row_group(group, columns=[self.column]).column(0).slice(skip, wanted)
                    found += [(before + skip + i, text or "") for i, text in enumerate(texts.to_pylist())]
                before += count
        return found

    def _texts(self) -> Iterator[Text]:
        row = 0
        for file in self.files:
            for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS, columns=[self.column]):
                for text in batch.column(0).to_pylist():
                    yield row, text or ""
                    row += 1
