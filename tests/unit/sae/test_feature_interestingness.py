"""Interestingness: readable, specific and different features come first."""

from __future__ import annotations

import numpy as np
import pytest

from mistudio_sae.features.interestingness import Pattern, pattern, score, spread
from mistudio_sae.features.windows_table import OUTSIDE, ExampleTable

LEFT, WIDTH, VOCAB = 6, 12, 50
BITS = np.linspace(1, 12, VOCAB)
RNG = np.random.default_rng(0)


def _table(*rows: np.ndarray) -> ExampleTable:
    ids = np.stack(rows)
    shape = ids.shape[:2]
    return ExampleTable(np.ones(shape, bool), np.ones(shape, np.float32), np.zeros(shape, np.int64), ids, ids * 1.0)


def _contexts(**shared: int) -> np.ndarray:
    """Ten random windows; `at_3=7` puts token 7 at column 3 of each."""
    windows = RNG.integers(0, VOCAB, (10, WIDTH))
    for column, token in shared.items():
        windows[:, int(column.removeprefix("at_"))] = token
    return windows


def test_shared_telling_tokens_agree_more_than_common_ones() -> None:
    phrase, rare, common, noise = _contexts(at_5=30, at_6=40), _contexts(at_6=40), _contexts(at_6=1), _contexts()
    found = pattern(_table(phrase, rare, common, noise), _table(phrase, rare, common, noise), LEFT, BITS)
    assert list(np.argsort(-found.agreement)) == [0, 1, 2, 3]
    assert found.variety.min() > 0.9


def test_weak_examples_must_agree_with_strong_ones() -> None:
    same, other = _contexts(at_6=40), _contexts()
    found = pattern(_table(same, same), _table(same, other), LEFT, BITS)
    assert found.agreement[0] > 2 * found.agreement[1]


def test_one_repeated_passage_has_no_variety() -> None:
    passage = np.tile(RNG.integers(0, VOCAB, WIDTH), (10, 1))
    assert pattern(_table(passage), _table(passage), LEFT, BITS).variety[0] == pytest.approx(0)


def test_cut_windows_share_nothing() -> None:
    cut = np.full((10, WIDTH), OUTSIDE)
    cut[:, LEFT] = RNG.integers(0, VOCAB, 10)
    found = pattern(_table(cut), _table(cut), LEFT, BITS)
    assert found.variety[0] == 1
    assert found.agreement[0] < 0.2


def test_dense_dead_and_unseen_features_come_last() -> None:
    good = Pattern(np.full(4, 0.8), np.ones(4))
    density, contexts = np.array([0.003, 0.5, 0.0, 0.003]), np.array([1.0, 1.0, 0.0, 0.1])
    scores = score(density, contexts, np.full(4, 4.0), good)
    assert scores[0] > scores[3] > scores[1] == scores[2] == 0


def test_ten_alike_are_spread() -> None:
    scores, latents = np.array([0.9, 0.89, 0.88, 0.5]), np.arange(4)
    neighbours, cosines = np.array([[1], [0], [1], [0]]), np.array([[0.1], [0.1], [0.9], [0.1]])
    lowered = spread(scores, np.array([7, 7, 8, 9]), neighbours, cosines, latents)
    assert lowered == pytest.approx([0.9, 0.445, 0.44, 0.5])
