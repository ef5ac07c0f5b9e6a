"""What of extract_features would fit into a memory limit. Pure, and without torch: the worker itself calls it."""

from __future__ import annotations

from mistudio import v1

HEADROOM = 0.9
"""Share of the limit that is planned with: allocators keep some memory back."""
BASE_BYTES = 400_000_000
"""Libraries and a small model; more would only make the advice bolder."""
TOP_EXAMPLES, CONTEXT_TOKENS, BINS = 20, 16, 64
"""What a spec takes that does not say."""
FEWEST_EXAMPLES, FEWEST_TOKENS = 5, 4
_SAMPLED_EXAMPLES = 15
_EXAMPLE_BYTES = 24
_ACTIVATION_BYTES, _COUNT_BYTES = 4, 8


def fitting(spec: v1.ExtractFeatures, used: int, limit: int) -> dict[str, object]:
    """Returns the examples and context that would have kept a job of `used` bytes within `limit`; {} if none would.

    What grows with the spec is a table with a row for each latent: examples with a window of activations each, and a
    histogram. The number of latents is the SAE's business, so the table has to shrink by the ratio of what there is
    room for. The larger of its two sides is halved until it does.
    """
    asked = spec.top_examples or TOP_EXAMPLES, spec.context_tokens or CONTEXT_TOKENS
    bins = spec.histogram_bins or BINS
    room = (HEADROOM * limit - BASE_BYTES) / max(1, used - BASE_BYTES)
    examples, context = asked
    while row_bytes(examples, context, bins) > room * row_bytes(*asked, bins):
        if examples >= context and examples // 2 >= FEWEST_EXAMPLES:
            examples //= 2
        elif context // 2 >= FEWEST_TOKENS:
            context //= 2
        elif examples // 2 >= FEWEST_EXAMPLES:
            examples //= 2
        else:
            return {}
    found = {"top_examples": (asked[0], examples), "context_tokens": (asked[1], context)}
    return {field: fits for field, (before, fits) in found.items() if fits != before}


def row_bytes(examples: int, context: int, bins: int) -> int:
    """Returns what a latent takes with so many top examples, tokens of context on each side, and bins."""
    example = _EXAMPLE_BYTES + _ACTIVATION_BYTES * (2 * context + 1)
    return (examples + _SAMPLED_EXAMPLES) * example + _COUNT_BYTES * bins
