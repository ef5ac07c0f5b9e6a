"""Batches that go through an SAE in parts where memory is too small for the whole."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mistudio_sae.errors import OutOfMemoryError
from mistudio_sae.saes import LossTerms, Sae
from mistudio_sae.training.memory import is_out_of_memory

MOST_PARTS = 64
"""A step in more parts than that takes many times as long; a smaller batch serves better."""


class MicroBatches:
    """Adds up the gradient of a batch over equal parts of it, and takes twice as many once memory ran out.

    ∇L(batch) = Σ_p (b_p / B) ∇L(part p): a loss is a mean over tokens, so the parts give the gradient of the
    whole up to rounding. Architectures that couple tokens see to it in `Sae.training_losses`.
    """

    def __init__(self) -> None:
        """Begin with whole batches."""
        self.parts = 1
        """In how many parts a batch goes through; never fewer again."""

    def backward(self, sae: Sae, x: Tensor, target: Tensor, dead_mask: Tensor, sparsity_scale: float) -> LossTerms:
        """Add the gradient of loss / d_in of x [B, d_in] to the parameters of `sae`; returns the terms of the batch.

        `target` [B, d_in] is what a transcoder reconstructs; of any other SAE it is x.
        Raises OutOfMemoryError naming the largest batch that fits when `MOST_PARTS` parts are too few.
        """
        while True:
            pairs = x.tensor_split(self.parts), target.tensor_split(self.parts)
            terms = _attempt(sae, *pairs, dead_mask, sparsity_scale)
            if terms is not None:
                return terms
            if 2 * self.parts > min(MOST_PARTS, len(x)):
                raise self._too_large(sae, x, target, dead_mask, sparsity_scale)
            self.parts *= 2

    def _too_large(
        self, sae: Sae, x: Tensor, target: Tensor, dead_mask: Tensor, sparsity_scale: float
    ) -> OutOfMemoryError:
        tokens = len(x) // self.parts // 2
        while tokens and _attempt(sae, [x[:tokens]], [target[:tokens]], dead_mask, sparsity_scale) is None:
            tokens //= 2
        described = f"a step of {sae.config.describe()} does not fit into memory"
        if tokens == 0:
            return OutOfMemoryError(f"d_sae: {described}, not even with one token at a time; lower d_sae.")
        return OutOfMemoryError(
            f"batch_tokens: {described} with {len(x)} tokens, not even in {self.parts} parts; "
            f"the largest that fits is {tokens * self.parts}."
        )


def _attempt(
    sae: Sae, parts: Sequence[Tensor], targets: Sequence[Tensor], dead_mask: Tensor, sparsity_scale: float
) -> LossTerms | None:
    """Return the terms of the batch, or None, with `sae` as it was, when memory ran out."""
    buffers = [buffer.clone() for buffer in sae.buffers()]
    try:
        return _accumulate(sae, parts, targets, dead_mask, sparsity_scale)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    # Only here, where the error and with it the frames that hold tensors are gone, can their memory come back.
    sae.zero_grad()
    for buffer, before in zip(sae.buffers(), buffers, strict=True):
        buffer.copy_(before)
    if parts[0].is_cuda:
        torch.cuda.empty_cache()
    return None


def _accumulate(
    sae: Sae, parts: Sequence[Tensor], targets: Sequence[Tensor], dead_mask: Tensor, sparsity_scale: float
) -> LossTerms:
    total = sum(map(len, parts))
    losses = sae.training_losses(parts, targets, dead_mask, sparsity_scale)
    sums = _add(None, sae, next(losses), len(parts[0]) / total)
    for part in parts[1:]:
        sums = _add(sums, sae, next(losses), len(part) / total)
    return sums


def _add(sums: LossTerms | None, sae: Sae, terms: LossTerms, share: float) -> LossTerms:
    """Let a part move the gradients, and return the sums with it; its graph ends here."""
    # Divided by the width, so that clipping at 1 acts on outliers only, whatever the model.
    (share * terms.loss / sae.config.d_in).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    own = LossTerms(
        loss=share * terms.loss.detach(),
        reconstruction=share * terms.reconstruction,
        sparsity=share * terms.sparsity,
        auxiliary=share * terms.auxiliary,
        fired=terms.fired,
    )
    if sums is None:
        return own
    return LossTerms(
        loss=sums.loss + own.loss,
        reconstruction=sums.reconstruction + own.reconstruction,
        sparsity=sums.sparsity + own.sparsity,
        auxiliary=sums.auxiliary + own.auxiliary,
        fired=sums.fired + own.fired,
    )
