"""Write the weights in half precision, in the transformers format."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import GPT2LMHeadModel

READABLE_BY_ALL = 0o644


def save_model(model: GPT2LMHeadModel, folder: Path) -> None:
    """Write ``config.json``, ``generation_config.json`` and ``model.safetensors`` (float16).

    The configuration says float32, so that plain ``from_pretrained`` computes in float32:
    half precision only makes the file small. The model's weights are rounded in place, so
    that figures measured afterwards are the stored model's.
    """
    state = {
        name: tensor.half().contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"  # tied to the embedding
    }
    model.load_state_dict({n: t.float() for n, t in state.items()}, strict=False)
    weights = folder / "model.safetensors"
    save_file(state, weights, metadata={"format": "pt"})
    weights.chmod(READABLE_BY_ALL)
    model.config.dtype = torch.float32
    model.config.architectures = ["GPT2LMHeadModel"]
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    # A version number would change with each library although nothing else does.
    for name in ("config.json", "generation_config.json"):
        _drop(folder / name, "transformers_version")


def _drop(path: Path, key: str) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    content.pop(key, None)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
