"""From stored features to messages."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio_runtime.artifacts.notes import FeatureNotes
from mistudio_sae.features import Example, Feature, FeatureBrief, Neighbour, TokenWeight


def feature_message(artifact_id: str, feature: Feature, bands: int, note: FeatureNotes) -> v1.Feature:
    """Returns everything about a feature; `bands` is how many quantile bands its examples were sorted into."""
    best = feature.top_examples[0] if feature.top_examples else None
    message = brief_message(artifact_id, FeatureBrief(feature.row, feature.top_logits, best), bands, note)
    others = (*feature.top_examples[1:], *feature.quantile_examples)
    message.examples.extend(_example(example, bands) for example in others)
    message.histogram_edges.extend(_edges(feature))
    message.histogram_counts.extend(feature.histogram)
    message.bottom_logits.extend(map(_logit, feature.bottom_logits))
    message.neighbours.extend(map(_neighbour, feature.neighbours))
    return message


def brief_message(artifact_id: str, brief: FeatureBrief, bands: int, note: FeatureNotes) -> v1.Feature:
    """Returns what a list shows: the numbers, what it promotes, and its best example."""
    row = brief.row
    return v1.Feature(
        artifact_id=artifact_id,
        latent=row.latent,
        density=row.density,
        max_activation=row.max_activation,
        mean_activation=row.mean_active,
        dead=row.dead,
        interestingness=row.interestingness,
        examples=[] if brief.best is None else [_example(brief.best, bands)],
        top_logits=map(_logit, brief.top_logits),
        label=note.label,
        starred=note.starred,
    )


def trace_message(latent: int, activations: Sequence[float]) -> v1.FeatureTrace:
    """Returns the activations of a latent along a text."""
    return v1.FeatureTrace(latent=latent, max_activation=max(activations), activations=activations)


def _example(example: Example, bands: int) -> v1.FeatureExample:
    return v1.FeatureExample(
        tokens=[v1.TokenActivation(token_id=t.token_id, text=t.text, activation=t.value) for t in example.tokens],
        peak=example.peak,
        activation=example.value,
        document=example.document,
        position=example.position,
        source=_source(example, bands),
    )


def _source(example: Example, bands: int) -> str:
    if example.kind == "top":
        return "top"
    return f"q{100 * example.band // bands}-q{100 * (example.band + 1) // bands}"


def _edges(feature: Feature) -> list[float]:
    bins = len(feature.histogram)
    return [feature.histogram_max * edge / bins for edge in range(bins + 1)] if bins else []


def _logit(weight: TokenWeight) -> v1.FeatureLogit:
    return v1.FeatureLogit(token_id=weight.token_id, text=weight.text, logit=weight.value)


def _neighbour(neighbour: Neighbour) -> v1.FeatureNeighbour:
    return v1.FeatureNeighbour(latent=neighbour.latent, cosine=neighbour.similarity)
