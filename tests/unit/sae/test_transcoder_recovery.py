"""A known sparse map from inputs to outputs is found again, with a linear path beside it for skip transcoders."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mistudio_sae.models import HookPoint
from mistudio_sae.saes import Architecture, SaeConfig
from mistudio_sae.training import TrainingConfig
from mistudio_sae.training.trainee import Trainee

D_IN, FEATURES, ACTIVE, BATCH, STEPS = 64, 64, 3, 512, 600


def directions(seed: int) -> Tensor:
    drawn = torch.randn(FEATURES, D_IN, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=1)


READ, WRITTEN = directions(5), directions(7)


def pairs(linear: float) -> tuple[Tensor, Tensor]:
    """Inputs hold ACTIVE of READ, with a sign; outputs those of WRITTEN whose sign is positive, and a linear map.

    Without the signs a skip path could take any part of what the features write, and no direction would be the true
    one.
    """
    noise = torch.Generator().manual_seed(6)
    tokens = STEPS * BATCH
    chosen = torch.rand(tokens, FEATURES, generator=noise).topk(ACTIVE, dim=1).indices
    signs = 2 * torch.randint(0, 2, (tokens, ACTIVE), generator=noise) - 1
    drawn = (1 + torch.rand(tokens, ACTIVE, generator=noise)) * signs
    coefficients = torch.zeros(tokens, FEATURES).scatter_(1, chosen, drawn)
    x = 7 * coefficients @ READ
    y = 3 * coefficients.relu() @ WRITTEN + 0.5 + linear / D_IN**0.5 * x @ torch.randn(D_IN, D_IN, generator=noise)
    return x.view(STEPS, BATCH, D_IN), y.view(STEPS, BATCH, D_IN)


@pytest.mark.parametrize(("architecture", "linear"), [("transcoder", 0.0), ("skip_transcoder", 0.3)])
def test_the_map_is_recovered(architecture: Architecture, linear: float) -> None:
    inputs, targets = pairs(linear)
    config = SaeConfig(architecture, D_IN, 2 * FEATURES, k=ACTIVE, learning_rate=3e-3, dead_window_tokens=20 * BATCH)
    run = TrainingConfig(total_tokens=STEPS * BATCH, batch_tokens=BATCH)
    trainee = Trainee(HookPoint.parse("layer.0.mlp_in"), config, run, inputs[0], targets[0])
    for step, (x, y) in enumerate(zip(inputs, targets, strict=True)):
        metrics = trainee.step(x, step, measure=step == STEPS - 1, target=y)
    best, latents = (WRITTEN @ torch.nn.functional.normalize(trainee.sae.W_dec.detach(), dim=1).T).max(dim=1)
    assert best.mean() >= 0.9, metrics
    assert (best >= 0.9).float().mean() >= 0.9, metrics
    # What writes a feature's direction reads that feature, more than any other.
    reads = (READ @ trainee.sae.W_enc.detach()[:, latents]).argmax(dim=0)
    assert (reads == torch.arange(FEATURES)).float().mean() >= 0.9, metrics
