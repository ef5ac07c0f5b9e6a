"""What a training run returns."""

from dataclasses import dataclass

from torch import Tensor

from mistudio_sae.models import HookPoint
from mistudio_sae.saes import Sae, SaeConfig


@dataclass(frozen=True)
class TrainedSae:
    """One SAE of a run, ready to be stored: it takes raw activations and its decoder rows have unit norm."""

    place: int
    """Its place among all SAEs of the run, from 0, hook point by hook point; those that were stopped leave theirs."""
    hook: HookPoint
    """Where its activations come from."""
    config: SaeConfig
    """What was asked for."""
    sae: Sae
    """The trained SAE on the CPU in fp32, with the activation scale folded in."""
    metrics: dict[str, float]
    """Last training metrics by name, and "evaluation/<name>" on the validation split when there is one."""
    sparsity: Tensor
    """log10 firing frequency [d_sae] over the last tenth to fifth of the run."""
    activation_scale: float
    """The factor that made E‖x‖ = √d_in in training."""
    tokens: int
    """Tokens that it was trained on."""
    epochs: int
    """Times the dataset was begun."""
