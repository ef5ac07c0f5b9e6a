"""One SAE in training: weights, optimizer, counters, and the step that moves them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mistudio_sae.activations import activation_scale, geometric_median
from mistudio_sae.errors import ConfigError, DivergenceError
from mistudio_sae.models import HookPoint
from mistudio_sae.saes import LossTerms, Sae, SaeConfig, build_sae
from mistudio_sae.target import target_of
from mistudio_sae.training.config import TrainingConfig
from mistudio_sae.training.firing import FiringRecord
from mistudio_sae.training.micro_batches import MicroBatches
from mistudio_sae.training.optimizer import build_adam, default_learning_rate
from mistudio_sae.training.schedule import learning_rate_factor, sparsity_factor

_DEAD_WINDOW = 10_000_000
"""Tokens of silence after which Gao et al. 2024 call a latent dead."""


class Trainee:
    """Trains one SAE on the raw activations of one hook point, which it scales to E‖x‖ = √d_in itself."""

    def __init__(
        self, hook: HookPoint, config: SaeConfig, run: TrainingConfig, sample: Tensor, target: Tensor | None = None
    ) -> None:
        """Build the SAE; `sample` [n, d_in] are raw activations that decide the scale and where b_dec starts.

        `target` [n, d_in] are those that a transcoder reconstructs, which have a scale of their own; None is `sample`.
        Raises ConfigError when the activations are not d_in wide, HookPointError when a transcoder cannot read `hook`.
        """
        self.hook, self.target, self.config, self._run = hook, target_of(config, hook), config, run
        aim = sample if target is None else target
        for place, rows in ((hook, sample), (self.target, aim)):
            if rows.shape[1] != config.d_in:
                width = rows.shape[1]
                raise ConfigError("d_in", f"is {config.d_in} but {place.name} is {width} wide; set d_in to that.")
        self.scale, self.target_scale = activation_scale(sample), activation_scale(aim)
        # Every SAE of a run starts from the same seed, so that a sweep compares settings and not luck.
        self.sae: Sae = build_sae(config, torch.Generator().manual_seed(run.seed)).to(sample.device)
        self.sae.bf16_operands = run.bf16
        self._place_b_dec(self.target_scale * aim.float())
        self._first_b_dec = self.sae.b_dec.detach().clone()
        self.optimizer = build_adam(self.sae)
        self._peak_rate = config.learning_rate or run.learning_rate or default_learning_rate(config)
        self.slowdown = 1.0
        """Factor on the learning rate."""
        self.micro_batches = MicroBatches()
        self.firing = self._unfired()

    def step(self, raw: Tensor, step: int, *, measure: bool, target: Tensor | None = None) -> dict[str, float]:
        """Take one optimizer step on raw activations [B, d_in]; returns its metrics if asked to `measure`.

        `target` [B, d_in] holds what a transcoder reconstructs, for the same tokens; None, or what is given to any
        other SAE, is `raw`. Raises DivergenceError when loss or gradient is not finite, before the weights are touched,
        and OutOfMemoryError when no part of the batch fits into memory.
        """
        x = raw.float() * self.scale
        dead = self.firing.dead_mask()
        aim = x if target is None or target is raw else target.float() * self.target_scale
        terms = self.micro_batches.backward(self.sae, x, aim, dead, sparsity_factor(step, self._run))
        self.sae.after_backward()
        norm = torch.nn.utils.clip_grad_norm_(self.sae.parameters(), self._run.gradient_clip)
        if not torch.isfinite(terms.loss.detach() + norm):
            raise self._diverged(step)
        rate = self._peak_rate * self.slowdown * learning_rate_factor(step, self._run)
        self._update(rate)
        self.firing.update(terms.fired, len(x))
        return self._measure(aim, terms, dead, norm, rate) if measure else {}

    def state_dict(self) -> dict[str, Tensor]:
        """Return weights, optimizer, counters and scale as tensors (not copies)."""
        state = {f"sae.{name}": value for name, value in self.sae.state_dict().items()}
        for name, parameter in self.sae.named_parameters():
            for key, value in self.optimizer.state[parameter].items():
                state[f"optimizer.{name}.{key}"] = value
        state |= {f"firing.{name}": value for name, value in self.firing.state_dict().items()}
        scales = {"scale": _exact(self.scale), "target_scale": _exact(self.target_scale)}
        return {**state, **scales, "first_b_dec": self._first_b_dec}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue where the trainee that gave `state` was."""
        self.optimizer.zero_grad()
        for name, value in self.sae.state_dict().items():
            value.copy_(state[f"sae.{name}"])
        for name, parameter in self.sae.named_parameters():
            prefix = f"optimizer.{name}."
            moments = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            self.optimizer.state[parameter] = {key: _laid_out(value, parameter) for key, value in moments.items()}
        self.firing.load_state_dict(
            {key.removeprefix("firing."): v for key, v in state.items() if key.startswith("firing.")}
        )
        self.scale, self.target_scale = float(state["scale"]), float(state["target_scale"])
        self._first_b_dec.copy_(state["first_b_dec"])

    @torch.no_grad()
    def restart(self) -> None:
        """Go back to the weights and counters before the first step."""
        first = build_sae(self.config, torch.Generator().manual_seed(self._run.seed)).state_dict()
        for name, value in self.sae.state_dict().items():
            value.copy_(first[name])
        self.sae.b_dec.copy_(self._first_b_dec)
        self.optimizer.zero_grad()
        self.optimizer.state.clear()
        self.firing = self._unfired()

    def _unfired(self) -> FiringRecord:
        window = max(self._run.batch_tokens, self._run.total_tokens // 10)
        return FiringRecord(
            self.config.d_sae,
            # A window longer than a short run would never call a latent dead, and AuxK would never act.
            dead_window=self.config.dead_window_tokens or min(_DEAD_WINDOW, window),
            frequency_window=window,
            device=self.sae.b_dec.device,
        )

    def _place_b_dec(self, x: Tensor) -> None:
        if self.config.b_dec_init != "zero":
            centre = geometric_median(x) if self.config.b_dec_init == "geometric_median" else x.mean(0)
            self.sae.b_dec.data.copy_(centre)

    def _update(self, rate: float) -> None:
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.sae.after_step()

    def _measure(
        self, target: Tensor, terms: LossTerms, dead: Tensor, gradient_norm: Tensor, rate: float
    ) -> dict[str, float]:
        total_variance = (target - target.mean(0)).square().sum() / len(target)
        fvu = float(terms.reconstruction / total_variance)
        return {
            "loss": float(terms.loss.detach()),
            "reconstruction_loss": float(terms.reconstruction),
            "sparsity_loss": float(terms.sparsity),
            "auxiliary_loss": float(terms.auxiliary),
            "l0": float(terms.fired.sum()) / len(target),
            "fvu": fvu,
            "explained_variance": 1 - fvu,
            "dead_fraction": float(dead.float().mean()),
            "gradient_norm": float(gradient_norm),
            "learning_rate": rate,
        }

    def _diverged(self, step: int) -> DivergenceError:
        return DivergenceError(
            self.hook.name,
            self.config.describe(),
            f"the loss or its gradient stopped being finite at step {step}; lower the learning rate "
            f"(now {self._peak_rate * self.slowdown:g}).",
        )


def _exact(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """Return a copy with the parameter's strides: a fused optimizer walks through memory, not through indices."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter).copy_(value)
