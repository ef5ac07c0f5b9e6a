"""Adam as each architecture wants it."""

import math

import torch

from mistudio_sae.saes import Architecture, Sae, SaeConfig

_RATES: dict[Architecture, float] = {"standard": 3e-3, "topk": 3e-3}
_REFERENCE_LATENTS = 2048
_EPSILON: dict[Architecture, float] = {"standard": 1e-8, "topk": 6.25e-10}
_BETAS = (0.9, 0.999)


def default_learning_rate(config: SaeConfig) -> float:
    """Return the peak learning rate of an SAE whose configuration and run name none.

    Chosen by sweep at up to 2,048 latents and runs of 10⁵ to 10⁶ tokens; it falls with 1 / √d_sae for wider
    dictionaries, as Gao et al. 2024 found.
    """
    return _RATES[config.architecture] * min(1.0, math.sqrt(_REFERENCE_LATENTS / config.d_sae))


def build_adam(sae: Sae) -> torch.optim.Adam:
    """Return a fused Adam over the parameters of `sae`; the learning rate is set at each step."""
    epsilon = _EPSILON[sae.config.architecture]
    return torch.optim.Adam(sae.parameters(), lr=0.0, betas=_BETAS, eps=epsilon, fused=True)
