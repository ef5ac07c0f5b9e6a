"""Which features a person should read first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mistudio_sae.features.windows_table import OUTSIDE, ExampleTable

Float64Array = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

NEAR = (-3, -2, -1, 0, 1)
"""Offsets from the peak whose tokens may be the pattern."""
_FAR_START = 4
"""Offsets at least this far from the peak are context, which should differ between examples."""

_RARE, _DENSE = 0.01, 0.2
_HALF_SHARPNESS = 2.0
_HALF_BITS = 12.0
_ALIKE = 0.5
_MOST_RIVALS = 40


@dataclass(frozen=True)
class Pattern:
    """How alike and how different the contexts of each latent are, all float64 [rows] in 0..1."""

    agreement: Float64Array
    """Do examples, strong and weak alike, share telling tokens at and around the peak?"""
    variety: Float64Array
    """Do they differ further away? 0 for a latent that fires on one repeated passage."""


def pattern(top: ExampleTable, sample: ExampleTable, left: int, token_bits: Float64Array) -> Pattern:
    """Patterns of consecutive rows; the peak is column `left` of the windows.

    token_bits [vocab] is -log2 of each token's frequency. Two examples share the bits of a token that stands at the
    same offset in both: many for "for example", few for "the". Agreement is b / (b + 12) of the mean shared bits b
    over pairs of examples and summed over the offsets `NEAR`, and then the geometric mean over the strongest examples
    and the sample: a latent is readable if its weak contexts mean what its strong ones do. Variety is 1 - the share
    of pairs of the strongest examples that have equal tokens at an offset beyond.
    """
    bits = [_shared_bits(table, left, token_bits) for table in (top, sample)]
    agreements = [b / (b + _HALF_BITS) for b in bits]
    far = [o for o in range(-left, top.token_ids.shape[2] - left) if abs(o) >= _FAR_START]
    equal = [_pair_mean(top, left + offset, np.ones_like(token_bits)) for offset in far]
    variety = 1 - np.mean(equal, axis=0) if equal else np.ones(len(top.value))
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


def _shared_bits(table: ExampleTable, left: int, token_bits: Float64Array) -> Float64Array:
    """Mean over pairs of examples of the bits that they share around the peak, [rows]."""
    columns = [left + offset for offset in NEAR if 0 <= left + offset < table.token_ids.shape[2]]
    bits: Float64Array = np.sum([_pair_mean(table, column, token_bits) for column in columns], axis=0)
    return bits


def _pair_mean(table: ExampleTable, column: int, weight: Float64Array) -> Float64Array:
    """Mean over pairs of examples of weight[token] where both have it in that column, else 0; a cut window has none."""
    tokens = table.token_ids[:, :, column]
    same = (tokens[:, :, None] == tokens[:, None, :]) & (tokens != OUTSIDE)[:, :, None]
    same &= ~np.eye(tokens.shape[1], dtype=np.bool_)
    examples = table.present.sum(axis=1)
    total = (same.sum(axis=2) * np.where(tokens == OUTSIDE, 0.0, weight[tokens])).sum(axis=1)
    mean: Float64Array = total / np.maximum(1, examples * (examples - 1))
    return mean
