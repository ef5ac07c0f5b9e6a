"""The distribution of text lengths, exact, in one pass."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_QUANTILES = (0.5, 0.9, 0.99)


class Lengths:
    """Counts how often each length occurs.

    Memory stays small: n different lengths need texts of at least n²/2 characters in all.
    """

    def __init__(self) -> None:
        """Begins empty."""
        self._counts: Counter[int] = Counter()

    def add(self, lengths: pa.Array) -> None:
        """Counts lengths in characters; nulls are left out."""
        for pair in pc.value_counts(lengths.drop_null()).to_pylist():
            self._counts[pair["values"]] += pair["counts"]

    def as_dict(self) -> dict[str, Any]:
        """Returns total, mean, min, max, quantiles (nearest rank) and the empty ones; only counts if there are none."""
        number = self._counts.total()
        total = sum(length * count for length, count in self._counts.items())
        result: dict[str, Any] = {"total": total, "empty": self._counts[0]}
        if number:
            result |= {"mean": total / number, "min": min(self._counts), "max": max(self._counts)}
            result |= {f"p{round(100 * share)}": self._quantile(share * number) for share in _QUANTILES}
        return result

    def _quantile(self, rank: float) -> int:
        seen = 0
        for length in sorted(self._counts):
            seen += self._counts[length]
            if seen >= rank:
                return length
        return 0
