"""Advice for a training job that took too much memory."""

from __future__ import annotations

import pytest

from mistudio import v1
from mistudio_trainer.fitting import HEADROOM, fitting

GB = 10**9


def spec(batch: int, d_sae: int, architecture: v1.SaeArchitecture.ValueType = v1.SAE_ARCHITECTURE_TOPK) -> v1.TrainSae:
    return v1.TrainSae(batch_tokens=batch, saes=[v1.SaeSpec(d_sae=d_sae, k=8, architecture=architecture)])


@pytest.mark.parametrize(
    ("asked", "used", "limit", "fits"),
    [
        (spec(16_384, 16_384), 5 * GB, 4 * GB, 4096),
        (spec(0, 65_536), 5 * GB, 4 * GB, 1024),
        (spec(16_384, 16_384, v1.SAE_ARCHITECTURE_STANDARD), 5 * GB, 4 * GB, 8192),
        (spec(4096, 16_384), int(4.01 * GB), 4 * GB, 1024),
        (spec(16_384, 8192), int(1.1 * GB), int(0.9 * GB), 2048),
        (spec(256, 1024), 5 * GB, 4 * GB, None),
        (spec(4096, 16_384), 40 * GB, 4 * GB, None),
        (v1.TrainSae(), 5 * GB, 4 * GB, None),
    ],
)
def test_the_batch_is_the_largest_power_of_two_that_fits(
    asked: v1.TrainSae, used: int, limit: int, fits: int | None
) -> None:
    assert fitting(asked, used, limit) == ({} if fits is None else {"batch_tokens": fits})


def test_the_widest_sae_of_a_sweep_decides() -> None:
    sweep = spec(16_384, 1024)
    sweep.saes.add(d_sae=16_384, k=8)
    assert fitting(sweep, 5 * GB, 4 * GB) == fitting(spec(16_384, 16_384), 5 * GB, 4 * GB)


def test_what_fits_is_smaller_than_what_did_not() -> None:
    for batch in (512, 1024, 5000):
        found = fitting(spec(batch, 65_536), int(HEADROOM * GB), GB)
        assert 0 < int(str(found["batch_tokens"])) < batch
