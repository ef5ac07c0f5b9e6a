"""Sparse encoder and decoder: the compiled loops against plain torch in float64."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from mistudio_sae.kernels import Codes, decode, encode_top
from mistudio_sae.kernels.shared import top

BATCH, D_IN, D_SAE, K = 37, 24, 130, 5
Parts = dict[str, Tensor]


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def parts(seed: int = 0) -> Parts:
    noise = torch.Generator().manual_seed(seed)
    shapes = {"x": (BATCH, D_IN), "b_dec": (D_IN,), "W_enc": (D_IN, D_SAE), "b_enc": (D_SAE,), "W_dec": (D_SAE, D_IN)}
    return {name: torch.randn(shape, generator=noise, dtype=torch.float64) for name, shape in shapes.items()}


def loss(given: Parts, among: Tensor | None, **options: bool) -> tuple[Tensor, Codes, Parts]:
    p = {name: value.clone().requires_grad_(name != "x") for name, value in given.items()}
    codes = encode_top(p["x"], p["b_dec"], p["W_enc"], p["b_enc"], K, among=among, **options)
    total = (p["x"] - decode(codes, p["W_dec"]) - p["b_dec"]).square().sum()
    total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return total.detach(), codes, {name: value.grad for name, value in p.items() if value.grad is not None}


@pytest.mark.parametrize("among", [None, torch.arange(3, D_SAE, 7)])
def test_loss_and_gradients_equal_plain_torch(among: Tensor | None, threads: int) -> None:
    exact, codes, gradients = loss(parts(), among)
    fast, fast_codes, fast_gradients = loss({name: value.float() for name, value in parts().items()}, among)
    torch.testing.assert_close(fast, exact, check_dtype=False, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fast_codes.dense(D_SAE), codes.dense(D_SAE), check_dtype=False, rtol=1e-4, atol=1e-4)
    assert set(fast_gradients) == {"b_dec", "W_enc", "b_enc", "W_dec"}
    for name, gradient in gradients.items():
        torch.testing.assert_close(fast_gradients[name], gradient, check_dtype=False, rtol=1e-4, atol=1e-3)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    given = {name: value.float() for name, value in parts().items()}
    before, found = torch.get_num_threads(), []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        codes = Codes.of_rows(*top(given["x"], given["W_enc"].T.contiguous(), given["b_enc"], K))
        weights = given["W_dec"].clone().requires_grad_()
        decode(codes, weights).square().sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        found.append(weights.grad)
    torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in itertools.pairwise(found))


@pytest.mark.parametrize(("m", "k"), [(1, 1), (7, 3), (33, 33), (64, 1), (1000, 999), (2048, 64), (5000, 32)])
def test_top_is_exact_for_any_shape(m: int, k: int) -> None:
    noise = torch.Generator().manual_seed(m)
    x, weights = torch.randn(50, 8, generator=noise), torch.randn(m, 8, generator=noise)
    bias = torch.randn(m, generator=noise)
    values, places = top(x, weights, bias, k)
    z = torch.nn.functional.linear(x, weights, bias)
    torch.testing.assert_close(values.sort(dim=1).values, torch.relu(z.topk(k).values).flip(1))
    torch.testing.assert_close(torch.relu(z.gather(1, places)), values)
    assert all(len(row.unique()) == k for row in places)


def test_no_token_has_no_latents() -> None:
    values, places = top(torch.empty(0, 8), torch.randn(9, 8), torch.zeros(9), 2)
    assert values.shape == places.shape == (0, 2)


def test_equal_numbers_are_each_kept_once() -> None:
    ties = torch.tensor([1.0, 2, 2, 2, 2, 2, 0, -1, 2, 2]).repeat(3, 7)
    values, places = top(torch.eye(3), ties.T.contiguous(), torch.zeros(70), 9)
    assert values.eq(2).all()
    assert all(len(row.unique()) == 9 for row in places)


def test_numbers_that_are_not_finite_show_in_the_values() -> None:
    x = torch.randn(4, D_IN)
    x[2, 0] = torch.nan
    values, _ = top(x, torch.randn(D_SAE, D_IN), torch.zeros(D_SAE), K)
    assert values[2].isnan().any()
    assert values[[0, 1, 3]].isfinite().all()


def test_bf16_operands_choose_and_fp32_computes() -> None:
    given = {name: value.float() for name, value in parts().items()}
    _, exact, _ = loss(given, None)
    _, chosen, _ = loss(given, None, bf16=True)
    one, other = exact.dense(D_SAE), chosen.dense(D_SAE)
    both = (one > 0) & (other > 0)
    torch.testing.assert_close(one[both], other[both])
    assert both.sum() >= 0.95 * (one > 0).sum()


def test_an_inactive_entry_does_not_hide_an_active_one() -> None:
    codes = Codes.of_rows(torch.tensor([[3.0, 0.0]]), torch.tensor([[1, 1]]))
    assert codes.dense(3).tolist() == [[0, 3, 0]]
    assert codes.fired(3).tolist() == [0, 1, 0]
