"""Streaming language-model loss under replacement: float32 log-probabilities, float64 sums."""

from __future__ import annotations

from torch import Tensor


class LanguageMeter:
    """Collects next-token cross-entropy of the clean, spliced and zero-ablated model, and KL(clean || spliced).

    As in SAELens, a position counts by its input token: the loss of predicting token t + 1 counts if t does.
    """

    def __init__(self) -> None:
        self._predictions = self._positions = 0
        self._clean = self._spliced = self._zero = self._kl = 0.0

    def add(self, ids: Tensor, counted: Tensor, clean: Tensor, spliced: Tensor, zero: Tensor) -> None:
        """Add blocks: ids and counted [blocks, context]; the three logits [blocks, context, vocab]."""
        for block in range(len(ids)):
            self._add_block(ids[block], counted[block], clean[block], spliced[block], zero[block])

    def _add_block(self, ids: Tensor, counted: Tensor, clean: Tensor, spliced: Tensor, zero: Tensor) -> None:
        """Add one block; a block at a time, because log-probabilities of a whole batch are large."""
        self._predictions += int(counted[:-1].sum())
        self._positions += int(counted.sum())
        log_clean, log_spliced = clean.float().log_softmax(-1), spliced.float().log_softmax(-1)
        self._clean += _loss(log_clean, ids, counted)
        self._spliced += _loss(log_spliced, ids, counted)
        self._zero += _loss(zero.float().log_softmax(-1), ids, counted)
        divergence = (log_clean.exp() * (log_clean - log_spliced)).sum(-1)
        self._kl += float(divergence[counted].double().sum())

    def ce_clean(self) -> float:
        """Cross-entropy of the untouched model, nats."""
        return self._clean / max(1, self._predictions)

    def ce_spliced(self) -> float:
        """Cross-entropy with the reconstruction spliced in, nats."""
        return self._spliced / max(1, self._predictions)

    def ce_zero(self) -> float:
        """Cross-entropy under zero ablation, nats."""
        return self._zero / max(1, self._predictions)

    def ce_recovered(self) -> float:
        """(zero - spliced) / (zero - clean), 0 when zero ablation costs nothing."""
        room = self.ce_zero() - self.ce_clean()
        return (self.ce_zero() - self.ce_spliced()) / room if room else 0.0

    def kl(self) -> float:
        """Mean KL(clean || spliced), nats."""
        return self._kl / max(1, self._positions)


def _loss(log_probabilities: Tensor, ids: Tensor, counted: Tensor) -> float:
    """Summed loss of predicting each next token of one block [context] where the input token counts."""
    losses = -log_probabilities[:-1].gather(1, ids[1:].unsqueeze(1)).squeeze(1)
    return float(losses[counted[:-1]].double().sum())
