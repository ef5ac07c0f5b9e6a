"""A feature as read back from a store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenWeight:
    """A token with a number: a logit, or an activation."""

    token_id: int
    text: str
    value: float


@dataclass(frozen=True)
class Example:
    """A context in which a latent fired."""

    kind: str
    """`top` or `quantile`."""
    rank: int
    """Place within its kind."""
    band: int
    """Quantile band, 0 the weakest; -1 for top examples."""
    value: float
    """Activation at the peak."""
    block: int
    position: int
    """Where the peak is in the tokens artifact."""
    document: int
    """Dataset row of its document."""
    peak: int
    """Index of the peak in `tokens`."""
    tokens: tuple[TokenWeight, ...]
    """The window, each token with the latent's activation."""


@dataclass(frozen=True)
class Neighbour:
    """Another latent with a similarity: decoder cosine, or Jaccard index of the tokens both fire on."""

    latent: int
    similarity: float


@dataclass(frozen=True)
class FeatureRow:
    """What a list shows of a feature; columns as in `schema.py`."""

    latent: int
    fired: int
    density: float
    dead: bool
    max_activation: float
    mean_active: float
    logit_sharpness: float
    agreement: float
    variety: float
    interestingness: float
    top_tokens: tuple[str, ...]
    """Texts of its peak tokens, most frequent first."""
    top_logits: tuple[str, ...]
    """Texts of the tokens that it promotes, strongest first."""


@dataclass(frozen=True)
class FeatureBrief:
    """What a list shows of a feature beside its row."""

    row: FeatureRow
    top_logits: tuple[TokenWeight, ...]
    """Tokens that it promotes, strongest first."""
    best: Example | None
    """Its strongest example; None for a dead latent."""


@dataclass(frozen=True)
class Feature:
    """Everything about one latent."""

    row: FeatureRow
    histogram: tuple[int, ...]
    """Counts of activations in equal bins over [0, histogram_max)."""
    histogram_max: float
    top_logits: tuple[TokenWeight, ...]
    bottom_logits: tuple[TokenWeight, ...]
    neighbours: tuple[Neighbour, ...]
    """Nearest by decoder cosine."""
    coactive: tuple[Neighbour, ...]
    """Nearest by co-occurrence."""
    top_examples: tuple[Example, ...]
    """Strongest first."""
    quantile_examples: tuple[Example, ...]
    """Weakest first."""


@dataclass(frozen=True)
class TokenMatch:
    """A feature found by a token."""

    row: FeatureRow
    token: str
    """The token that matched."""
    where: str
    """`activating` if the feature peaks on it, `logits` if it promotes it."""
    rank: int
    """Place of the token in that list, 0 first."""
