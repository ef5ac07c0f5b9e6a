"""Activations on disk: safetensors shards that three lines of Python read, and one index.

`activations.json`: version, model, split, context_length, dtype, tokens, blocks, hook_points {name: width},
shards [{file, tokens, first_block, blocks}].

`activations-NNNNN.safetensors`: for each hook point a tensor of its name, [tokens, width]; `token_ids`, `blocks`,
`positions` and `documents`, int64 [tokens]: the token, its block in the split, its place in the block, the row of its
document in the dataset. Special tokens (BOS) are left out.

    from safetensors.torch import load_file
    shard = load_file("activations-00000.safetensors")
    x = shard["layer.3.resid_post"]
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

INDEX_NAME = "activations.json"
VERSION = 1
SHARD_BYTES = 256 * 2**20
"""A shard is closed when it is at least so large: the most that the writer holds, and a batch more."""


class ActivationShards:
    """Collects batches and writes them shard by shard; memory does not grow with the number of tokens."""

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
        """Takes an existing folder."""
        self._folder = folder
        self._shard_bytes = shard_bytes
        self._parts: list[dict[str, Tensor]] = []
        self._held = 0
        self._shards: list[dict[str, Any]] = []
        self._widths: dict[str, int] = {}

    @property
    def tokens(self) -> int:
        """Tokens in the shards that are written."""
        return sum(shard["tokens"] for shard in self._shards)

    def add(self, activations: dict[str, Tensor], places: dict[str, Tensor]) -> None:
        """Appends tokens, on the CPU: activations [tokens, width] by hook point, places int64 [tokens] by column."""
        self._widths = {name: x.shape[-1] for name, x in activations.items()}
        part = {**activations, **places}
        self._parts.append(part)
        self._held += sum(tensor.nbytes for tensor in part.values())
        if self._held >= self._shard_bytes:
            self._flush()

    def close(self, **description: Any) -> dict[str, Any]:
        """Writes the last shard and the index, with `description` in it; returns the index."""
        self._flush()
        index = {
            "version": VERSION,
            **description,
            "tokens": self.tokens,
            "hook_points": self._widths,
            "shards": self._shards,
        }
        (self._folder / INDEX_NAME).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
        return index

    def _flush(self) -> None:
        if not self._parts:
            return
        tensors = {name: torch.cat([part[name] for part in self._parts]) for name in self._parts[0]}
        self._parts, self._held = [], 0
        if len(tensors["blocks"]) == 0:
            return
        file = f"activations-{len(self._shards):05d}.safetensors"
        save_file(tensors, self._folder / file)
        first, last = int(tensors["blocks"][0]), int(tensors["blocks"][-1])
        self._shards.append(
            {"file": file, "tokens": len(tensors["blocks"]), "first_block": first, "blocks": last - first + 1}
        )
