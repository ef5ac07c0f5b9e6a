"""Sparse linear algebra for SAEs: only latents that are active cost anything."""

from mistudio_sae.kernels.codes import Codes
from mistudio_sae.kernels.products import decode, encode_top

__all__ = ["Codes", "decode", "encode_top"]
