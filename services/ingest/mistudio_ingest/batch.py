"""Some rows on their way into a dataset."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Batch:
    """Rows, with how far their source is read."""

    table: pa.Table
    source: str
    """What they come from, as people call it, e.g. a file's name."""
    done: int
    """Units read so far."""
    total: int
    """Units in all; 0 if unknown."""
    unit: str
    """"rows" or "bytes"."""
