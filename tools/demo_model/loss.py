"""Next-token loss in bfloat16 autocast, for training and for validation."""

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel


def next_token_loss(model: PreTrainedModel, windows: Tensor) -> Tensor:
    """Mean cross entropy in nats of each next token; ``windows`` is ``[n, length]``."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(windows).logits[:, :-1]
    return functional.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())


@torch.no_grad()
def mean_loss(model: PreTrainedModel, windows: Tensor, batch: int) -> float:
    """Mean loss over all windows with dropout off; leaves the model in training mode."""
    model.train(mode=False)
    parts = torch.split(windows, batch)
    total = sum([float(next_token_loss(model, part)) * len(part) for part in parts], start=0.0)
    model.train()
    return total / len(windows)
