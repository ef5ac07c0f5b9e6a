"""What happens to an SAE of a run that diverges, so that nothing happens to the others."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from mistudio_sae.errors import CheckpointError, DivergenceError
from mistudio_sae.training.config import TrainingConfig
from mistudio_sae.training.trainee import Trainee

Fetch = Callable[[int], tuple[Mapping[str, Tensor], Mapping[str, Any]]]
Log = Callable[[str, str], None]
Validate = Callable[[Trainee], dict[str, float]]


@dataclass
class Standing:
    """What is remembered of an SAE besides its tensors."""

    rollbacks: int = 0
    """How often it was rolled back; each time halves its learning rate."""
    good: int = 0
    """Step of the checkpoint to which it is rolled back; 0 is before the first step."""
    candidate: int = 0
    """Step of its newest checkpoint, which is good once a later metric point is in order."""
    lowest_fvu: float | None = None
    """The lowest FVU of its metric points."""
    high: int = 0
    """Metric points in a row that looked like an explosion."""
    parts: int = 1
    """In how many micro-batches a batch goes through it."""
    failure: str = ""
    """Why it was stopped; "" while it is not."""


class Guard:
    """Keeps one SAE in training: rolled back when it diverges, at last stopped. Its state is part of checkpoints.

    Good states lie in checkpoints on disk, not in memory: copies of weights and moments would take as much as the SAE
    itself, and a run that fills its device has no room for them.
    """

    def __init__(self, trainee: Trainee, run: TrainingConfig, fetch: Fetch, log: Log) -> None:
        """Take the SAE; fetch(step) returns its tensors and standing in a checkpoint, or raises CheckpointError."""
        self.trainee: Trainee | None = trainee
        """None once it is stopped, which gives its memory back."""
        self.standing = Standing()
        self.hook, self.target, self.config = trainee.hook, trainee.target, trainee.config
        self._run, self._fetch, self._log = run, fetch, log

    def step(self, raw: Tensor, target: Tensor, step: int, *, measure: bool) -> dict[str, float]:
        """Take one step on raw activations [B, d_in], or recover; returns metrics if asked to `measure`.

        `target` is what `Trainee.step` takes. After a rollback the metrics are {"rollbacks": n}, and at the end of an
        SAE {"stopped": 1}.
        """
        trainee = self.trainee
        if trainee is None:
            return {}
        try:
            metrics = trainee.step(raw, step, measure=measure, target=target)
            self._judge(metrics, step)
        except DivergenceError as error:
            return self._recover(trainee, error)
        self._tell_parts(trainee, len(raw))
        return metrics

    def evaluate(self, validate: Validate, *, last: bool) -> dict[str, float]:
        """Return what `validate` measures, or recover as `step` does; nothing is recovered at the `last` moment."""
        trainee = self.trainee
        if trainee is None:
            return {}
        try:
            if last:
                self._check_weights(trainee)
            return validate(trainee)
        except DivergenceError as error:
            return self._stop(error) if last else self._recover(trainee, error)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors of the SAE; none of one that is stopped."""
        return self.trainee.state_dict() if self.trainee else {}

    def resume(self, tensors: Mapping[str, Tensor], standing: Mapping[str, Any]) -> None:
        """Continue where the guard that gave tensors and standing was."""
        self.standing = Standing(**standing)
        if self.standing.failure or self.trainee is None:
            self.trainee = None
            return
        self.trainee.load_state_dict(tensors)
        self.trainee.slowdown = 0.5**self.standing.rollbacks
        self.trainee.micro_batches.parts = self.standing.parts

    def as_dict(self) -> dict[str, Any]:
        """Return the standing as plain JSON values."""
        return asdict(self.standing)

    def _judge(self, metrics: Mapping[str, float], step: int) -> None:
        fvu, standing = metrics.get("fvu", math.nan), self.standing
        if not math.isfinite(fvu):  # not measured, or activations without any variance
            return
        lowest = standing.lowest_fvu = fvu if standing.lowest_fvu is None else min(fvu, standing.lowest_fvu)
        limit = self._run.explosion_multiple * max(1.0, lowest)
        if fvu <= limit:
            standing.high, standing.good = 0, standing.candidate
            return
        standing.high += 1
        if standing.high >= self._run.explosion_points:
            raise self._diverged(
                f"its FVU exploded to {fvu:.3g} at step {step}, above {limit:.3g}; lower its learning rate."
            )

    def _recover(self, trainee: Trainee, error: DivergenceError) -> dict[str, float]:
        standing = self.standing
        if standing.rollbacks >= self._run.rollbacks:
            return self._stop(error)
        standing.rollbacks += 1
        self._go_back(trainee)
        trainee.slowdown = 0.5**standing.rollbacks
        where = f"as it was at step {standing.good}" if standing.good else "from its first weights"
        self._log("warning", f"{error} It goes on {where} with {trainee.slowdown:g} of its learning rate.")
        return {"rollbacks": float(standing.rollbacks)}

    def _go_back(self, trainee: Trainee) -> None:
        standing = self.standing
        saved = self._saved(standing.good) if standing.good else None
        if saved:
            trainee.load_state_dict(saved[0])
            standing.lowest_fvu = saved[1]["lowest_fvu"]
        else:
            trainee.restart()
            standing.good, standing.lowest_fvu = 0, None
        standing.high, standing.candidate = 0, standing.good

    def _saved(self, step: int) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        try:
            return self._fetch(step)
        except CheckpointError as error:
            self._log("warning", str(error))
            return None

    def _stop(self, error: DivergenceError) -> dict[str, float]:
        self.trainee = None
        self.standing.failure = error.reason
        self._log("error", f"{error} It is stopped after {self.standing.rollbacks} rollback(s).")
        return {"stopped": 1.0}

    def _tell_parts(self, trainee: Trainee, batch: int) -> None:
        parts = trainee.micro_batches.parts
        if parts != self.standing.parts:
            self.standing.parts = parts
            name = f"{self.hook.name} with {self.config.describe()}"
            most = math.ceil(batch / parts)
            self._log(
                "warning", f"memory ran out: {name} takes its batches in {parts} parts of {most} tokens from now on."
            )

    def _check_weights(self, trainee: Trainee) -> None:
        if not all(bool(torch.isfinite(value.sum())) for value in trainee.sae.state_dict().values()):
            raise self._diverged("its weights are not finite after the last step; lower its learning rate.")

    def _diverged(self, message: str) -> DivergenceError:
        return DivergenceError(self.hook.name, self.config.describe(), message)


def check_some_left(guards: list[Guard]) -> None:
    """Raise DivergenceError, as of the first, when every SAE is stopped."""
    if guards and all(guard.trainee is None for guard in guards):
        first = guards[0]
        rest = f" All {len(guards)} SAEs of the run were stopped." if len(guards) > 1 else ""
        raise DivergenceError(first.hook.name, first.config.describe(), first.standing.failure + rest)
