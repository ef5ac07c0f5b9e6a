"""From the spec on the wire to the configurations of the science library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from mistudio import v1
from mistudio.v1 import SaeSpec, TrainSae
from mistudio_runtime.jobs import PermanentFailure
from mistudio_sae.models import HookPoint
from mistudio_sae.saes import KEEPS_K, Architecture, SaeConfig
from mistudio_sae.target import target_of
from mistudio_sae.training import TrainingConfig

_ARCHITECTURES: dict[int, Architecture] = {
    v1.SAE_ARCHITECTURE_UNSPECIFIED: "topk",
    v1.SAE_ARCHITECTURE_TOPK: "topk",
    v1.SAE_ARCHITECTURE_STANDARD: "standard",
    v1.SAE_ARCHITECTURE_GATED: "gated",
    v1.SAE_ARCHITECTURE_BATCHTOPK: "batchtopk",
    v1.SAE_ARCHITECTURE_JUMPRELU: "jumprelu",
    v1.SAE_ARCHITECTURE_MATRYOSHKA: "matryoshka",
    v1.SAE_ARCHITECTURE_TRANSCODER: "transcoder",
    v1.SAE_ARCHITECTURE_SKIP_TRANSCODER: "skip_transcoder",
}
_Optional = Literal[
    "l1_coefficient", "l0_coefficient", "aux_coefficient", "learning_rate", "bandwidth", "initial_threshold"
]
_OPTIONAL: tuple[_Optional, ...] = get_args(_Optional)
_BATCH_TOKENS = 4096
_EVALUATION_TOKENS = 32_768
_BUFFER_TOKENS = 65_536
_BUFFER_BYTES = 256 * 2**20
_CHECKPOINTS = 10
_CHECKPOINT_TOKENS = 5_000_000


@dataclass(frozen=True)
class TrainingPlan:
    """What one job trains: every hook point with every SAE."""

    hooks: tuple[HookPoint, ...]
    saes: tuple[SaeConfig, ...]
    names: tuple[str, ...]
    """Names of the SAEs, distinct; they label metrics."""
    config: TrainingConfig

    @property
    def outputs(self) -> int:
        """How many SAEs the job makes."""
        return len(self.hooks) * len(self.saes)


def hook_points(spec: TrainSae) -> tuple[HookPoint, ...]:
    """Returns the distinct hook points. Raises PermanentFailure if there are none, HookPointError for a bad name."""
    if not spec.hook_points:
        raise PermanentFailure("hook_points: name at least one, e.g. layer.3.resid_post")
    return tuple(HookPoint.parse(name) for name in dict.fromkeys(spec.hook_points))


def make_plan(spec: TrainSae, *, d_in: int, context_length: int) -> TrainingPlan:
    """Turns a spec into configurations, for activations of width d_in and blocks of context_length tokens.

    Raises PermanentFailure or ConfigError, naming the field that is out of range, and HookPointError for a transcoder
    that would not read the input of an MLP.
    """
    hooks = hook_points(spec)
    if not spec.saes:
        raise PermanentFailure("saes: name at least one, with d_sae and k")
    saes = tuple(_sae_config(sae, f"saes[{index}]", spec, d_in) for index, sae in enumerate(spec.saes))
    harvested = {place for hook in hooks for sae in saes for place in (hook, target_of(sae, hook))}
    config = _training_config(spec, d_in * len(harvested), context_length)
    return TrainingPlan(hooks, saes, _names(spec, saes), config)


def _sae_config(sae: SaeSpec, field: str, spec: TrainSae, d_in: int) -> SaeConfig:
    architecture = _ARCHITECTURES.get(sae.architecture)
    if architecture is None:
        known = ", ".join(dict.fromkeys(_ARCHITECTURES.values()))
        raise PermanentFailure(f"{field}.architecture: this version cannot train it; choose one of {known}")
    if sae.d_sae == 0:
        raise PermanentFailure(f"{field}.d_sae: give the number of latents, e.g. {8 * d_in}")
    if architecture in KEEPS_K and not 1 <= sae.k <= sae.d_sae:
        raise PermanentFailure(f"{field}.k: must be between 1 and d_sae = {sae.d_sae}, not {sae.k}")
    optional: dict[str, Any] = {name: getattr(sae, name) for name in _OPTIONAL if sae.HasField(name)}
    if sae.jumprelu_penalty == v1.JUMP_RELU_PENALTY_TANH:
        optional["jumprelu_penalty"] = "tanh"
    if sae.matryoshka_widths:
        optional["matryoshka_widths"] = tuple(sae.matryoshka_widths)
    if spec.dead_window_tokens:
        optional["dead_window_tokens"] = spec.dead_window_tokens
    k = sae.k if architecture in KEEPS_K else None
    return SaeConfig(architecture=architecture, d_in=d_in, d_sae=sae.d_sae, k=k, **optional)


def _training_config(spec: TrainSae, width: int, context_length: int) -> TrainingConfig:
    if spec.total_tokens == 0:
        raise PermanentFailure("total_tokens: must be above 0; it is the budget of the training run")
    batch = spec.batch_tokens or _BATCH_TOKENS
    return TrainingConfig(
        total_tokens=spec.total_tokens,
        batch_tokens=batch,
        learning_rate=spec.learning_rate if spec.HasField("learning_rate") else None,
        bf16=spec.dtype == "bfloat16",
        seed=spec.seed,
        buffer_tokens=spec.buffer_tokens or _buffer_tokens(width, batch, context_length),
        checkpoint_every_tokens=spec.checkpoint_every_tokens
        or max(batch, min(spec.total_tokens // _CHECKPOINTS, _CHECKPOINT_TOKENS)),
        evaluate_every_tokens=spec.evaluate_every_tokens,
        evaluation_tokens=spec.evaluation_tokens or _EVALUATION_TOKENS,
    )


def _buffer_tokens(width: int, batch: int, context_length: int) -> int:
    """The usual buffer, or as much of it as a declared memory holds at `width` numbers a token; never too small."""
    affordable = min(_BUFFER_TOKENS, _BUFFER_BYTES // (4 * width))
    return max(affordable, 4 * batch, 2 * context_length)


def _names(spec: TrainSae, saes: tuple[SaeConfig, ...]) -> tuple[str, ...]:
    names = tuple(given.name or _name(sae) for given, sae in zip(spec.saes, saes, strict=True))
    for index, name in enumerate(names):
        if name in names[:index]:
            raise PermanentFailure(f"saes[{index}].name: another SAE is called {name} too; give each a name of its own")
    return names


def _name(sae: SaeConfig) -> str:
    own = f"k{sae.k}" if sae.architecture in KEEPS_K else sae.sparsity.replace("=", "-")
    rate = "" if sae.learning_rate is None else f"-lr{sae.learning_rate:g}"
    return f"{sae.architecture}-{sae.d_sae}-{own}{rate}"
