"""A known sparse dictionary is found again by every architecture."""

import pytest
import torch

from mistudio_sae.models import HookPoint
from mistudio_sae.saes import SaeConfig
from mistudio_sae.training import TrainingConfig
from mistudio_sae.training.trainee import Trainee

D_IN, FEATURES, ACTIVE, BATCH, STEPS = 32, 64, 3, 512, 600


def true_dictionary() -> torch.Tensor:
    directions = torch.randn(FEATURES, D_IN, generator=torch.Generator().manual_seed(5))
    return torch.nn.functional.normalize(directions, dim=1)


def batches() -> torch.Tensor:
    """Sums of ACTIVE random directions with positive coefficients around a constant, [STEPS, BATCH, D_IN]."""
    generator = torch.Generator().manual_seed(6)
    chosen = torch.rand(STEPS * BATCH, FEATURES, generator=generator).topk(ACTIVE, dim=1).indices
    coefficients = torch.zeros(STEPS * BATCH, FEATURES)
    coefficients.scatter_(1, chosen, 1 + torch.rand(STEPS * BATCH, ACTIVE, generator=generator))
    return (7 * coefficients @ true_dictionary() + 0.5).view(STEPS, BATCH, D_IN)


@pytest.mark.parametrize(
    "config",
    [
        SaeConfig("topk", D_IN, 2 * FEATURES, k=ACTIVE, learning_rate=3e-3, dead_window_tokens=20 * BATCH),
        SaeConfig("standard", D_IN, 2 * FEATURES, l1_coefficient=0.5, learning_rate=3e-3),
        SaeConfig("gated", D_IN, 2 * FEATURES, l1_coefficient=5, learning_rate=3e-3),
        SaeConfig("batchtopk", D_IN, 2 * FEATURES, k=ACTIVE, learning_rate=3e-3, dead_window_tokens=20 * BATCH),
        # Thresholds move by the logarithm: from small ones a run of 600 steps would not get anywhere.
        SaeConfig(
            "jumprelu", D_IN, 2 * FEATURES, l0_coefficient=3, initial_threshold=1, bandwidth=0.5, learning_rate=3e-3
        ),
        # A prefix with fewer latents than there are features has to merge some.
        SaeConfig(
            "matryoshka",
            D_IN,
            2 * FEATURES,
            k=ACTIVE,
            matryoshka_widths=(FEATURES, 2 * FEATURES),
            learning_rate=3e-3,
            dead_window_tokens=20 * BATCH,
        ),
    ],
    ids=lambda config: config.architecture,
)
def test_the_dictionary_is_recovered(config: SaeConfig) -> None:
    data = batches()
    run = TrainingConfig(total_tokens=STEPS * BATCH, batch_tokens=BATCH)
    trainee = Trainee(HookPoint.parse("layer.0.resid_post"), config, run, data[0])
    for step, x in enumerate(data):
        metrics = trainee.step(x, step, measure=step == STEPS - 1)
    found = torch.nn.functional.normalize(trainee.sae.W_dec.detach(), dim=1)
    best = (true_dictionary() @ found.T).max(dim=1).values
    assert best.mean() >= 0.9, metrics
    assert (best >= 0.9).float().mean() >= 0.9, metrics
