"""Writes `examples.parquet`, and `best.parquet` beside it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mistudio_sae.features.config import FeatureConfig
from mistudio_sae.features.documents import DocumentIndex, Int64Array
from mistudio_sae.features.schema import BEST_FILE, EXAMPLES, EXAMPLES_GROUP
from mistudio_sae.features.windows_table import OUTSIDE, ExampleTable

KINDS = ("top", "quantile")


class ExampleWriter:
    """Context manager that appends the examples of consecutive latents, one row group a call."""

    def __init__(self, path: Path, context: int, documents: DocumentIndex, config: FeatureConfig) -> None:
        self._writer = pq.ParquetWriter(path, EXAMPLES, compression="zstd")
        self._best: list[pa.Table] = []
        self._best_path = path.with_name(BEST_FILE)
        self._context, self._documents, self._config = context, documents, config

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the files."""
        self._writer.close()
        best = pa.concat_tables([EXAMPLES.empty_table(), *self._best])
        pq.write_table(best, self._best_path, compression="zstd")

    def write(self, latents: Int64Array, top: ExampleTable, sample: ExampleTable) -> None:
        """Write at most `EXAMPLES_GROUP` latents (ids [rows]), each latent's top examples before its sample."""
        tables = [self._rows(latents, table, kind) for kind, table in enumerate((top, sample))]
        joined = pa.concat_tables(tables)
        self._best.append(tables[0].filter(pc.equal(tables[0].column("rank"), 0)))
        order = np.argsort(joined.column("latent").to_numpy(), kind="stable")
        self._writer.write_table(joined.take(pa.array(order)), row_group_size=EXAMPLES_GROUP * 10**6)

    def _rows(self, latents: Int64Array, table: ExampleTable, kind: int) -> pa.Table:
        row, rank = np.nonzero(table.present)
        position = table.position[row, rank]
        ids = table.token_ids[row, rank]
        inside = ids != OUTSIDE
        offsets = np.concatenate(([0], np.cumsum(inside.sum(axis=1)))).astype(np.int32)
        bands = rank * self._config.quantile_bands // np.maximum(1, table.present.sum(axis=1)[row])
        columns = {
            "latent": latents[row],
            "kind": pa.DictionaryArray.from_arrays(np.full(len(row), kind, dtype=np.int8), list(KINDS)),
            "rank": rank,
            "band": bands if kind else np.full_like(rank, -1),
            "value": table.value[row, rank],
            "block": position // self._context,
            "position": position % self._context,
            "document": self._documents.rows(position),
            "peak": self._config.left_tokens - inside.argmax(axis=1),
            "token_ids": _lists(offsets, ids[inside], pa.int32()),
            "activations": _lists(offsets, table.activations[row, rank][inside], pa.float32()),
        }
        return pa.table(columns).cast(EXAMPLES)


def _lists(offsets: npt.NDArray[np.int32], values: npt.NDArray[Any], kind: pa.DataType) -> pa.ListArray:
    return pa.ListArray.from_arrays(offsets, pa.array(values).cast(kind))
