"""Reads a features folder; layout and columns are described in `schema.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mistudio_sae.errors import ConfigError
from mistudio_sae.features import rows as convert
from mistudio_sae.features.errors import FeatureStoreError, LatentNotFoundError
from mistudio_sae.features.feature import Feature, FeatureBrief, FeatureRow, TokenMatch
from mistudio_sae.features.filters import FeatureFilter
from mistudio_sae.features.schema import (
    BEST_FILE,
    EXAMPLES,
    EXAMPLES_FILE,
    EXAMPLES_GROUP,
    INFO_FILE,
    STATISTICS_FILE,
    STATISTICS_GROUP,
    VERSION,
    VOCABULARY_FILE,
)

SortKey = Literal["latent", "density", "max_activation", "mean_active", "logit_sharpness", "interestingness"]
_SCALARS = [*get_args(SortKey), "fired", "dead", "agreement", "variety"]
_SEARCHED = (("activating", "top_token_ids"), ("logits", "logit_top_ids"))
FeaturePage = list[FeatureRow]
FeatureBriefs = list[FeatureBrief]
TokenMatches = list[TokenMatch]
Hit = tuple[int, int, float, int, int, str]
"""(is a part, rank, -interestingness, place, token id, where): smaller is a better match."""
Hits = list[Hit]
_DAMAGED = (OSError, pa.ArrowInvalid, pa.ArrowKeyError)


class FeatureStore:
    """An open features folder. Opening reads file footers only; the scalar columns load at the first list."""

    def __init__(
        self, folder: Path, info: dict[str, Any], statistics: pq.ParquetFile, examples: pq.ParquetFile
    ) -> None:
        self.folder = folder
        self.info = info
        self._statistics, self._examples = statistics, examples

    @classmethod
    def open(cls, path: str | Path) -> FeatureStore:
        """Open a folder; raises `FeatureStoreError` when it is missing, damaged or of another version."""
        folder = Path(path)
        try:
            info = json.loads((folder / INFO_FILE).read_text(encoding="utf-8"))
            if info["version"] != VERSION:
                raise FeatureStoreError(f"{folder} has version {info['version']}; this program reads {VERSION}.")
            statistics = pq.ParquetFile(folder / STATISTICS_FILE, memory_map=True)
            examples = pq.ParquetFile(folder / EXAMPLES_FILE, memory_map=True)
        except (*_DAMAGED, ValueError, KeyError, TypeError) as error:
            if isinstance(error, FeatureStoreError):
                raise
            raise FeatureStoreError(f"{folder} holds no readable features ({error}); extract them again.") from error
        return cls(folder, info, statistics, examples)

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._statistics.close()
        self._examples.close()

    def __len__(self) -> int:
        """Return the number of latents stored."""
        return int(self._statistics.metadata.num_rows)

    def list(
        self,
        sort: SortKey = "interestingness",
        *,
        descending: bool = True,
        filters: FeatureFilter | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> FeaturePage:
        """One page of features; equal keys are ordered by latent. Raises `ConfigError` for an unknown sort key."""
        if sort not in get_args(SortKey):
            raise ConfigError("sort", f"must be one of {', '.join(get_args(SortKey))}.")
        if offset < 0 or limit < 0:
            raise ConfigError("offset" if offset < 0 else "limit", "must not be negative.")
        passing = np.flatnonzero((filters or FeatureFilter()).mask(self._scalars))
        key = self._scalars.column(sort).to_numpy()[passing]
        order = np.argsort(-key if descending else key, kind="stable")
        return self._rows(passing[order[offset : offset + limit]])

    def count(self, filters: FeatureFilter | None = None) -> int:
        """How many features pass the filters."""
        return int((filters or FeatureFilter()).mask(self._scalars).sum())

    def get(self, latent: int) -> Feature:
        """Everything about one latent; raises `LatentNotFoundError` if it was not extracted."""
        place = self._place(latent)
        statistics = self._group(self._statistics, place // STATISTICS_GROUP).slice(place % STATISTICS_GROUP, 1)
        examples = self._group(self._examples, place // EXAMPLES_GROUP)
        own = examples.filter(pc.equal(examples.column("latent"), latent))
        return convert.feature(statistics.to_pylist()[0], own.to_pylist(), self.vocabulary)

    def briefs(self, rows: Sequence[FeatureRow]) -> FeatureBriefs:
        """What a list shows of these features, from two small tables that stay in memory."""
        places = pa.array([self._place(row.latent) for row in rows], pa.int64())
        logits = self._logits.take(places).to_pylist()
        wanted = pa.array([row.latent for row in rows], pa.int32())
        examples = self._best.filter(pc.is_in(self._best.column("latent"), wanted)).to_pylist()
        best = {example["latent"]: example for example in examples}
        return [
            convert.feature_brief(row, logit, best.get(row.latent), self.vocabulary)
            for row, logit in zip(rows, logits, strict=True)
        ]

    def search_tokens(self, text: str, *, limit: int = 50) -> TokenMatches:
        """Features that peak on, or promote, a token whose text contains `text` (case and outer spaces ignored).

        Whole tokens before parts, then by rank in the feature's list, then by interestingness. Raises `ConfigError`
        for an empty text.
        """
        wanted = text.strip().casefold()
        if not wanted:
            raise ConfigError("text", "must contain more than spaces.")
        hits = self._hits(wanted)[:limit]
        rows = self._rows(np.array([hit[3] for hit in hits], dtype=np.int64))
        return [TokenMatch(row, self.vocabulary[hit[4]], hit[5], hit[1]) for row, hit in zip(rows, hits, strict=True)]

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Text of each token id."""
        return tuple(self._read(VOCABULARY_FILE, ["text"]).column("text").to_pylist())

    @cached_property
    def _scalars(self) -> pa.Table:
        return self._read(STATISTICS_FILE, _SCALARS)

    @cached_property
    def _logits(self) -> pa.Table:
        return self._read(STATISTICS_FILE, ["logit_top_ids", "logit_top_values"])

    @cached_property
    def _best(self) -> pa.Table:
        return self._read(BEST_FILE, EXAMPLES.names)

    @cached_property
    def _lists(self) -> pa.Table:
        return self._read(STATISTICS_FILE, [column for _, column in _SEARCHED])

    def _hits(self, wanted: str) -> Hits:
        """Best match of each feature, best first."""
        folded = [token.strip().casefold() for token in self.vocabulary]
        tokens = [index for index, token in enumerate(folded) if wanted in token]
        score = self._scalars.column("interestingness").to_numpy()
        best: dict[int, Hit] = {}
        for where, column in _SEARCHED:
            for place, rank, token in _occurrences(self._lists.column(column), tokens):
                hit = (int(folded[token] != wanted), rank, -float(score[place]), place, token, where)
                best[place] = min(hit, best.get(place, hit))
        return sorted(best.values())

    def _place(self, latent: int) -> int:
        latents = self._scalars.column("latent").to_numpy()
        place = int(np.searchsorted(latents, latent))
        if place == len(latents) or latents[place] != latent:
            raise LatentNotFoundError(f"Latent {latent} is not among the {len(latents)} extracted; list them first.")
        return place

    def _rows(self, places: npt.NDArray[np.int64]) -> FeaturePage:
        table = self._scalars.take(pa.array(places))
        for _, column in _SEARCHED:
            table = table.append_column(column, self._lists.column(column).take(pa.array(places)))
        return [convert.feature_row(row, self.vocabulary) for row in table.to_pylist()]

    def _group(self, file: pq.ParquetFile, group: int) -> pa.Table:
        try:
            return file.read_row_group(group)
        except _DAMAGED as error:
            raise FeatureStoreError(f"{self.folder} is damaged ({error}); extract the features again.") from error

    def _read(self, name: str, columns: Sequence[str]) -> pa.Table:
        try:
            return pq.read_table(self.folder / name, columns=[*columns], memory_map=True).combine_chunks()
        except _DAMAGED as error:
            raise FeatureStoreError(f"{self.folder / name} is damaged ({error}); extract again.") from error


def _occurrences(column: pa.ChunkedArray, tokens: list[int]) -> list[tuple[int, int, int]]:
    """(row, index in the row's list, token) wherever a list column holds one of the tokens."""
    array = column.combine_chunks()
    offsets = array.offsets.to_numpy()
    values = array.flatten().to_numpy()
    where = np.flatnonzero(np.isin(values, tokens))
    rows = np.searchsorted(offsets, where + offsets[0], side="right") - 1
    ranks = where + offsets[0] - offsets[rows]
    return list(zip(rows.tolist(), ranks.tolist(), values[where].tolist(), strict=True))
