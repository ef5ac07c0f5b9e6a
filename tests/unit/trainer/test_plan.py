"""What a spec that says little is turned into."""

from __future__ import annotations

from typing import Any

import pytest

from mistudio import v1
from mistudio.v1 import SaeSpec, TrainSae
from mistudio_trainer.plan import make_plan


def spec(**fields: Any) -> TrainSae:
    chosen: dict[str, Any] = {"hook_points": ["layer.0.resid_post"], "saes": [SaeSpec(d_sae=64, k=8)]}
    return TrainSae(**(chosen | {"total_tokens": 10_000_000} | fields))


def test_what_is_unset_takes_the_documented_defaults() -> None:
    plan = make_plan(spec(), d_in=16, context_length=128)

    assert (plan.config.batch_tokens, plan.config.evaluation_tokens, plan.config.seed) == (4096, 32_768, 0)
    assert plan.config.learning_rate is None
    assert plan.config.checkpoint_every_tokens == 1_000_000
    (sae,) = plan.saes
    assert (sae.architecture, sae.aux_coefficient, sae.learning_rate) == ("topk", 1 / 32, None)
    assert plan.names == ("topk-64-k8",)


def test_what_is_set_is_taken_even_if_it_is_zero() -> None:
    saes = [
        SaeSpec(name="mine", architecture=v1.SAE_ARCHITECTURE_STANDARD, d_sae=64, l1_coefficient=0, learning_rate=0.5),
        SaeSpec(d_sae=64, k=8, aux_coefficient=0),
    ]
    fields = {
        "batch_tokens": 512,
        "seed": 5,
        "learning_rate": 0.25,
        "dead_window_tokens": 99,
        "evaluate_every_tokens": 7,
    }
    plan = make_plan(spec(saes=saes, checkpoint_every_tokens=3, **fields), d_in=16, context_length=128)

    assert (plan.config.batch_tokens, plan.config.seed, plan.config.learning_rate) == (512, 5, 0.25)
    assert (plan.config.checkpoint_every_tokens, plan.config.evaluate_every_tokens) == (3, 7)
    assert [sae.dead_window_tokens for sae in plan.saes] == [99, 99]
    assert (plan.saes[0].l1_coefficient, plan.saes[0].learning_rate, plan.saes[0].k) == (0, 0.5, None)
    assert plan.saes[1].aux_coefficient == 0
    assert plan.names == ("mine", "topk-64-k8")


def test_each_architecture_takes_its_own_fields() -> None:
    saes = [
        SaeSpec(architecture=v1.SAE_ARCHITECTURE_GATED, d_sae=64, l1_coefficient=2),
        SaeSpec(architecture=v1.SAE_ARCHITECTURE_BATCHTOPK, d_sae=64, k=8),
        SaeSpec(
            architecture=v1.SAE_ARCHITECTURE_JUMPRELU,
            d_sae=64,
            l0_coefficient=3,
            bandwidth=0.5,
            jumprelu_penalty=v1.JUMP_RELU_PENALTY_TANH,
        ),
        SaeSpec(architecture=v1.SAE_ARCHITECTURE_MATRYOSHKA, d_sae=64, k=8, matryoshka_widths=[16, 64]),
        SaeSpec(architecture=v1.SAE_ARCHITECTURE_TRANSCODER, d_sae=64, k=8, aux_coefficient=0.5),
        SaeSpec(architecture=v1.SAE_ARCHITECTURE_SKIP_TRANSCODER, d_sae=64, k=8),
    ]
    plan = make_plan(spec(hook_points=["layer.0.mlp_in"], saes=saes), d_in=16, context_length=128)

    assert plan.names[:4] == ("gated-64-l1-2", "batchtopk-64-k8", "jumprelu-64-tanh-3", "matryoshka-64-k8")
    assert plan.names[4:] == ("transcoder-64-k8", "skip_transcoder-64-k8")
    assert [sae.k for sae in plan.saes] == [None, 8, None, 8, 8, 8]
    assert plan.saes[4].aux_coefficient == 0.5
    assert (plan.saes[2].bandwidth, plan.saes[3].widths) == (0.5, (16, 64))


@pytest.mark.parametrize(
    ("d_in", "hooks", "batch", "expected"),
    [(16, 1, 4096, 65_536), (4096, 1, 4096, 16_384), (4096, 4, 1024, 4096), (16, 1, 65_536, 262_144)],
)
def test_the_buffer_fits_the_models_width(d_in: int, hooks: int, batch: int, expected: int) -> None:
    names = [f"layer.{index}.resid_post" for index in range(hooks)]
    plan = make_plan(spec(hook_points=names, batch_tokens=batch), d_in=d_in, context_length=128)

    assert plan.config.buffer_tokens == expected


def test_the_buffer_counts_what_transcoders_reconstruct() -> None:
    saes = [SaeSpec(architecture=v1.SAE_ARCHITECTURE_TRANSCODER, d_sae=64, k=8)]
    fields: dict[str, Any] = {"hook_points": ["layer.0.mlp_in"], "batch_tokens": 1024}
    plain = make_plan(spec(**fields), d_in=4096, context_length=128)
    plan = make_plan(spec(**fields, saes=saes), d_in=4096, context_length=128)

    assert (plain.config.buffer_tokens, plan.config.buffer_tokens) == (16_384, 8192)


def test_checkpoints_of_a_long_run_are_not_rare_and_of_a_short_one_not_frequent() -> None:
    long = make_plan(spec(total_tokens=10**9), d_in=16, context_length=128)
    short = make_plan(spec(total_tokens=8192), d_in=16, context_length=128)

    assert long.config.checkpoint_every_tokens == 5_000_000
    assert short.config.checkpoint_every_tokens == 4096


def test_a_hook_point_named_twice_is_trained_once() -> None:
    plan = make_plan(spec(hook_points=["layer.0.resid_post"] * 2), d_in=16, context_length=128)

    assert plan.outputs == 1
