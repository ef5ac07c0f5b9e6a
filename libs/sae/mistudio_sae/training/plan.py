"""The parts of a training run, together."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mistudio_sae.models import HookPoint, LanguageModel
from mistudio_sae.saes import SaeConfig
from mistudio_sae.target import target_of
from mistudio_sae.tokens import TokensReader
from mistudio_sae.training.config import TrainingConfig

# These change what is written down about a run, not what it computes, unless an SAE diverges: how that is noticed
# depends on its metric points, and where it goes on from on its checkpoints.
_HABITS = {
    "checkpoint_every_tokens",
    "keep_checkpoints",
    "keep_best",
    "evaluate_every_tokens",
    "evaluation_tokens",
    "log_every_steps",
}


@dataclass(frozen=True)
class TrainingPlan:
    """What is trained on what: every SAE configuration on every hook point, from one harvest."""

    lm: LanguageModel
    """The model whose activations are harvested."""
    tokens: TokensReader
    """What it reads."""
    hook_points: Sequence[HookPoint]
    """Where its activations are read."""
    saes: Sequence[SaeConfig]
    """The SAEs on each hook point."""
    config: TrainingConfig
    """How they are trained."""

    @property
    def pairs(self) -> list[tuple[HookPoint, SaeConfig]]:
        """Hook point and configuration of each SAE, hook point by hook point."""
        return list(itertools.product(self.hook_points, self.saes))

    @property
    def harvested(self) -> list[HookPoint]:
        """Every hook point that some SAE reads or reconstructs, each once; raises as `target_of` does."""
        targets = [target_of(sae, hook) for hook, sae in self.pairs]
        return list(dict.fromkeys([*self.hook_points, *targets]))

    @property
    def harvest_blocks(self) -> int:
        """Blocks a forward pass."""
        return self.config.harvest_size(self.tokens.info.context_length)

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the result, as plain JSON values: equal for a run that may be continued."""
        config = asdict(self.config).items()
        return {
            "hook_points": [hook.name for hook in self.hook_points],
            "saes": [asdict(sae) for sae in self.saes],
            "training": {name: value for name, value in config if name not in _HABITS},
            "tokens": asdict(self.tokens.info),
            "model": {
                "architecture": type(self.lm.model).__name__,
                "d_model": self.lm.d_model,
                "layers": self.lm.n_layers,
                "vocab_size": self.lm.vocab_size,
                "dtype": str(self.lm.model.dtype),
            },
        }
