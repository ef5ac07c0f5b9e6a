"""The state of one training run and the moves that change it."""

from pathlib import Path

from torch import Tensor

from mistudio_sae.activations import ActivationSource, Harvest
from mistudio_sae.errors import CheckpointError
from mistudio_sae.reporting import Reporter
from mistudio_sae.target import target_of
from mistudio_sae.training.checkpoint import Checkpoint, load_latest, save_checkpoint
from mistudio_sae.training.plan import TrainingPlan
from mistudio_sae.training.result import TrainedSae
from mistudio_sae.training.schedule import crosses
from mistudio_sae.training.trainee import Trainee
from mistudio_sae.training.validation import folded_copy, validate

_SAMPLE = 16_384
"""Activations that decide scale and b_dec; the median is known to well under a percent from fewer."""


class TrainingSession:
    """Many trainees on one activation source; between two calls its state is complete and can be saved."""

    def __init__(self, plan: TrainingPlan, checkpoint_dir: Path, reporter: Reporter) -> None:
        """Continue from the newest checkpoint of `checkpoint_dir`, or start afresh without one."""
        self._plan, self._folder, self._reporter = plan, checkpoint_dir, reporter
        self._config = plan.config
        self.source = _source(plan)
        self._trainees: list[Trainee] = []
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
        self.source.harvest_once()
        if not self._trainees:
            self._reporter.progress("harvest", self.source.stored, self._config.buffer_tokens, "tokens")
        if self.source.epoch != epoch:
            self._reporter.log("info", f"the training split is read for time {self.source.epoch + 1}")

    def train_step(self) -> None:
        """Take one step of every SAE; then log, evaluate and checkpoint where it is time."""
        if not self._trainees:
            self._build()
        batch = self.source.draw(self._config.batch_tokens)
        measure = (self.step + 1) % self._config.log_every_steps == 0 or self.step + 1 == self._config.steps
        for place, trainee in enumerate(self._trainees):
            target = batch[trainee.target.name]
            metrics = trainee.step(batch[trainee.hook.name], self.step, measure=measure, target=target)
            self._metrics[place] = metrics or self._metrics[place]
        before, self.step = self.tokens_done, self.step + 1
        if measure:
            self._report()
        total = self._config.steps * self._config.batch_tokens
        self._reporter.progress("train", self.tokens_done, total, "tokens")
        if crosses(self._config.evaluate_every_tokens, before, self.tokens_done) and not self.finished:
            self._evaluate()
        if crosses(self._config.checkpoint_every_tokens, before, self.tokens_done) and not self.finished:
            self.save_if_possible()

    def save(self) -> None:
        """Write a checkpoint, if there is anything to keep yet; raises CheckpointError when it cannot be written."""
        if not self._trainees:
            return
        tensors = {f"source.{name}": value for name, value in self.source.state_dict().items()}
        for place, trainee in enumerate(self._trainees):
            tensors |= {f"{place}.{name}": value for name, value in trainee.state_dict().items()}
        checkpoint = Checkpoint(self.step, self._plan.identity(), self._metrics, tensors)
        path = save_checkpoint(self._folder, checkpoint, keep=self._config.keep_checkpoints)
        self._reporter.log("info", f"checkpoint {path.name} written")

    def save_if_possible(self) -> None:
        """Write a checkpoint, or warn that it cannot be written; the former one stays, so at most time is lost."""
        try:
            self.save()
        except CheckpointError as err:
            self._reporter.log("warning", f"{err} The checkpoint before it is kept.")

    def results(self) -> list[TrainedSae]:
        """Evaluate every SAE on held-out tokens and return them, hook point by hook point."""
        evaluations = self._evaluate()
        return [self._result(*each) for each in zip(self._trainees, self._metrics, evaluations, strict=True)]

    def _result(self, trainee: Trainee, metrics: dict[str, float], evaluation: dict[str, float]) -> TrainedSae:
        return TrainedSae(
            hook=trainee.hook,
            config=trainee.config,
            sae=folded_copy(trainee).cpu(),
            metrics=metrics | evaluation,
            sparsity=trainee.firing.log10_frequency().cpu(),
            activation_scale=trainee.scale,
            tokens=self.tokens_done,
            epochs=self.source.epoch + 1,
        )

    def _build(self) -> None:
        sample = self.source.peek(_SAMPLE)
        self._trainees = [
            Trainee(hook, sae, self._config, sample[hook.name], sample[target_of(sae, hook).name])
            for hook, sae in self._plan.pairs
        ]

    def _restore(self) -> None:
        identity = self._plan.identity()
        checkpoint = load_latest(self._folder, identity, lambda message: self._reporter.log("warning", message))
        if checkpoint is None:
            return
        self.source.load_state_dict(_under("source.", checkpoint))
        self._build()
        for place, trainee in enumerate(self._trainees):
            trainee.load_state_dict(_under(f"{place}.", checkpoint))
        self.step, self._metrics = checkpoint.step, checkpoint.metrics
        self._reporter.log("info", f"resumed after {self.tokens_done} tokens (step {self.step})")

    def _report(self) -> None:
        for place, metrics in enumerate(self._metrics):
            self._emit(place, metrics)

    def _evaluate(self) -> list[dict[str, float]]:
        values = [validate(self._plan, trainee, self._reporter) for trainee in self._trainees]
        for place, metrics in enumerate(values):
            self._emit(place, metrics)
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
