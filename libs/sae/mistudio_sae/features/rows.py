"""From stored rows to feature objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mistudio_sae.features.feature import Example, Feature, FeatureBrief, FeatureRow, Neighbour, TokenWeight

Row = dict[str, Any]


def feature_row(row: Row, vocabulary: Sequence[str]) -> FeatureRow:
    """The list entry of a row of `statistics.parquet`."""
    return FeatureRow(
        latent=row["latent"],
        fired=row["fired"],
        density=row["density"],
        dead=row["dead"],
        max_activation=row["max_activation"],
        mean_active=row["mean_active"],
        logit_sharpness=row["logit_sharpness"],
        agreement=row["agreement"],
        variety=row["variety"],
        interestingness=row["interestingness"],
        top_tokens=tuple(vocabulary[token] for token in row["top_token_ids"]),
        top_logits=tuple(vocabulary[token] for token in row["logit_top_ids"]),
    )


def feature(row: Row, examples: list[Row], vocabulary: Sequence[str]) -> Feature:
    """The feature of a row of `statistics.parquet` and its rows of `examples.parquet`."""
    shown = [_example(example, vocabulary) for example in examples]
    return Feature(
        row=feature_row(row, vocabulary),
        histogram=tuple(row["histogram"]),
        histogram_max=row["histogram_max"],
        top_logits=_weights(row["logit_top_ids"], row["logit_top_values"], vocabulary),
        bottom_logits=_weights(row["logit_bottom_ids"], row["logit_bottom_values"], vocabulary),
        neighbours=_neighbours(row["neighbour_ids"], row["neighbour_cosines"]),
        coactive=_neighbours(row["coactive_ids"], row["coactive_scores"]),
        top_examples=tuple(example for example in shown if example.kind == "top"),
        quantile_examples=tuple(example for example in shown if example.kind == "quantile"),
    )


def feature_brief(row: FeatureRow, logits: Row, best: Row | None, vocabulary: Sequence[str]) -> FeatureBrief:
    """The brief of a list entry, its logit columns, and its row of `best.parquet` if it has one."""
    weights = _weights(logits["logit_top_ids"], logits["logit_top_values"], vocabulary)
    return FeatureBrief(row, weights, None if best is None else _example(best, vocabulary))


def _example(row: Row, vocabulary: Sequence[str]) -> Example:
    return Example(
        kind=row["kind"],
        rank=row["rank"],
        band=row["band"],
        value=row["value"],
        block=row["block"],
        position=row["position"],
        document=row["document"],
        peak=row["peak"],
        tokens=_weights(row["token_ids"], row["activations"], vocabulary),
    )


def _weights(ids: list[int], values: list[float], vocabulary: Sequence[str]) -> tuple[TokenWeight, ...]:
    return tuple(TokenWeight(token, vocabulary[token], value) for token, value in zip(ids, values, strict=True))


def _neighbours(ids: list[int], values: list[float]) -> tuple[Neighbour, ...]:
    return tuple(Neighbour(latent, value) for latent, value in zip(ids, values, strict=True))
