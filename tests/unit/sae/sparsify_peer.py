"""Runs in sparsify's own environment: what sparsify makes of an SAE that we saved.

Usage: sparsify_peer.py FOLDER, which holds `ours/<hook>/` and `inputs.safetensors` (x); writes `latents.safetensors`
and, as sparsify saves it, `saved/<hook>/` there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sparsify import SparseCoder


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    x = load_file(folder / "inputs.safetensors")["x"]
    ((hook, coder),) = SparseCoder.load_many(str(folder / "ours"), local=True).items()
    with torch.no_grad():
        encoded = coder.encode(x)
        latents = torch.zeros(len(x), coder.num_latents).scatter_(1, encoded.top_indices, encoded.top_acts)
        save_file({"latents": latents, "x_hat": coder(x).sae_out}, folder / "latents.safetensors")
    coder.save_to_disk(folder / "saved" / hook)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
