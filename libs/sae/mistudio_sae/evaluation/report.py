"""The result of an evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class EvaluationReport:
    """Metrics of one SAE at one hook point over `tokens` held-out tokens; special positions never count.

    Definitions are SAELens' (`sae_lens.evals`), which SAEBench uses as well. x is what is reconstructed:
    the activations that an SAE reads, or the MLP's output that a transcoder computes from the MLP's input.
    """

    tokens: int
    """Tokens that counted."""
    l0: float
    """Mean active latents a token."""
    fvu: float
    """Fraction of variance unexplained: sum |x - x_hat|^2 / sum |x - mean x|^2."""
    explained_variance: float
    """1 - fvu."""
    cosine_similarity: float
    """Mean cosine between x and x_hat."""
    l2_ratio: float
    """Mean of |x_hat| / |x|."""
    ce_clean: float
    """Cross-entropy of the untouched model, nats a token."""
    ce_spliced: float
    """Cross-entropy with x_hat in the place of x."""
    ce_zero: float
    """Cross-entropy with zeros in the place of x."""
    ce_recovered: float
    """(ce_zero - ce_spliced) / (ce_zero - ce_clean); 0 when zero ablation costs nothing."""
    kl: float
    """Mean KL(clean || spliced) of the next-token distributions, nats."""
    dead_fraction: float
    """Share of latents that fired on none of the tokens."""
    density_edges: tuple[float, ...]
    """Edges of the density histogram in log10 of the firing frequency; the first and last bin are open."""
    density_counts: tuple[int, ...]
    """Living latents in each bin."""

    def as_dict(self) -> dict[str, float | int | list[float] | list[int]]:
        """The report as plain JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
