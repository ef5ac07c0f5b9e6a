"""How a training run goes."""

import math
from dataclasses import dataclass

from mistudio_sae.errors import ConfigError


@dataclass(frozen=True)
class TrainingConfig:
    """Budget, schedule and habits of a run; raises ConfigError naming the field that is out of range."""

    total_tokens: int
    """Tokens to train on; rounded up to whole batches. More than the dataset has means several epochs."""
    batch_tokens: int = 4096
    """Tokens a step."""
    learning_rate: float | None = None
    """Adam's peak learning rate; None takes that of `default_learning_rate`."""
    warmup_fraction: float = 0.05
    """Share of the run in which the learning rate rises linearly from 0."""
    decay_fraction: float = 0.2
    """Share of the run, at its end, in which the learning rate falls linearly to 0."""
    sparsity_warmup_fraction: float = 0.05
    """Share of the run in which a sparsity penalty rises linearly to its coefficient."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient of loss / d_in over all parameters of an SAE."""
    bf16: bool = False
    """Whether matrix products may take bfloat16 operands; weights, sums and values stay in fp32. See `Sae`."""
    seed: int = 0
    """Decides initial weights, block order and shuffling."""
    buffer_tokens: int = 65_536
    """Activations in the shuffle buffer."""
    harvest_blocks: int | None = None
    """Blocks a forward pass; None takes about a batch of tokens."""
    checkpoint_every_tokens: int = 0
    """Tokens between checkpoints; 0 writes none but those that a pause or a drain asks for."""
    keep_checkpoints: int = 2
    """Newest checkpoints that are kept, besides those to which an SAE may still be rolled back."""
    keep_best: bool = True
    """Whether the best checkpoint is kept too: that of the lowest FVU on held-out tokens, a mean over the SAEs; of the
    lowest training loss where `evaluate_every_tokens` is 0 or there are no held-out tokens."""
    rollbacks: int = 1
    """How often an SAE that diverges goes back to its last good checkpoint, or to its first weights where there is
    none, and on with half the learning rate; after that it is stopped, and the others go on."""
    explosion_multiple: float = 10.0
    """An SAE diverges when its loss or gradient is not finite, or when its training FVU is above this multiple of its
    lowest so far (of 1 where that is lower: the FVU of the mean) at `explosion_points` metric points in a row."""
    explosion_points: int = 3
    """See `explosion_multiple`."""
    evaluate_every_tokens: int = 0
    """Tokens between evaluations on the validation split; 0 evaluates only at the end."""
    evaluation_tokens: int = 32_768
    """Tokens of the validation split that an evaluation reads at most; 0 switches evaluation off."""
    log_every_steps: int = 10
    """Steps between metric points."""

    def __post_init__(self) -> None:
        """Check each field, then the fields against each other."""
        for field in ("total_tokens", "batch_tokens", "buffer_tokens", "keep_checkpoints", "log_every_steps"):
            _at_least(field, getattr(self, field), 1)
        for field in ("checkpoint_every_tokens", "evaluate_every_tokens", "evaluation_tokens", "seed", "rollbacks"):
            _at_least(field, getattr(self, field), 0)
        _at_least("explosion_points", self.explosion_points, 1)
        if not self.explosion_multiple > 1:
            raise ConfigError("explosion_multiple", "must be above 1.")
        if self.harvest_blocks is not None:
            _at_least("harvest_blocks", self.harvest_blocks, 1)
        self._check_schedule()
        self._check_budget()

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return math.ceil(self.total_tokens / self.batch_tokens)

    def harvest_size(self, context_length: int) -> int:
        """Return the blocks of `context_length` tokens that one forward pass reads.

        Raises ConfigError when the buffer has no room for them beside half of its content.
        """
        half = self.buffer_tokens // 2
        blocks = self.harvest_blocks or max(1, min(self.batch_tokens, half) // context_length)
        if blocks * context_length > half:
            raise ConfigError(
                "buffer_tokens",
                f"{self.buffer_tokens} is too small for harvests of {blocks} blocks of {context_length} tokens; "
                f"make it at least {2 * blocks * context_length}.",
            )
        return blocks

    def _check_schedule(self) -> None:
        for field in ("warmup_fraction", "decay_fraction", "sparsity_warmup_fraction"):
            if not 0 <= getattr(self, field) <= 1:
                raise ConfigError(field, "must be between 0 and 1.")
        if self.warmup_fraction + self.decay_fraction > 1:
            raise ConfigError("decay_fraction", "warm-up and decay together are longer than the run.")
        for field in ("learning_rate", "gradient_clip"):
            value = getattr(self, field)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(field, "must be finite and above 0.")

    def _check_budget(self) -> None:
        if self.total_tokens < self.batch_tokens:
            raise ConfigError(
                "total_tokens", f"{self.total_tokens} is less than one batch of {self.batch_tokens}; raise it."
            )
        if self.buffer_tokens < 2 * self.batch_tokens:
            raise ConfigError("buffer_tokens", f"must be at least two batches = {2 * self.batch_tokens}.")


def _at_least(field: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(field, f"must be at least {least}, not {value}.")
