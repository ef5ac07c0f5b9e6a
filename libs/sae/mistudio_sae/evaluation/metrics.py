"""Evaluation of an SAE on held-out tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from mistudio_sae.errors import TokensFormatError
from mistudio_sae.evaluation.density import EDGES, DensityMeter
from mistudio_sae.evaluation.inputs import check_finite, check_inputs
from mistudio_sae.evaluation.language import LanguageMeter
from mistudio_sae.evaluation.reconstruction import ReconstructionMeter
from mistudio_sae.evaluation.report import EvaluationReport
from mistudio_sae.models import HookPoint, LanguageModel, run_with_replacement, run_with_splice
from mistudio_sae.reporting import Reporter, Stopped, StopRequest
from mistudio_sae.saes import Sae
from mistudio_sae.target import target_of
from mistudio_sae.tokens import TokensReader

_LOGIT_BYTES = 256 * 2**20
"""The most that the logits of one forward pass take, in fp32; those of three passes are held at a time."""


@torch.no_grad()
def evaluate(
    lm: LanguageModel,
    tokens_reader: TokensReader,
    split: str,
    hook: HookPoint,
    sae: Sae,
    *,
    max_tokens: int,
    batch_blocks: int,
    reporter: Reporter,
) -> EvaluationReport:
    """Measure an SAE over the first `max_tokens` tokens of a split (whole blocks, at least one).

    A transcoder is measured against its target, the output of the MLP whose input `hook` is, and spliced in there.
    Three forward passes a batch: clean, spliced, zero ablation. A batch is `batch_blocks` blocks, or fewer where the
    logits of a large vocabulary would take too much memory. Special positions keep their activation when splicing and
    count in no metric, as in SAELens. Sums are float64, so the batch size moves a metric by rounding only. On FINISH
    the metrics cover what was read so far. Raises `Stopped` for other stop requests, `TokensFormatError` when no token
    counts, and the errors of `check_inputs`.
    """
    check_inputs(lm, tokens_reader, split, hook, sae)
    meters = _Meters(lm, hook, sae)
    blocks = tokens_reader.blocks(split)
    context = tokens_reader.info.context_length
    total = min(len(blocks), max(1, max_tokens // context))
    batch = min(batch_blocks, max(1, _LOGIT_BYTES // (4 * context * lm.vocab_size)))
    for start in range(0, total, batch):
        request = reporter.should_stop()
        if request is StopRequest.FINISH and start > 0:
            break
        if request is not None and request is not StopRequest.FINISH:
            raise Stopped(request)
        ids = torch.from_numpy(blocks[start : min(start + batch, total)])
        meters.add(ids.to(lm.device), tokens_reader.special_mask(ids).to(lm.device))
        reporter.progress("evaluate", (start + len(ids)) * context, total * context, "tokens")
    if meters.tokens == 0:
        raise TokensFormatError(f"No position of split {split!r} counts: every one is BOS; tokenize real text.")
    return meters.report()


class _Meters:
    """The meters of one evaluation, fed from the same forward passes."""

    def __init__(self, lm: LanguageModel, hook: HookPoint, sae: Sae) -> None:
        self._lm, self._hook, self._target, self._sae = lm, hook, target_of(sae.config, hook), sae
        self._reconstruction = ReconstructionMeter(sae.config.d_in)
        self._density = DensityMeter(sae.config.d_sae)
        self._language = LanguageMeter()

    @property
    def tokens(self) -> int:
        """Tokens that counted."""
        return self._reconstruction.tokens

    def add(self, ids: Tensor, counted: Tensor) -> None:
        """Run a batch, ids and counted [blocks, context]."""

        def observe(x: Tensor, y: Tensor) -> Tensor:
            self._observe(x[counted].float(), y[counted].float())
            return y

        def splice(x: Tensor, y: Tensor) -> Tensor:
            return torch.where(counted.unsqueeze(-1), self._sae(x.float()).to(y.dtype), y)

        clean = run_with_splice(self._lm, ids, self._hook, self._target, observe)
        spliced = run_with_splice(self._lm, ids, self._hook, self._target, splice)
        zero = run_with_replacement(self._lm, ids, self._target, torch.zeros_like)
        self._language.add(ids, counted, clean, spliced, zero)

    def report(self) -> EvaluationReport:
        """The metrics of everything added."""
        fvu = self._reconstruction.fvu()
        return EvaluationReport(
            tokens=self.tokens,
            l0=self._reconstruction.l0(),
            fvu=fvu,
            explained_variance=1 - fvu,
            cosine_similarity=self._reconstruction.cosine_similarity(),
            l2_ratio=self._reconstruction.l2_ratio(),
            ce_clean=self._language.ce_clean(),
            ce_spliced=self._language.ce_spliced(),
            ce_zero=self._language.ce_zero(),
            ce_recovered=self._language.ce_recovered(),
            kl=self._language.kl(),
            dead_fraction=self._density.dead_fraction(),
            density_edges=EDGES,
            density_counts=self._density.histogram(),
        )

    def _observe(self, x: Tensor, y: Tensor) -> None:
        f = self._sae.encode(x)
        check_finite(f, self._hook)
        self._reconstruction.add(y, self._sae.reconstruct(x, f), f)
        self._density.add(f)
