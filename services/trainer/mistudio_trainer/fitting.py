"""What of train_sae would fit into a memory limit. Pure, and without torch: the worker itself calls it."""

from __future__ import annotations

from mistudio import v1

BATCH_TOKENS = 4096
"""What a spec without batch_tokens takes."""
FEWEST_TOKENS = 128
HEADROOM = 0.9
"""Share of the limit that is planned with: allocators keep some memory back."""
BASE_BYTES = 600_000_000
"""Libraries, a small model, weights, optimizer and buffer, as measured with 256 wide activations."""
_NUMBER_BYTES = 4
_COPIES_TOPK = 2.3
_COPIES = {
    v1.SAE_ARCHITECTURE_STANDARD: 3.3,
    v1.SAE_ARCHITECTURE_GATED: 8.1,
    v1.SAE_ARCHITECTURE_BATCHTOPK: 6.3,
    v1.SAE_ARCHITECTURE_JUMPRELU: 4.5,
    v1.SAE_ARCHITECTURE_MATRYOSHKA: 6.6,
}
"""Tensors of batch_tokens x d_sae float32 numbers that are alive at the peak of a step, measured with 2 to 5 thousand
tokens and 8,192 latents: pre-activations, their gradient and, for TopK, what AuxK makes of dead latents."""


def fitting(spec: v1.TrainSae, used: int, limit: int) -> dict[str, object]:
    """Returns the batch_tokens that would have kept a job of `used` bytes within `limit`; nothing if none would.

    Weights, optimizer and buffer do not depend on the batch. SAEs of a sweep take their steps one after the other, so
    the widest decides. A job is ended on its way up: what it would have taken is at least `used`, and at least what
    its batch needs.
    """
    batch = spec.batch_tokens or BATCH_TOKENS
    token = max((_token_bytes(sae) for sae in spec.saes), default=0.0)
    saved = max(used, BASE_BYTES + batch * token) - HEADROOM * limit
    fits = batch - saved / token if token else 0.0
    if fits < FEWEST_TOKENS:
        return {}
    return {"batch_tokens": 1 << (min(int(fits), batch - 1).bit_length() - 1)}


def _token_bytes(sae: v1.SaeSpec) -> float:
    """Returns what one more token of a batch takes, in bytes."""
    return _COPIES.get(sae.architecture, _COPIES_TOPK) * _NUMBER_BYTES * sae.d_sae
