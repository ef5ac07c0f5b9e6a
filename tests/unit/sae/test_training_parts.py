"""The parts of a run that are pure: configuration, schedule, firing record."""

import dataclasses

import pytest
import torch

from mistudio_sae.errors import ConfigError
from mistudio_sae.saes import SaeConfig
from mistudio_sae.training import TrainingConfig
from mistudio_sae.training.firing import FiringRecord
from mistudio_sae.training.optimizer import default_learning_rate
from mistudio_sae.training.schedule import crosses, learning_rate_factor, sparsity_factor

CONFIG = TrainingConfig(total_tokens=100 * 64, batch_tokens=64, buffer_tokens=512)


def test_the_learning_rate_rises_stays_and_falls_over_the_last_fifth() -> None:
    factors = [learning_rate_factor(step, CONFIG) for step in range(CONFIG.steps)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert set(factors[5:81]) == {1.0}
    assert factors[81:] == pytest.approx([place / 20 for place in range(19, 0, -1)])


def test_a_schedule_without_warm_up_or_decay_is_constant() -> None:
    config = dataclasses.replace(CONFIG, warmup_fraction=0, decay_fraction=0, sparsity_warmup_fraction=0)
    assert {learning_rate_factor(step, config) for step in range(100)} == {1.0}
    assert sparsity_factor(0, config) == 1.0


def test_the_sparsity_penalty_warms_up() -> None:
    assert [sparsity_factor(step, CONFIG) for step in (0, 3, 4, 99)] == pytest.approx([0.2, 0.8, 1.0, 1.0])


def test_crossing_a_multiple() -> None:
    assert [crosses(100, before, before + 64) for before in (0, 64, 128, 192)] == [False, True, False, True]
    assert not crosses(0, 0, 10**9)


def test_a_budget_is_rounded_up_to_whole_steps() -> None:
    assert dataclasses.replace(CONFIG, total_tokens=65).steps == 2


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("total_tokens", {"total_tokens": 63}),
        ("buffer_tokens", {"buffer_tokens": 127}),
        ("batch_tokens", {"batch_tokens": 0}),
        ("harvest_blocks", {"harvest_blocks": 0}),
        ("learning_rate", {"learning_rate": float("inf")}),
        ("decay_fraction", {"warmup_fraction": 0.9}),
        ("warmup_fraction", {"warmup_fraction": -0.1}),
        ("keep_checkpoints", {"keep_checkpoints": 0}),
        ("seed", {"seed": -1}),
    ],
)
def test_a_bad_configuration_names_its_field(field: str, options: dict[str, float]) -> None:
    with pytest.raises(ConfigError) as caught:
        dataclasses.replace(CONFIG, **options)
    assert caught.value.field == field


def test_harvests_that_do_not_fit_the_buffer_are_refused() -> None:
    assert CONFIG.harvest_size(16) == 4
    assert CONFIG.harvest_size(256) == 1
    with pytest.raises(ConfigError, match="at least 514"):
        CONFIG.harvest_size(257)
    with pytest.raises(ConfigError, match="buffer_tokens"):
        dataclasses.replace(CONFIG, harvest_blocks=17).harvest_size(16)


def record() -> FiringRecord:
    return FiringRecord(3, dead_window=10, frequency_window=8, device=torch.device("cpu"))


def test_dead_is_counted_in_tokens() -> None:
    firing = record()
    for _ in range(2):
        firing.update(torch.tensor([1, 0, 0]), 4)
    assert firing.dead_mask().tolist() == [False, False, False]
    firing.update(torch.tensor([0, 1, 0]), 4)
    assert firing.dead_mask().tolist() == [False, False, True]
    firing.update(torch.tensor([0, 0, 1]), 4)
    assert not firing.dead_mask().any()


def test_the_frequency_covers_one_to_two_windows() -> None:
    firing = record()
    firing.update(torch.tensor([8, 0, 0]), 8)
    firing.update(torch.tensor([8, 4, 0]), 8)
    assert firing.log10_frequency().tolist() == pytest.approx([0, -0.60206, -10], abs=1e-4)
    firing.update(torch.tensor([0, 0, 0]), 4)
    assert firing.log10_frequency()[0].item() == pytest.approx(-0.17609, abs=1e-4)
    again = record()
    again.load_state_dict(firing.state_dict())
    for each in (firing, again):
        each.update(torch.tensor([1, 1, 0]), 6)
    assert torch.equal(firing.log10_frequency(), again.log10_frequency())
    assert torch.equal(firing.dead_mask(), again.dead_mask())


def test_the_default_learning_rate_falls_with_the_root_of_a_wide_dictionary() -> None:
    rates = [default_learning_rate(SaeConfig("topk", 64, d_sae, k=4)) for d_sae in (256, 2048, 8192)]
    assert rates[0] == rates[1] == pytest.approx(2 * rates[2])
