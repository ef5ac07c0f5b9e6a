"""Transcoders as SAELens knows them.

SAELens' own `transcoder` and `skip_transcoder` are ReLU transcoders: they know no k. What keeps its k largest latents
is therefore written as follows, and a ReLU transcoder is one that keeps all, k = d_sae.

- `transcoder`: as `topk` that takes no b_dec off its input. Its latents and its output, the MLP's, are exact.
- `skip_transcoder`: as `skip_transcoder`, with k and `activation_fn` beside it in the metadata. It is exact once
  `sae.activation_fn = TopK(k)` is set, of `sae_lens.saes.topk_sae`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from mistudio_sae.errors import SaeFormatError
from mistudio_sae.formats.saelens_names import saelens_hook_name
from mistudio_sae.models import HookPoint
from mistudio_sae.saes import SaeConfig


def transcoder_fields(config: SaeConfig) -> dict[str, Any]:
    """Return what `cfg.json` says of a transcoder and of no other SAE."""
    fields: dict[str, Any] = {"apply_b_dec_to_input": False}
    if config.architecture == "transcoder" and not _is_relu(config):
        return fields | {"architecture": "topk", "k": config.k, "rescale_acts_by_decoder_norm": False}
    return fields | {"architecture": config.architecture, "d_out": config.d_in}


def transcoder_metadata(config: SaeConfig, hook_point: str) -> dict[str, Any]:
    """Return what the metadata say of a transcoder: its target and what its activation is.

    Raises HookPointError when it does not read the input of an MLP.
    """
    target = HookPoint.parse(hook_point).mlp_output().name
    activation = {"activation_fn": "relu"} if _is_relu(config) else {"activation_fn": "topk", "k": config.k}
    return {"hook_name_out": saelens_hook_name(target), **activation}


def transcoder_k(raw: dict[str, Any], own: dict[str, Any], path: Path) -> int:
    """Return the k of a transcoder on disk: what we wrote, or all latents, which is the ReLU of SAELens.

    Raises `SaeFormatError` for a transcoder that ours cannot express.
    """
    if raw.get("d_out", raw["d_in"]) != raw["d_in"]:
        raise SaeFormatError(f"{path}: d_out is {raw['d_out']}, not d_in = {raw['d_in']}; give an MLP's transcoder.")
    if raw.get("apply_b_dec_to_input"):
        raise SaeFormatError(f"{path}: apply_b_dec_to_input is set, which no transcoder has; set it to false.")
    k = own.get("k") or raw["d_sae"]
    return int(k)


def skip_by_column(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with W_skip as [d_out, d_in], as SAELens and sparsify keep it, or back to [d_in, d_out]."""
    return {name: tensor.T.contiguous() if name == "W_skip" else tensor for name, tensor in tensors.items()}


def _is_relu(config: SaeConfig) -> bool:
    return config.k == config.d_sae
