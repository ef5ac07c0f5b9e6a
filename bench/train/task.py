"""Makes the workload: the bundled model, and Python's own documentation as packed tokens."""

from __future__ import annotations

from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from tokenizers import Tokenizer

from bench.train.workload import Workload
from mistudio_sae.bundled import bundled_model

_CONTEXT, _WIDTH = 128, 256
_LAYER, _LATENTS, _K, _BATCH, _RATE = 3, 2048, 32, 4096, 1e-3


def make_workload(home: Path, *, steps: int) -> Workload:
    """Returns the workload of the comparisons, its tokens below `home`: GPT-2 shape, 256 wide, 6 layers."""
    model = bundled_model("pydocs-gpt2-6l")
    encodings = Tokenizer.from_file(str(model / "tokenizer.json")).encode_batch([*topics.values()])
    ids = np.concatenate([np.asarray(encoding.ids, dtype=np.uint16) for encoding in encodings])
    tokens = home / "tokens.npy"
    np.save(tokens, ids[: len(ids) // _CONTEXT * _CONTEXT].reshape(-1, _CONTEXT))
    return Workload(str(model), str(tokens), _LAYER, _WIDTH, _LATENTS, _K, _BATCH, steps, _RATE)
