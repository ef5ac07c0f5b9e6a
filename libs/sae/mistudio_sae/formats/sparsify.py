"""EleutherAI sparsify's layout: one folder a hook, `cfg.json` and `sae.safetensors`.

Keys as eai-sparsify 1.3.3 writes them: `encoder.weight` [d_sae, d_in], `encoder.bias`, `W_dec` [d_sae, d_in], `b_dec`,
and for a skip connection `W_skip` [d_out, d_in]. Its `SparseCoder.load_from_disk` reads what `save_sparsify` writes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from mistudio_sae.errors import SaeFormatError
from mistudio_sae.formats.files import assemble, check_shapes, integer, read_json, read_tensors, sae_config
from mistudio_sae.formats.provenance import LoadedSae, SaeProvenance
from mistudio_sae.formats.saelens_transcoders import skip_by_column
from mistudio_sae.formats.sparsify_names import hook_point_of_folder, sparsify_folder
from mistudio_sae.saes import TRANSCODES, Architecture, Sae

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae.safetensors"
WRITTEN: tuple[Architecture, ...] = ("topk", "transcoder", "skip_transcoder")
"""Architectures whose activation sparsify has."""


def save_sparsify(root: str | Path, sae: Sae, hook_point: str) -> Path:
    """Write an SAE whose scales are folded in, into a folder of `root` that is named after its hook; returns that.

    sparsify applies nothing outside the weights. Raises `SaeFormatError`, before anything is written, for an
    architecture that it lacks.
    """
    config = sae.config
    if config.architecture not in WRITTEN:
        raise SaeFormatError(
            f"sparsify has no {config.architecture} SAEs, only {', '.join(WRITTEN)}; write the SAELens layout."
        )
    folder = Path(root) / sparsify_folder(hook_point, transcodes=config.architecture in TRANSCODES)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().float().contiguous() for name, tensor in _weights(sae).items()}
    save_file(weights, folder / WEIGHTS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(_config(sae), indent=2) + "\n", encoding="utf-8")
    return folder


def load_sparsify(folder: str | Path, model_name: str = "") -> LoadedSae:
    """Read a top-k SAE or transcoder; the layout does not name its model, so the caller may.

    The folder's name is the hook (`layers.3` is the output of layer 3). d_sae is read off the weights, because
    `num_latents` is 0 when the expansion factor decides. Raises `SaeFormatError` when a file is missing or damaged,
    keys or shapes are wrong, or it holds an autoencoder with a skip connection or another activation than top-k.
    """
    source = Path(folder)
    path = source / CONFIG_FILE
    raw = read_json(path)
    architecture = _architecture(raw, path)
    d_in, k = integer(raw, "d_in", path), integer(raw, "k", path)
    tensors = read_tensors(source / WEIGHTS_FILE)
    if "W_dec" not in tensors or tensors["W_dec"].ndim != 2:  # noqa: PLR2004 - a matrix
        raise SaeFormatError(f"{source / WEIGHTS_FILE} holds no matrix W_dec; save the SAE with its decoder.")
    d_sae = tensors["W_dec"].shape[0]
    check_shapes(tensors, _shapes(architecture, d_in, d_sae), source / WEIGHTS_FILE)
    config = sae_config(path, architecture=architecture, d_in=d_in, d_sae=d_sae, k=k)
    parameters = skip_by_column(tensors)
    parameters["W_enc"] = parameters.pop("encoder.weight").T.contiguous()
    parameters["b_enc"] = parameters.pop("encoder.bias")
    hook_point = hook_point_of_folder(source.name, transcodes=architecture in TRANSCODES)
    return LoadedSae(assemble(config, parameters), config, SaeProvenance(model_name, hook_point))


def _weights(sae: Sae) -> dict[str, Tensor]:
    weights = skip_by_column(dict(sae.state_dict()))
    weights["encoder.weight"] = weights.pop("W_enc").T
    weights["encoder.bias"] = weights.pop("b_enc")
    return weights


def _shapes(architecture: Architecture, d_in: int, d_sae: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"encoder.weight": (d_sae, d_in), "encoder.bias": (d_sae,)}
    shapes |= {"W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    return shapes | ({"W_skip": (d_in, d_in)} if architecture == "skip_transcoder" else {})


def _config(sae: Sae) -> dict[str, Any]:
    config = sae.config
    return {
        "activation": "topk",
        "expansion_factor": max(1, config.d_sae // config.d_in),
        "normalize_decoder": True,
        "num_latents": config.d_sae,
        "k": config.k,
        "multi_topk": False,
        "skip_connection": config.architecture == "skip_transcoder",
        "transcode": config.architecture in TRANSCODES,
        "d_in": config.d_in,
    }


def _architecture(raw: dict[str, Any], path: Path) -> Architecture:
    """The architecture, after refusing what ours cannot express."""
    if raw.get("activation", "topk") != "topk":
        raise SaeFormatError(f"{path}: activation {raw['activation']!r} cannot be read; only topk can.")
    if not raw.get("transcode"):
        if raw.get("skip_connection"):
            raise SaeFormatError(f"{path} is an autoencoder with a skip connection; only transcoders may have one.")
        return "topk"
    return "skip_transcoder" if raw.get("skip_connection") else "transcoder"
