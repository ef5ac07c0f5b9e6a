"""How wide the activations at hook points are, and whether tokens fit the model that gives them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mistudio_runtime.jobs import PermanentFailure
from mistudio_sae.fit import check_tokens_fit_model
from mistudio_sae.models import HookPoint, LanguageModel, capture, resolve
from mistudio_sae.tokens import TokensReader


def activation_width(lm: LanguageModel, tokens: TokensReader, hooks: Sequence[HookPoint]) -> int:
    """Returns the width d_in that all hook points share.

    Raises TokensFormatError if the tokens are not of this model, HookPointError for a hook point that it lacks,
    PermanentFailure if widths differ.
    """
    check_tokens_fit_model(lm, tokens.info)
    for hook in hooks:
        resolve(lm, hook)
    if all(hook.kind != "module" for hook in hooks):
        return lm.d_model
    widths = _measure(lm, tokens, hooks)
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise PermanentFailure(f"hook_points: their widths differ ({listed}); train them in jobs of their own")
    return next(iter(widths.values()))


def _measure(lm: LanguageModel, tokens: TokensReader, hooks: Sequence[HookPoint]) -> dict[str, int]:
    """Only a forward pass tells the width of a raw module's output."""
    ids = torch.from_numpy(tokens.blocks("train")[0:1]).to(lm.device)
    return {name: int(x.shape[-1]) for name, x in capture(lm, ids, hooks).items()}
