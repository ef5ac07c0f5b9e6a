"""A known sparse map from inputs to outputs is found again: which direction is read, and which one is written."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mistudio_sae.models import HookPoint
from mistudio_sae.saes import SaeConfig
from mistudio_sae.training import TrainingConfig
from mistudio_sae.training.trainee import Trainee

D_IN, FEATURES, ACTIVE, BATCH, STEPS = 32, 64, 3, 512, 600


def directions(seed: int) -> Tensor:
    drawn = torch.randn(FEATURES, D_IN, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=1)


READ, WRITTEN = directions(5), directions(7)


def batches(linear: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs are sums of ACTIVE of READ; outputs are the same sums of WRITTEN around a constant, and a linear map."""
    generator = torch.Generator().manual_seed(6)
    chosen = torch.rand(STEPS * BATCH, FEATURES, generator=generator).topk(ACTIVE, dim=1).indices
    coefficients = torch.zeros(STEPS * BATCH, FEATURES)
    coefficients.scatter_(1, chosen, 1 + torch.rand(STEPS * BATCH, ACTIVE, generator=generator))
    x = 7 * coefficients @ READ
    y = 3 * coefficients @ WRITTEN + 0.5 + x @ linear
    return x.view(STEPS, BATCH, D_IN), y.view(STEPS, BATCH, D_IN)


@pytest.mark.parametrize(("architecture", "linear"), [("transcoder", 0.0), ("skip_transcoder", 0.0)])
def test_both_ends_of_the_map_are_recovered(architecture: str, linear: float) -> None:
    x, y = batches(linear * torch.eye(D_IN))
    config = SaeConfig(
        architecture,  # type: ignore[arg-type]
        D_IN,
        2 * FEATURES,
        k=ACTIVE,
        learning_rate=3e-3,
        dead_window_tokens=20 * BATCH,
    )
    run = TrainingConfig(total_tokens=STEPS * BATCH, batch_tokens=BATCH)
    trainee = Trainee(HookPoint.parse("layer.0.mlp_in"), config, run, x[0], y[0])
    for step, (inputs, targets) in enumerate(zip(x, y, strict=True)):
        metrics = trainee.step(inputs, step, measure=step == STEPS - 1, target=targets)
    decoder = torch.nn.functional.normalize(trainee.sae.W_dec.detach(), dim=1)
    best, latents = (WRITTEN @ decoder.T).max(dim=1)
    print(architecture, best.mean(), (best >= 0.9).float().mean(), metrics)
    encoder = torch.nn.functional.normalize(trainee.sae.W_enc.detach().T, dim=1)
    reads = (READ * encoder[latents]).sum(1)
    print(reads.mean(), (reads>=.9).float().mean(), ((READ @ encoder[latents].T).argmax(1)==torch.arange(FEATURES)).float().mean())
    assert best.mean() >= 0.9, metrics
    assert (best >= 0.9).float().mean() >= 0.9, metrics
