"""Sparse autoencoders: one small file for each architecture, one registry that names them."""

import torch

from mistudio_sae.saes.base import Sae
from mistudio_sae.saes.batchtopk import BatchTopKSae
from mistudio_sae.saes.config import KEEPS_K, TRANSCODES, Architecture, SaeConfig
from mistudio_sae.saes.gated import GatedSae
from mistudio_sae.saes.jumprelu import JumpReluSae
from mistudio_sae.saes.loss import LossTerms
from mistudio_sae.saes.matryoshka import MatryoshkaSae
from mistudio_sae.saes.skip_transcoder import SkipTranscoder
from mistudio_sae.saes.standard import StandardSae
from mistudio_sae.saes.topk import TopKSae
from mistudio_sae.saes.transcoder import Transcoder

ARCHITECTURES: dict[Architecture, type[Sae]] = {
    "standard": StandardSae,
    "topk": TopKSae,
    "gated": GatedSae,
    "batchtopk": BatchTopKSae,
    "jumprelu": JumpReluSae,
    "matryoshka": MatryoshkaSae,
    "transcoder": Transcoder,
    "skip_transcoder": SkipTranscoder,
}
"""The class of each architecture name; a new architecture is one file and one line here and in `SaeConfig`."""


def build_sae(config: SaeConfig, generator: torch.Generator) -> Sae:
    """Return a fresh SAE of `config` in fp32 on the CPU, its weights drawn from `generator`."""
    return ARCHITECTURES[config.architecture](config, generator)


__all__ = [
    "ARCHITECTURES",
    "KEEPS_K",
    "TRANSCODES",
    "Architecture",
    "BatchTopKSae",
    "GatedSae",
    "JumpReluSae",
    "LossTerms",
    "MatryoshkaSae",
    "Sae",
    "SaeConfig",
    "SkipTranscoder",
    "StandardSae",
    "TopKSae",
    "Transcoder",
    "build_sae",
]
