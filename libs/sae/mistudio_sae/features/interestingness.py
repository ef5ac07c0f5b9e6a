"""Which features a person should read first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mistudio_sae.features.windows_table import OUTSIDE, ExampleTable

Float64Array = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

NEAR = (-2, -1, 0, 1)
"""Offsets from the peak whose tokens may be the pattern."""
NEAR_WEIGHTS = (0.4, 0.7, 1.0, 0.5)
_FAR_START = 4
"""Offsets at least this far from the peak are context, which should differ between examples."""

_RARE, _DENSE = 0.01, 0.2
_HALF_SHARPNESS = 2.0
_ALIKE = 0.5
_MOST_RIVALS = 40


@dataclass(frozen=True)
class Pattern:
    """How alike and how different the contexts of each latent are, all float64 [rows] in 0..1."""

    agreement: Float64Array
    """Do examples, strong and weak alike, share the tokens at and around the peak?"""
    variety: Float64Array
    """Do they differ further away? 0 for a latent that fires on one repeated passage."""


def pattern(top: ExampleTable, sample: ExampleTable, left: int) -> Pattern:
    """Patterns of consecutive rows; the peak is column `left` of the windows.

    The purity of an offset is the chance that two examples have the same token there (Simpson's index, without
    replacement). Agreement is the noisy-or of the weighted purities near the peak, its geometric mean over the
    strongest examples and a sample of all: a latent is readable if its weak contexts mean what its strong ones do.
    Variety is 1 - the mean purity of the far offsets of the strongest examples.
    """
    agreements = [_agreement(table, left) for table in (top, sample)]
    far = [o for o in range(-left, top.token_ids.shape[2] - left) if abs(o) >= _FAR_START]
    purities = [_purity(top, left + offset) for offset in far]
    variety = 1 - np.mean(purities, axis=0) if purities else np.ones(len(top.value))
    return Pattern(np.sqrt(agreements[0] * agreements[1]), variety)


def score(density: Float64Array, contexts: Float64Array, sharpness: Float64Array, found: Pattern) -> Float64Array:
    """How much a feature has to say, 0..1, all [rows]: the product of four factors.

    Agreement and variety as they are; rarity, 1 up to a density of 1 % and falling to 0 at 20 % (log scale), because
    a latent that fires everywhere means little; evidence, the share of the asked top examples that were found;
    direction, the logit lens' sharpness s as s / (s + 2), because a feature that promotes certain tokens does
    something that a person can name.
    """
    with np.errstate(divide="ignore"):
        rarity = np.clip(np.log(_DENSE / density) / np.log(_DENSE / _RARE), 0, 1)
    direction = sharpness / (sharpness + _HALF_SHARPNESS)
    scores: Float64Array = found.agreement * found.variety * rarity * contexts * direction
    return np.where(density > 0, scores, 0.0)


def spread(scores: Float64Array, top_token: Ids, neighbours: Ids, cosines: Float64Array, latents: Ids) -> Float64Array:
    """Scores that favour one feature of a kind over ten alike.

    From the best down, a score is halved for each better feature that peaks on the same token, and for each better
    decoder neighbour [rows, n] whose cosine is above 0.5. top_token is -1 where there is none.
    """
    lowered = scores.copy()
    taken: set[int] = set()
    tokens: Counter[int] = Counter()
    for row in np.lexsort((latents, -scores)):
        close = neighbours[row][cosines[row] > _ALIKE]
        rivals = tokens[int(top_token[row])] + sum(int(latent) in taken for latent in close)
        lowered[row] = scores[row] * 0.5 ** min(rivals, _MOST_RIVALS)
        taken.add(int(latents[row]))
        tokens[int(top_token[row])] += 1
    return lowered


def _purity(table: ExampleTable, column: int) -> Float64Array:
    """Purity of one window column, [rows]; a window that has been cut there matches none."""
    tokens = table.token_ids[:, :, column]
    same = (tokens[:, :, None] == tokens[:, None, :]) & (tokens != OUTSIDE)[:, :, None]
    examples = table.present.sum(axis=1)
    matches = same.sum(axis=(1, 2)) - (tokens != OUTSIDE).sum(axis=1)
    shared: Float64Array = matches / np.maximum(1, examples * (examples - 1))
    return shared


def _agreement(table: ExampleTable, left: int) -> Float64Array:
    width = table.token_ids.shape[2]
    disagreement = np.ones(len(table.value))
    for offset, weight in zip(NEAR, NEAR_WEIGHTS, strict=True):
        if 0 <= left + offset < width:
            disagreement *= 1 - weight * _purity(table, left + offset)
    return 1 - disagreement
