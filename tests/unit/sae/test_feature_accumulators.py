"""The streaming accumulators against naive ones, and their independence of how the stream is cut."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mistudio_sae.features.batch import LatentBatch, pack, unpack
from mistudio_sae.features.best import EMPTY, BestPerLatent, Candidates
from mistudio_sae.features.cooccurrence import Cooccurrence
from mistudio_sae.features.exact_sum import ExactSum
from mistudio_sae.features.histogram import ActivationHistogram
from mistudio_sae.features.ranking import largest
from mistudio_sae.features.windows import Windows

ROWS = 3
positive = st.floats(min_value=2**-20, max_value=2**20, width=32)
stream = st.lists(st.tuples(st.integers(0, ROWS - 1), positive), min_size=1, max_size=60)


def _tensors(entries: list[tuple[int, float]]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([row for row, _ in entries]), torch.tensor([value for _, value in entries])


@settings(deadline=None, max_examples=60)
@given(stream, st.integers(1, 20))
def test_histogram_is_that_of_the_final_range(entries: list[tuple[int, float]], cut: int) -> None:
    histogram = ActivationHistogram(ROWS, 16)
    for start in range(0, len(entries), cut):
        histogram.add(*_tensors(entries[start : start + cut]))
    for row in range(ROWS):
        values = np.array([value for r, value in entries if r == row])
        top = float(histogram.upper_edge()[row])
        if len(values) == 0:
            assert top == 0
            continue
        assert top / 2 <= values.max() < top
        expected = np.bincount((values / (top / 16)).astype(int), minlength=16)
        assert histogram.counts[row].tolist() == expected.tolist()


@settings(deadline=None, max_examples=60)
@given(stream, st.integers(1, 20), st.randoms())
def test_sums_do_not_depend_on_order(entries: list[tuple[int, float]], cut: int, random: object) -> None:
    whole, parts = ExactSum(ROWS), ExactSum(ROWS)
    whole.add(*_tensors(entries))
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for start in range(0, len(entries), cut):
        parts.add(*_tensors(shuffled[start : start + cut]))
    assert torch.equal(whole.total(), parts.total())
    for row in range(ROWS):
        exact = sum((Fraction(value) for r, value in entries if r == row), Fraction(0))
        assert float(whole.total()[row]) == pytest.approx(float(exact), abs=len(entries) * 2**-32, rel=1e-12)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=60),
    st.integers(1, 20),
    st.integers(1, 4),
    st.randoms(),
)
def test_best_is_the_best_of_the_set(
    entries: list[tuple[int, int, int]], cut: int, capacity: int, random: object
) -> None:
    """Few orders and identities, so that ties and duplicates abound; the key makes the order total."""
    keyed = [(row, order, identity, key) for key, (row, order, identity) in enumerate(entries)]
    random.shuffle(keyed)  # type: ignore[attr-defined]
    best = BestPerLatent(ROWS, capacity, 1)
    for start in range(0, len(keyed), cut):
        row, order, identity, key = (torch.tensor(column) for column in zip(*keyed[start : start + cut], strict=True))
        best.offer(Candidates(row, order, identity, key, key.float().unsqueeze(1)))
    for wanted in range(ROWS):
        distinct: dict[int, tuple[int, int]] = {}
        for row, order, identity, key in keyed:
            if row == wanted:
                distinct[identity] = max((order, key), distinct.get(identity, (-1, -1)))
        expected = sorted(distinct.values(), reverse=True)[:capacity]
        kept = best.order[wanted] != EMPTY
        pairs = zip(best.order[wanted][kept].tolist(), best.key[wanted][kept].tolist(), strict=True)
        assert list(pairs) == expected
        assert best.window[wanted][kept].squeeze(1).tolist() == [float(key) for _, key in expected]


def test_keys_order_by_value_then_by_earliest_token() -> None:
    values = torch.tensor([1.0, 1.0, 1.0000001, 1e-30, 3e38])
    ordinals = torch.tensor([7, 2**32 - 1, 9, 0, 5])
    keys = pack(values, ordinals)
    assert keys.argsort(descending=True).tolist() == [4, 2, 0, 1, 3]
    back = unpack(keys)
    assert torch.equal(back[0], values)
    assert torch.equal(back[1], ordinals)


def test_largest_breaks_ties_by_index() -> None:
    values = torch.tensor([[1.0, 3.0, 3.0, -0.0, 0.0, -2.0, -1.0]])
    assert largest(values, 7)[1].tolist() == [[1, 2, 0, 3, 4, 6, 5]]
    assert largest(values, 2)[0].tolist() == [[3.0, 3.0]]


def _batch(values: torch.Tensor, first_block: int) -> LatentBatch:
    shape = values.shape[:2]
    zeros = torch.zeros(shape, dtype=torch.int64)
    return LatentBatch(first_block, zeros, values, Windows(zeros, zeros, zeros), torch.ones(shape, dtype=torch.bool))


@pytest.mark.parametrize("max_pairs", [0, 2**21])
def test_both_ways_of_counting_pairs_agree(monkeypatch: pytest.MonkeyPatch, max_pairs: int) -> None:
    monkeypatch.setattr("mistudio_sae.features.cooccurrence._MAX_PAIRS", max_pairs)
    values = torch.rand(6, 10, 5, generator=torch.Generator().manual_seed(0)).sub(0.6).clamp(min=0)
    counter = Cooccurrence(5, 3)
    counter.add(_batch(values[:2], 0))
    counter.add(_batch(values[2:], 2))
    active = (values.reshape(-1, 5)[::3] > 0).int()
    assert torch.equal(counter.counts, active.T @ active)
