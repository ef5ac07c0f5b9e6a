"""Harvest, shuffle buffer and statistics: nothing lost, nothing doubled, and every order a function of the seed."""

import copy
import math
from pathlib import Path

import pytest
import torch
from tiny import BOS, CONTEXT, language_model, write_tokens

from mistudio_sae.activations import (
    ActivationSource,
    Cursor,
    Harvest,
    ShuffleBuffer,
    activation_scale,
    geometric_median,
)
from mistudio_sae.errors import DivergenceError, TokensFormatError
from mistudio_sae.models import HookPoint, LanguageModel, capture
from mistudio_sae.tokens import TokensReader, TokensWriter

HOOKS = [HookPoint.parse("layer.0.resid_post"), HookPoint.parse("layer.1.mlp_out")]
NAMES = [hook.name for hook in HOOKS]


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return language_model()


def harvest(lm: LanguageModel, tokens: TokensReader, seed: int = 0) -> Harvest:
    return Harvest(lm, tokens, HOOKS, block_batch=5, seed=seed)


def rows_sorted(rows: torch.Tensor) -> torch.Tensor:
    return rows[torch.argsort(rows[:, 0], stable=True)]


def test_an_epoch_visits_every_counted_position_once(lm: LanguageModel, tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path, blocks=13)
    source = harvest(lm, tokens)
    batches = []
    while source.cursor.block < len(tokens.blocks("train")):
        batches.append(next(source))
    ids = torch.from_numpy(tokens.blocks("train")[:])
    assert (ids == BOS).any()
    expected = capture(lm, ids, HOOKS)
    for name in NAMES:
        found = torch.cat([batch[name] for batch in batches])
        torch.testing.assert_close(rows_sorted(found), rows_sorted(expected[name][ids != BOS]), rtol=1e-5, atol=1e-6)


def test_epochs_differ_in_order_and_a_cursor_continues_exactly(lm: LanguageModel, tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path, blocks=13)
    first, second = harvest(lm, tokens), harvest(lm, tokens)
    seen = [(first.cursor, next(first)[NAMES[0]]) for _ in range(8)]
    assert {cursor.epoch for cursor, _ in seen} == {0, 1, 2}
    assert not torch.equal(seen[0][1], seen[3][1])
    second.cursor = seen[4][0]
    for _, expected in seen[4:]:
        assert torch.equal(next(second)[NAMES[0]], expected)
    assert not torch.equal(next(harvest(lm, tokens, seed=1))[NAMES[0]], seen[0][1])


def test_tokens_without_a_position_that_counts_are_refused(lm: LanguageModel, tmp_path: Path) -> None:
    with TokensWriter(tmp_path, context_length=CONTEXT, vocab_size=61, tokenizer="t", bos_token_id=BOS) as writer:
        writer.add_document([BOS] * CONTEXT * 3, 0)
    source = harvest(lm, TokensReader.open(tmp_path))
    assert len(next(source)[NAMES[0]]) == 0
    with pytest.raises(TokensFormatError, match="no position"):
        next(source)


def test_an_id_that_the_model_lacks_is_refused(lm: LanguageModel, tmp_path: Path) -> None:
    with TokensWriter(tmp_path, context_length=CONTEXT, vocab_size=100, tokenizer="t") as writer:
        writer.add_document([99] * CONTEXT, 0)
    with pytest.raises(TokensFormatError, match="99 is beyond the model's 61"):
        next(harvest(lm, TokensReader.open(tmp_path)))


def test_activations_that_are_not_finite_name_the_hook_point(tmp_path: Path) -> None:
    lm = language_model()
    lm.layers[0].mlp.c_fc.weight.data[0, 0] = float("nan")
    with pytest.raises(DivergenceError, match=r"layer\.0\.resid_post") as caught:
        next(harvest(lm, write_tokens(tmp_path)))
    assert caught.value.hook == "layer.0.resid_post"


def numbered(start: int, count: int) -> dict[str, torch.Tensor]:
    values = torch.arange(start, start + count, dtype=torch.float32)
    return {"a": values[:, None], "b": -values[:, None].expand(-1, 2)}


def buffer(seed: int = 0) -> ShuffleBuffer:
    return ShuffleBuffer(10, {"a": 1, "b": 2}, dtype=torch.float32, device=torch.device("cpu"), seed=seed)


def run(buffer: ShuffleBuffer, start: int, rounds: int) -> list[float]:
    drawn: list[float] = []
    for place in range(rounds):
        buffer.put(numbered(start + 4 * place, 4))
        batch = buffer.draw(4)
        assert torch.equal(batch["b"][:, 1], -batch["a"][:, 0])
        drawn += batch["a"][:, 0].tolist()
    return drawn


def test_the_buffer_neither_loses_nor_doubles_a_row() -> None:
    ring = buffer()
    ring.put(numbered(0, 6))
    drawn = run(ring, 6, 20) + ring.draw(6)["a"][:, 0].tolist()
    assert sorted(drawn) == list(range(86))
    assert drawn != sorted(drawn)
    assert (ring.size, ring.free) == (0, 10)


def test_the_buffers_order_is_a_function_of_its_seed_and_state() -> None:
    first, second, other = buffer(), buffer(), buffer(seed=1)
    for ring in (first, second, other):
        ring.put(numbered(0, 6))
    assert run(first, 6, 3) == run(second, 6, 3) != run(other, 6, 3)
    resumed = buffer(seed=7)
    resumed.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert run(resumed, 18, 5) == run(first, 18, 5)


def test_the_buffer_refuses_more_than_it_holds() -> None:
    ring = buffer()
    with pytest.raises(ValueError, match="11 rows"):
        ring.put(numbered(0, 11))
    ring.put(numbered(0, 3))
    with pytest.raises(ValueError, match="3 stored"):
        ring.draw(4)


def test_a_source_keeps_its_buffer_half_full_and_resumes(lm: LanguageModel, tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path, blocks=13)

    def source() -> ActivationSource:
        return ActivationSource(harvest(lm, tokens), capacity=200, harvest_rows=5 * CONTEXT, seed=0)

    def draws(source: ActivationSource, count: int) -> list[torch.Tensor]:
        drawn = []
        while len(drawn) < count:
            if source.hungry:
                source.harvest_once()
                continue
            assert source.stored >= 100
            drawn.append(source.draw(30)[NAMES[1]])
        return drawn

    first, second = source(), source()
    draws(first, 7)
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    for one, other in zip(draws(first, 9), draws(second, 9), strict=True):
        assert torch.equal(one, other)
    assert first.epoch == second.epoch > 0


def test_a_resumed_buffer_lies_where_the_model_is(lm: LanguageModel, tmp_path: Path) -> None:
    """Tensors of a checkpoint come to the CPU; torch's meta device stands for a GPU."""
    tokens = write_tokens(tmp_path, blocks=13)
    before = ActivationSource(harvest(lm, tokens), capacity=200, harvest_rows=5 * CONTEXT, seed=0)
    before.harvest_once()
    elsewhere = LanguageModel(copy.deepcopy(lm.model).to("meta"), lm.tokenizer)
    resumed = ActivationSource(harvest(elsewhere, tokens), capacity=200, harvest_rows=5 * CONTEXT, seed=0)
    resumed.load_state_dict(before.state_dict())
    assert resumed.stored == before.stored
    assert resumed.peek(4)[NAMES[0]].device.type == "meta"


def test_the_scale_makes_the_mean_norm_the_root_of_the_width() -> None:
    x = 7 * torch.randn(500, 9)
    assert (activation_scale(x) * x).norm(dim=1).mean().item() == pytest.approx(math.sqrt(9), rel=1e-5)
    assert activation_scale(torch.zeros(3, 9)) == 1.0


def test_the_geometric_median_is_where_no_direction_leads_closer() -> None:
    x = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
    x[:40] += 1000
    median = geometric_median(x)
    pulls = torch.nn.functional.normalize(x - median, dim=1).mean(0)
    assert pulls.norm() < 1e-3
    assert median.norm() < 1 < x.mean(0).norm()


def test_a_cursor_starts_at_the_beginning() -> None:
    assert Cursor() == Cursor(epoch=0, block=0)
