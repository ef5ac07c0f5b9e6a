"""The SAELens layout: `cfg.json`, `sae_weights.safetensors` and, beside them, `sparsity.safetensors`.

`sae_lens.SAE.load_from_disk` reads what `save_saelens` writes. Keys as sae-lens 6.54.12 writes them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mistudio_sae.errors import SaeFormatError
from mistudio_sae.formats.files import assemble, check_shapes, integer, read_json, read_tensors, sae_config
from mistudio_sae.formats.provenance import LoadedSae, SaeProvenance
from mistudio_sae.formats.saelens_names import hook_point_name, saelens_hook_name
from mistudio_sae.formats.saelens_transcoders import (
    skip_by_column,
    transcoder_fields,
    transcoder_k,
    transcoder_metadata,
)
from mistudio_sae.saes import TRANSCODES, Architecture, BatchTopKSae, JumpReluSae, Sae

LAYOUT_VERSION = "6.54.12"
CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae_weights.safetensors"
SPARSITY_FILE = "sparsity.safetensors"
_OWN_CONFIG = "mistudio_config"
_OWN_HOOK = "mistudio_hook_point"
_ARCHITECTURES = ("standard", "topk", "gated", "jumprelu", "transcoder", "skip_transcoder")
_AS: dict[Architecture, str] = {"batchtopk": "jumprelu", "matryoshka": "jumprelu"}
"""SAELens has inference classes for these under another name: one threshold is as many equal ones."""


def save_saelens(folder: str | Path, sae: Sae, provenance: SaeProvenance, sparsity: Tensor | None = None) -> None:
    """Write an SAE whose activation scale is folded in; sparsity is log10 firing frequency [d_sae].

    A batch top-k or Matryoshka SAE is written as the JumpReLU SAE that it is outside of training, a transcoder as
    `saelens_transcoders` says.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().float().contiguous() for name, tensor in _weights(sae).items()}
    save_file(weights, target / WEIGHTS_FILE)
    (target / CONFIG_FILE).write_text(json.dumps(_config(sae, provenance), indent=2) + "\n", encoding="utf-8")
    if sparsity is not None:
        save_file({"sparsity": sparsity.detach().cpu().float().contiguous()}, target / SPARSITY_FILE)


def load_saelens(folder: str | Path) -> LoadedSae:
    """Read an SAE in this layout, from here or from SAELens, and give it our parameterisation.

    What SAELens applies outside the weights is folded into them. Raises `SaeFormatError` when a file is missing or
    damaged, keys or shapes are wrong, or the SAE needs something that folding cannot express.
    """
    path = Path(folder) / CONFIG_FILE
    raw = read_json(path)
    architecture = _architecture(raw, path)
    d_in, d_sae = integer(raw, "d_in", path), integer(raw, "d_sae", path)
    tensors = read_tensors(Path(folder) / WEIGHTS_FILE)
    check_shapes(tensors, _shapes(architecture, d_in, d_sae), Path(folder) / WEIGHTS_FILE)
    _fold(tensors, raw, architecture)
    if architecture == "jumprelu":
        tensors["log_threshold"] = tensors.pop("threshold").clamp_min(torch.finfo(torch.float32).tiny).log()
    if architecture in TRANSCODES:
        tensors = skip_by_column(tensors)
    own = {**_own_config(raw), "architecture": architecture, "d_in": d_in, "d_sae": d_sae}
    config = sae_config(path, **own | {"k": _k(raw, architecture, path)})
    return LoadedSae(assemble(config, tensors), config, _provenance(raw), _sparsity(Path(folder), d_sae))


def _weights(sae: Sae) -> dict[str, Tensor]:
    """The tensors by SAELens' names."""
    weights = dict(sae.state_dict())
    if isinstance(sae, JumpReluSae):
        weights["threshold"] = weights.pop("log_threshold").exp()
    elif isinstance(sae, BatchTopKSae):
        weights["threshold"] = weights["threshold"].clamp_min(0).expand(sae.config.d_sae)
    return skip_by_column(weights)


def _shapes(architecture: str, d_in: int, d_sae: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    if architecture == "skip_transcoder":
        shapes["W_skip"] = (d_in, d_in)
    own = {"gated": ("b_gate", "b_mag", "r_mag"), "jumprelu": ("b_enc", "threshold")}.get(architecture, ("b_enc",))
    return shapes | dict.fromkeys(own, (d_sae,))


def _config(sae: Sae, provenance: SaeProvenance) -> dict[str, Any]:
    hook_name = saelens_hook_name(provenance.hook_point)
    own = {_OWN_HOOK: provenance.hook_point, _OWN_CONFIG: asdict(sae.config)}
    config: dict[str, Any] = {
        "d_in": sae.config.d_in,
        "d_sae": sae.config.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "sae_lens_version": LAYOUT_VERSION,
            "model_name": provenance.model_name,
            "hook_name": hook_name,
            "context_size": provenance.context_size,
            "prepend_bos": provenance.prepend_bos,
            "dataset_path": provenance.dataset,
            **own,
        },
        "architecture": _AS.get(sae.config.architecture, sae.config.architecture),
    }
    if sae.config.architecture == "topk":
        config |= {"k": sae.config.k, "rescale_acts_by_decoder_norm": False}
    if sae.config.architecture in TRANSCODES:
        config |= transcoder_fields(sae.config)
        config["metadata"] |= transcoder_metadata(sae.config, provenance.hook_point)
    return config


def _architecture(raw: dict[str, Any], path: Path) -> str:
    """The architecture, after refusing what the weights alone cannot say."""
    # Before version 6 the kind of a top-k SAE stood in its activation function.
    old_kind = "topk" if raw.get("activation_fn_str", raw.get("activation_fn")) == "topk" else "standard"
    architecture = str(raw.get("architecture", old_kind))
    if architecture == "standard":
        architecture = old_kind
    if architecture not in _ARCHITECTURES:
        raise SaeFormatError(f"{path}: architecture {architecture!r} cannot be read; choose one of {_ARCHITECTURES}.")
    for field in ("normalize_activations", "reshape_activations"):
        if raw.get(field, "none") not in ("none", None, False):
            raise SaeFormatError(f"{path}: {field} is {raw[field]!r}; fold it into the weights before exporting.")
    own = _own_config(raw).get("architecture")
    return own if own in TRANSCODES else architecture


def _fold(tensors: dict[str, Tensor], raw: dict[str, Any], architecture: str) -> None:
    """Rewrite weights for f = act((x - b_dec) W_enc + b_enc), whatever the options said."""
    if not raw.get("apply_b_dec_to_input", True) and architecture not in TRANSCODES:
        missing = tensors["b_dec"] @ tensors["W_enc"]
        if architecture == "gated":
            tensors["b_gate"] = tensors["b_gate"] + missing
            tensors["b_mag"] = tensors["b_mag"] + tensors["r_mag"].exp() * missing
        else:
            tensors["b_enc"] = tensors["b_enc"] + missing
    if architecture == "topk" and raw.get("rescale_acts_by_decoder_norm", False):
        norms = tensors["W_dec"].norm(dim=1).clamp(min=1e-8)
        tensors["W_enc"] = tensors["W_enc"] * norms
        tensors["b_enc"] = tensors["b_enc"] * norms
        tensors["W_dec"] = tensors["W_dec"] / norms.unsqueeze(1)


def _k(raw: dict[str, Any], architecture: str, path: Path) -> int | None:
    if architecture in TRANSCODES:
        return transcoder_k(raw, _own_config(raw), path)
    return integer(_with_k(raw), "k", path) if architecture == "topk" else None


def _with_k(raw: dict[str, Any]) -> dict[str, Any]:
    old = raw.get("activation_fn_kwargs")
    return {**old, **raw} if isinstance(old, dict) else raw


def _own_config(raw: dict[str, Any]) -> dict[str, Any]:
    own = _metadata(raw).get(_OWN_CONFIG)
    # JSON has no tuples.
    plain = own if isinstance(own, dict) else {}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}


def _metadata(raw: dict[str, Any]) -> dict[str, Any]:
    """The metadata, which stood at the top level before version 6."""
    metadata = raw.get("metadata")
    return {**raw, **metadata} if isinstance(metadata, dict) else raw


def _provenance(raw: dict[str, Any]) -> SaeProvenance:
    metadata = _metadata(raw)
    return SaeProvenance(
        model_name=str(metadata.get("model_name") or ""),
        hook_point=str(metadata.get(_OWN_HOOK) or hook_point_name(str(metadata.get("hook_name") or ""))),
        context_size=metadata.get("context_size"),
        prepend_bos=metadata.get("prepend_bos"),
        dataset=metadata.get("dataset_path"),
    )


def _sparsity(folder: Path, d_sae: int) -> Tensor | None:
    path = folder / SPARSITY_FILE
    if not path.exists():
        return None
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise SaeFormatError(f"{path} is not a readable safetensors file ({error}); delete it.") from error
    check_shapes(tensors, {"sparsity": (d_sae,)}, path)
    return tensors["sparsity"].float()
