"""The training curve inside an SAE artifact, as Parquet."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mistudio.v1 import MetricPoint

TABLE_NAME = "metrics.parquet"
SCHEMA = pa.schema(
    [
        pa.field("name", pa.string()),  # e.g. "loss"
        pa.field("step", pa.int64()),  # optimizer steps done
        pa.field("tokens", pa.int64()),  # tokens trained on
        pa.field("value", pa.float64()),
        pa.field("hook_point", pa.string()),
        pa.field("sae", pa.string()),  # name within the sweep
        pa.field("time", pa.timestamp("us", tz="UTC")),  # when it was measured
    ]
)


def write_table(path: Path, points: Iterable[MetricPoint]) -> None:
    """Writes the points in their order, with the columns of SCHEMA."""
    pq.write_table(pa.Table.from_pylist([_row(point) for point in points], schema=SCHEMA), path)


def read_table(path: Path) -> list[MetricPoint]:
    """Reads what `write_table` wrote. Raises FileNotFoundError."""
    return [_point(row) for row in pq.read_table(path, schema=SCHEMA).to_pylist()]


def _row(point: MetricPoint) -> dict[str, object]:
    return {
        "name": point.name,
        "step": point.step,
        "tokens": point.tokens,
        "value": point.value,
        "hook_point": point.labels["hook_point"],
        "sae": point.labels["sae"],
        "time": point.time.ToDatetime(UTC),
    }


def _point(row: dict[str, Any]) -> MetricPoint:
    labels = {"hook_point": row["hook_point"], "sae": row["sae"]}
    point = MetricPoint(name=row["name"], value=row["value"], step=row["step"], tokens=row["tokens"], labels=labels)
    point.time.FromDatetime(row["time"])
    return point
