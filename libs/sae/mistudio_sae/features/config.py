"""What a feature extraction is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from mistudio_sae.errors import ConfigError

MAX_TOKENS = 2**32
"""Token ordinals are packed into 32 bits beside the activation's own bits."""
_FEWEST_BINS, _MOST_BINS = 2, 4096


@dataclass(frozen=True)
class FeatureConfig:
    """Settings of `extract_features`; every field but `batch_blocks` is part of the result's identity.

    Raises `ConfigError`, naming the field, when a value is out of range.
    """

    top_k: int = 20
    """Strongest distinct contexts kept per latent."""
    left_tokens: int = 24
    """Tokens shown before the peak of an example."""
    right_tokens: int = 8
    """Tokens shown after the peak of an example."""
    histogram_bins: int = 64
    """Bins of the activation histogram; a power of two, because bins merge in pairs when the range doubles."""
    max_tokens: int | None = None
    """Upper bound on tokens read, rounded down to whole blocks (at least one); None reads the whole split."""
    forward_blocks: int = 16
    """Blocks a forward pass, fewer where contexts are long and the SAE is wide (a function of these two alone).

    Fixed in shape and alignment: the last bit of a matrix product may depend on both.
    """
    batch_blocks: int = 16
    """Blocks between two reports and stop polls, rounded up to whole forward passes. Never changes the result."""
    logit_k: int = 10
    """Tokens listed at each end of the logit lens."""
    quantile_bands: int = 5
    """Bands that the sampled examples are sorted into, weakest first."""
    quantile_examples: int = 3
    """Sampled examples per band."""
    neighbours: int = 8
    """Nearest latents listed by decoder cosine and by co-occurrence."""
    cooccurrence_max_latents: int = 8192
    """Co-occurrence is counted up to this many latents (memory: 4 bytes times its square)."""
    cooccurrence_stride: int = 8
    """Every n-th token is counted for co-occurrence."""
    latents: tuple[int, ...] | None = None
    """Only these latents (distinct, any order); None takes all."""
    seed: int = 0
    """Seed of the quantile sample."""

    def __post_init__(self) -> None:
        """Refuse settings that no extraction can honour."""
        for name in ("top_k", "forward_blocks", "batch_blocks", "quantile_bands", "cooccurrence_stride"):
            if getattr(self, name) < 1:
                raise ConfigError(f"features.{name}", "must be at least 1.")
        for name in ("left_tokens", "right_tokens", "logit_k", "quantile_examples", "neighbours"):
            if getattr(self, name) < 0:
                raise ConfigError(f"features.{name}", "must not be negative.")
        bins = self.histogram_bins
        if not _FEWEST_BINS <= bins <= _MOST_BINS or bins & (bins - 1):
            raise ConfigError("features.histogram_bins", f"must be a power of two, {_FEWEST_BINS}..{_MOST_BINS}.")
        if self.max_tokens is not None and not 1 <= self.max_tokens <= MAX_TOKENS:
            raise ConfigError("features.max_tokens", f"must lie in 1..{MAX_TOKENS}.")
        self._check_latents()

    @property
    def window_tokens(self) -> int:
        """Width of an example's window: left, the peak itself, right."""
        return self.left_tokens + 1 + self.right_tokens

    @property
    def sample_size(self) -> int:
        """Contexts sampled per latent for the quantile examples."""
        return self.quantile_bands * self.quantile_examples

    def _check_latents(self) -> None:
        if self.latents is None:
            return
        if not self.latents:
            raise ConfigError("features.latents", "must name at least one latent; leave it out for all.")
        if len(set(self.latents)) < len(self.latents) or min(self.latents) < 0:
            raise ConfigError("features.latents", "must not be negative nor repeat a latent.")
