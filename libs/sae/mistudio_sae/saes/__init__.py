"""Sparse autoencoders: one small file for each architecture, one registry that names them."""

import torch

from mistudio_sae.saes.base import Sae
from mistudio_sae.saes.config import Architecture, SaeConfig
from mistudio_sae.saes.loss import LossTerms
from mistudio_sae.saes.standard import StandardSae
from mistudio_sae.saes.topk import TopKSae

ARCHITECTURES: dict[Architecture, type[Sae]] = {"standard": StandardSae, "topk": TopKSae}
"""The class of each architecture name; a new architecture is one file and one line here and in `SaeConfig`."""


def build_sae(config: SaeConfig, generator: torch.Generator) -> Sae:
    """Return a fresh SAE of `config` in fp32 on the CPU, its weights drawn from `generator`."""
    return ARCHITECTURES[config.architecture](config, generator)


__all__ = ["ARCHITECTURES", "Architecture", "LossTerms", "Sae", "SaeConfig", "StandardSae", "TopKSae", "build_sae"]
