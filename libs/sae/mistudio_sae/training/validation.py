"""Evaluates an SAE on held-out tokens while it is in training."""

import copy

from mistudio_sae.evaluation.metrics import evaluate
from mistudio_sae.reporting import Reporter, SilentReporter, StopRequest
from mistudio_sae.saes import Sae
from mistudio_sae.tokens import TokensReader
from mistudio_sae.training.plan import TrainingPlan
from mistudio_sae.training.trainee import Trainee

SPLIT = "validation"


class _OnlyCancel(SilentReporter):
    """Lets a cancel through; anything else waits until the evaluation is over, when a checkpoint can be written."""

    def __init__(self, outer: Reporter) -> None:
        self._outer = outer

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """Pass it on: an evaluation may take minutes."""
        self._outer.progress(stage, done, total, unit)

    def should_stop(self) -> StopRequest | None:
        """Return a pending cancel."""
        request = self._outer.should_stop()
        return request if request is StopRequest.CANCEL else None


def folded_copy(trainee: Trainee) -> Sae:
    """Return a copy of the SAE that takes raw activations and has unit-norm decoder rows."""
    sae = copy.deepcopy(trainee.sae).requires_grad_(requires_grad=False)
    sae.fold_scale(trainee.scale, trainee.target_scale)
    sae.fold_decoder_norm()
    return sae


def validate(plan: TrainingPlan, trainee: Trainee, reporter: Reporter) -> dict[str, float]:
    """Return "evaluation/<metric>" on the validation split; empty when there is none or evaluation is off.

    Raises Stopped when a cancel is asked for.
    """
    if plan.config.evaluation_tokens == 0 or not _held_out_blocks(plan.tokens):
        return {}
    report = evaluate(
        plan.lm,
        plan.tokens,
        SPLIT,
        trainee.hook,
        folded_copy(trainee),
        max_tokens=plan.config.evaluation_tokens,
        batch_blocks=plan.harvest_blocks,
        reporter=_OnlyCancel(reporter),
    )
    values = report.as_dict().items()
    return {f"evaluation/{name}": float(value) for name, value in values if isinstance(value, int | float)}


def _held_out_blocks(tokens: TokensReader) -> int:
    """Return the number of held-out blocks, 0 without a validation split."""
    return len(tokens.blocks(SPLIT)) if SPLIT in tokens.info.splits else 0
