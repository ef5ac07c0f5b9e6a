"""What the kept examples of each latent have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mistudio_sae.features.interestingness import Float64Array, Pattern, pattern
from mistudio_sae.features.windows_table import ExampleTable

_LISTED = 5


@dataclass(frozen=True)
class Look:
    """Findings about the examples of consecutive rows."""

    pattern: Pattern
    top_tokens: list[list[int]]
    """Distinct peak tokens of the top examples, most frequent first (then the stronger), at most five."""
    contexts: Float64Array
    """Share of the asked top examples that were found, [rows]."""


def look(top: ExampleTable, sample: ExampleTable, left: int, token_bits: Float64Array) -> Look:
    """Look at the strongest examples and at the sample; see `pattern` for the other arguments."""
    peaks = zip(top.token_ids[:, :, left], top.present, strict=True)
    tokens = [[token for token, _ in Counter(row[there].tolist()).most_common(_LISTED)] for row, there in peaks]
    return Look(pattern(top, sample, left, token_bits), tokens, top.present.mean(axis=1))


def join(looks: Sequence[Look]) -> Look:
    """The findings of consecutive groups of rows as one."""
    agreement = np.concatenate([part.pattern.agreement for part in looks])
    variety = np.concatenate([part.pattern.variety for part in looks])
    tokens = [row for part in looks for row in part.top_tokens]
    return Look(Pattern(agreement, variety), tokens, np.concatenate([part.contexts for part in looks]))
