"""Import of EleutherAI sparsify's layout: one folder a hook, `cfg.json` and `sae.safetensors`.

Keys as eai-sparsify 1.3.3 writes them: `encoder.weight` [d_sae, d_in], `encoder.bias`, `W_dec` [d_sae, d_in], `b_dec`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mistudio_sae.errors import SaeFormatError
from mistudio_sae.formats.files import assemble, check_shapes, integer, read_json, read_tensors, sae_config
from mistudio_sae.formats.provenance import LoadedSae, SaeProvenance

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae.safetensors"


def load_sparsify(folder: str | Path, model_name: str = "") -> LoadedSae:
    """Read a top-k SAE; the layout does not name its model, so the caller may.

    The folder's name is the hook (`layers.3` is the output of layer 3). d_sae is read off the weights, because
    `num_latents` is 0 when the expansion factor decides. Raises `SaeFormatError` when a file is missing or damaged,
    keys or shapes are wrong, or it holds a transcoder or another activation than top-k.
    """
    source = Path(folder)
    path = source / CONFIG_FILE
    raw = read_json(path)
    _refuse_other_kinds(raw, path)
    d_in, k = integer(raw, "d_in", path), integer(raw, "k", path)
    tensors = read_tensors(source / WEIGHTS_FILE)
    if "W_dec" not in tensors or tensors["W_dec"].ndim != 2:  # noqa: PLR2004 - a matrix
        raise SaeFormatError(f"{source / WEIGHTS_FILE} holds no matrix W_dec; save the SAE with its decoder.")
    d_sae = tensors["W_dec"].shape[0]
    expected = {"encoder.weight": (d_sae, d_in), "encoder.bias": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    check_shapes(tensors, expected, source / WEIGHTS_FILE)
    config = sae_config(path, architecture="topk", d_in=d_in, d_sae=d_sae, k=k)
    parameters = {
        "W_enc": tensors["encoder.weight"].T.contiguous(),
        "b_enc": tensors["encoder.bias"],
        "W_dec": tensors["W_dec"],
        "b_dec": tensors["b_dec"],
    }
    return LoadedSae(assemble(config, parameters), config, SaeProvenance(model_name, _hook_point(source.name)))


def _refuse_other_kinds(raw: dict[str, Any], path: Path) -> None:
    if raw.get("transcode") or raw.get("skip_connection"):
        raise SaeFormatError(f"{path} is a transcoder; give a folder with a plain sparse autoencoder.")
    if raw.get("activation", "topk") != "topk":
        raise SaeFormatError(f"{path}: activation {raw['activation']!r} cannot be read; only topk can.")


def _hook_point(folder: str) -> str:
    layer = re.fullmatch(r"(?:h|layers)\.(\d+)", folder)
    return f"layer.{layer[1]}.resid_post" if layer else folder
