"""Which latents fire where on a text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mistudio_extractor.warm_saes import WarmSae
from mistudio_sae.models import capture

_ROWS = 256
"""Tokens encoded at a time: with wide dictionaries a whole text would not fit into memory."""


@dataclass(frozen=True)
class TextActivations:
    """The tokens of a text and the latents that fire most on it."""

    token_ids: list[int]
    latents: list[int]
    """Strongest first; of equals the lower index."""
    activations: list[list[float]]
    """For each of these latents its activation on each token."""


@torch.no_grad()
def activate(warm: WarmSae, text: str, features: int) -> TextActivations:
    """Runs a text through model and SAE and returns at most `features` latents, only such as fire.

    A text longer than the window is read window by window, without overlap. Raises DivergenceError and HookPointError
    of the science library.
    """
    ids = torch.tensor(warm.lm.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], dtype=torch.int64)
    if len(ids) == 0:
        return TextActivations([], [], [])
    chunks = torch.split(_hidden(warm, ids), _ROWS)
    strongest = torch.stack([warm.sae.encode(x).amax(dim=0) for x in chunks]).amax(dim=0)
    order = torch.argsort(strongest, descending=True, stable=True)[:features]
    chosen = order[strongest[order] > 0]
    traces = torch.cat([warm.sae.encode(x)[:, chosen] for x in chunks])
    return TextActivations(ids.tolist(), chosen.tolist(), traces.T.tolist())


def _hidden(warm: WarmSae, ids: Tensor) -> Tensor:
    """Activations at the hook point of each token, float32 [tokens, d_in]."""
    bos = torch.tensor([warm.lm.tokenizer.bos_token_id] if warm.prepend_bos else [], dtype=torch.int64)
    parts = []
    for piece in torch.split(ids, max(1, warm.window - len(bos))):
        with warm.lock:
            captured = capture(warm.lm, torch.cat((bos, piece)).unsqueeze(0), [warm.hook])
        parts.append(captured[warm.hook.name][0, len(bos) :].float())
    return torch.cat(parts)
