"""The state of one training run and the moves that change it."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mistudio_sae.activations import ActivationSource, Harvest
from mistudio_sae.errors import CheckpointError
from mistudio_sae.reporting import Reporter
from mistudio_sae.target import target_of
from mistudio_sae.training.checkpoint import Checkpoint, load_latest, load_part, save_checkpoint
from mistudio_sae.training.guard import Guard, check_some_left
from mistudio_sae.training.memory import advising
from mistudio_sae.training.plan import TrainingPlan
from mistudio_sae.training.result import TrainedSae
from mistudio_sae.training.schedule import crosses
from mistudio_sae.training.trainee import Trainee
from mistudio_sae.training.validation import folded_copy, validate

_SAMPLE = 16_384
"""Activations that decide scale and b_dec; the median is known to well under a percent from fewer."""
_FVU = "evaluation/fvu"


class TrainingSession:
    """Many trainees on one activation source; between two calls its state is complete and can be saved."""

    def __init__(self, plan: TrainingPlan, checkpoint_dir: Path, reporter: Reporter) -> None:
        """Continue from the newest checkpoint of `checkpoint_dir`, or start afresh without one."""
        self._plan, self._folder, self._reporter = plan, checkpoint_dir, reporter
        self._config = plan.config
        self.source = _source(plan)
        self._guards: list[Guard] = []
        self._score: tuple[str, float] | None = None
        self._metrics: list[dict[str, float]] = [{} for _ in plan.pairs]
        self.step = 0
        self._restore()

    @property
    def finished(self) -> bool:
        """Whether every step is done."""
        return self.step >= self._config.steps

    @property
    def tokens_done(self) -> int:
        """Tokens that every SAE has been trained on."""
        return self.step * self._config.batch_tokens

    def harvest(self) -> None:
        """Fetch more activations, and say so when the dataset begins again."""
        epoch = self.source.epoch
        with advising("batch_tokens: a forward pass over so many tokens does not fit into memory; lower it."):
            self.source.harvest_once()
        if not self._guards:
            self._reporter.progress("harvest", self.source.stored, self._config.buffer_tokens, "tokens")
        if self.source.epoch != epoch:
            self._reporter.log("info", f"the training split is read for time {self.source.epoch + 1}")

    def train_step(self) -> None:
        """Take one step of every SAE; then log, evaluate and checkpoint where it is time.

        Raises DivergenceError once every SAE is stopped.
        """
        if not self._guards:
            self._build()
        batch = self.source.draw(self._config.batch_tokens)
        measure = (self.step + 1) % self._config.log_every_steps == 0 or self.step + 1 == self._config.steps
        measured = [
            guard.step(batch[guard.hook.name], batch[guard.target.name], self.step, measure=measure)
            for guard in self._guards
        ]
        before, self.step = self.tokens_done, self.step + 1
        for place, metrics in enumerate(measured):
            self._metrics[place] |= metrics
            self._emit(place, metrics)
        check_some_left(self._guards)
        total = self._config.steps * self._config.batch_tokens
        self._reporter.progress("train", self.tokens_done, total, "tokens")
        if crosses(self._config.evaluate_every_tokens, before, self.tokens_done) and not self.finished:
            self._evaluate(last=False)
        if crosses(self._config.checkpoint_every_tokens, before, self.tokens_done) and not self.finished:
            self._save_good()

    def save(self) -> None:
        """Write a checkpoint, if there is anything to keep yet; raises CheckpointError when it cannot be written."""
        if not self._guards:
            return
        tensors = {f"source.{name}": value for name, value in self.source.state_dict().items()}
        for place, guard in enumerate(self._guards):
            tensors |= {f"{place}.{name}": value for name, value in guard.state_dict().items()}
        standings = [guard.as_dict() for guard in self._guards]
        checkpoint = Checkpoint(self.step, self._plan.identity(), self._metrics, tensors, standings, self._scored())
        needed = {step for each in standings for step in (each["good"], each["candidate"]) if not each["failure"]}
        keep, best = self._config.keep_checkpoints, self._config.keep_best
        path = save_checkpoint(self._folder, checkpoint, keep=keep, keep_best=best, needed=needed)
        self._reporter.log("info", f"checkpoint {path.name} written")

    def save_if_possible(self) -> bool:
        """Write a checkpoint, or warn that it cannot be written; the former one stays, so at most time is lost."""
        try:
            self.save()
        except CheckpointError as err:
            self._reporter.log("warning", f"{err} The checkpoint before it is kept.")
            return False
        return True

    def results(self) -> list[TrainedSae]:
        """Evaluate every SAE on held-out tokens and return them, hook point by hook point; none that was stopped.

        Raises DivergenceError when none is left.
        """
        evaluations = self._evaluate(last=True)
        check_some_left(self._guards)
        living = [(place, guard.trainee) for place, guard in enumerate(self._guards) if guard.trainee]
        return [self._result(place, trainee, evaluations[place]) for place, trainee in living]

    def _result(self, place: int, trainee: Trainee, evaluation: dict[str, float]) -> TrainedSae:
        return TrainedSae(
            place=place,
            hook=trainee.hook,
            config=trainee.config,
            sae=folded_copy(trainee).cpu(),
            metrics=self._metrics[place] | evaluation,
            sparsity=trainee.firing.log10_frequency().cpu(),
            activation_scale=trainee.scale,
            tokens=self.tokens_done,
            epochs=self.source.epoch + 1,
        )

    def _save_good(self) -> None:
        """Write a checkpoint to which SAEs may be rolled back; no pause decides where those are."""
        before = [guard.standing.candidate for guard in self._guards]
        for guard in self._guards:
            guard.standing.candidate = self.step
        if not self.save_if_possible():
            for guard, candidate in zip(self._guards, before, strict=True):
                guard.standing.candidate = candidate

    def _scored(self) -> tuple[str, float] | None:
        losses = [
            metrics["loss"]
            for metrics, guard in zip(self._metrics, self._guards, strict=True)
            if guard.trainee and "loss" in metrics
        ]
        return self._score or (("loss", sum(losses) / len(losses)) if losses else None)

    def _build(self) -> None:
        sample = self.source.peek(_SAMPLE)
        with advising("d_sae: the weights of the SAEs do not fit into memory; lower it or train fewer in a job."):
            for place, (hook, sae) in enumerate(self._plan.pairs):
                target = sample[target_of(sae, hook).name]
                trainee = Trainee(hook, sae, self._config, sample[hook.name], target)
                fetch = functools.partial(self._fetch, place)
                self._guards.append(Guard(trainee, self._config, fetch, self._reporter.log))

    def _fetch(self, place: int, step: int) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        tensors, standings = load_part(self._folder, step, f"{place}.")
        return tensors, standings[place]

    def _restore(self) -> None:
        identity = self._plan.identity()
        checkpoint = load_latest(self._folder, identity, lambda message: self._reporter.log("warning", message))
        if checkpoint is None:
            return
        self.source.load_state_dict(_under("source.", checkpoint))
        self._build()
        for place, guard in enumerate(self._guards):
            guard.resume(_under(f"{place}.", checkpoint), checkpoint.standings[place])
        self.step, self._metrics = checkpoint.step, checkpoint.metrics
        if checkpoint.score and checkpoint.score[0] == _FVU:
            self._score = checkpoint.score
        self._reporter.log("info", f"resumed after {self.tokens_done} tokens (step {self.step})")

    def _evaluate(self, *, last: bool) -> list[dict[str, float]]:
        validated = functools.partial(validate, self._plan, reporter=self._reporter)
        values = [guard.evaluate(validated, last=last) for guard in self._guards]
        for place, metrics in enumerate(values):
            self._emit(place, metrics)
        if measured := [metrics[_FVU] for metrics in values if _FVU in metrics]:
            self._score = _FVU, sum(measured) / len(measured)
        return values

    def _emit(self, place: int, metrics: dict[str, float]) -> None:
        hook, sae = self._plan.pairs[place]
        labels = {"sae": str(place), "hook_point": hook.name, "architecture": sae.architecture}
        for name, value in metrics.items():
            self._reporter.metric(name, value, self.step, self.tokens_done, labels)


def _source(plan: TrainingPlan) -> ActivationSource:
    seed, blocks = plan.config.seed, plan.harvest_blocks
    harvest = Harvest(plan.lm, plan.tokens, plan.harvested, block_batch=blocks, seed=seed)
    rows = blocks * plan.tokens.info.context_length
    return ActivationSource(harvest, capacity=plan.config.buffer_tokens, harvest_rows=rows, seed=seed)


def _under(prefix: str, checkpoint: Checkpoint) -> dict[str, Tensor]:
    named = checkpoint.tensors.items()
    return {name.removeprefix(prefix): value for name, value in named if name.startswith(prefix)}
