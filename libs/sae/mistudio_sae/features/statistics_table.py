"""Gathers what is known about each latent into `statistics.parquet`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from mistudio_sae.features.accumulator import FeatureAccumulator
from mistudio_sae.features.interestingness import score, spread
from mistudio_sae.features.logit_lens import LogitLens
from mistudio_sae.features.look import Look
from mistudio_sae.features.schema import STATISTICS, STATISTICS_GROUP


@dataclass(frozen=True)
class Findings:
    """Everything about the latents of an accumulator that is not counted in its stream."""

    lens: LogitLens
    neighbours: tuple[Tensor, Tensor]
    """Latent ids and decoder cosines, [rows, n]."""
    look: Look
    """What the examples of each row have in common."""


def statistics_table(counted: FeatureAccumulator, found: Findings, neighbours: int) -> pa.Table:
    """The table of all rows, in the columns of `schema.STATISTICS`."""
    columns = {
        **_counts(counted),
        **_lens(found.lens),
        **_relations(counted, found, neighbours),
        **_ranking(counted, found),
    }
    arrays = [pa.array(columns[field.name], type=field.type) for field in STATISTICS]
    return pa.Table.from_arrays(arrays, schema=STATISTICS)


def write_statistics(table: pa.Table, path: Path) -> None:
    """Write the table in row groups of `STATISTICS_GROUP` latents."""
    pq.write_table(table, path, row_group_size=STATISTICS_GROUP, compression="zstd")


def _counts(counted: FeatureAccumulator) -> dict[str, Any]:
    return {
        "latent": counted.latents.numpy(),
        "fired": counted.fired.numpy(),
        "density": counted.density().numpy(),
        "dead": (counted.fired == 0).numpy(),
        "max_activation": counted.largest.numpy(),
        "mean_active": counted.mean_active().numpy(),
        "histogram": list(counted.histogram.counts.numpy()),
        "histogram_max": counted.histogram.upper_edge().numpy(),
    }


def _lens(lens: LogitLens) -> dict[str, Any]:
    return {
        "logit_top_ids": list(lens.top_tokens.int().numpy()),
        "logit_top_values": list(lens.top_values.numpy()),
        "logit_bottom_ids": list(lens.bottom_tokens.int().numpy()),
        "logit_bottom_values": list(lens.bottom_values.numpy()),
        "logit_sharpness": lens.sharpness.numpy(),
    }


def _relations(counted: FeatureAccumulator, found: Findings, neighbours: int) -> dict[str, Any]:
    ids, cosines = found.neighbours
    partners: list[Any] = [[]] * len(ids)
    scores: list[Any] = [[]] * len(ids)
    if counted.cooccurrence is not None:
        rows, jaccard = counted.cooccurrence.nearest(neighbours)
        real = jaccard > 0
        partners = [counted.latents[row[keep]].numpy() for row, keep in zip(rows, real, strict=True)]
        scores = [values[keep].numpy() for values, keep in zip(jaccard, real, strict=True)]
    return {
        "top_token_ids": found.look.top_tokens,
        "neighbour_ids": list(ids.int().numpy()),
        "neighbour_cosines": list(cosines.numpy()),
        "coactive_ids": partners,
        "coactive_scores": scores,
    }


def _ranking(counted: FeatureAccumulator, found: Findings) -> dict[str, Any]:
    density = counted.density().numpy()
    raw = score(density, found.look.contexts, found.lens.sharpness.double().numpy(), found.look.pattern)
    first = np.array([tokens[0] if tokens else -1 for tokens in found.look.top_tokens], dtype=np.int64)
    ids, cosines = found.neighbours[0].numpy(), found.neighbours[1].to(torch.float64).numpy()
    return {
        "agreement": found.look.pattern.agreement,
        "variety": found.look.pattern.variety,
        "interestingness": spread(raw, first, ids, cosines, counted.latents.numpy()),
    }
