"""What changes over a run, as pure functions of the step."""

from mistudio_sae.training.config import TrainingConfig


def learning_rate_factor(step: int, config: TrainingConfig) -> float:
    """Return the share of the peak learning rate at `step` (from 0): linear warm-up, constant, linear decay.

    The first step already moves, and the last one still does.
    """
    warmup, decay = config.steps * config.warmup_fraction, config.steps * config.decay_fraction
    rising = (step + 1) / warmup if warmup else 1.0
    falling = (config.steps - step) / decay if decay else 1.0
    return min(1.0, rising, falling)


def sparsity_factor(step: int, config: TrainingConfig) -> float:
    """Return the share of the sparsity coefficient at `step` (from 0): linear warm-up, then 1."""
    warmup = config.steps * config.sparsity_warmup_fraction
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def crosses(every: int, before: int, after: int) -> bool:
    """Return whether a multiple of `every` lies in (before, after]; never for `every` = 0."""
    return every > 0 and after // every > before // every
