"""What one training step of an SAE yields besides gradients."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LossTerms:
    """The loss of a batch of B tokens and its parts; scalars are means over tokens, as in the equations."""

    loss: Tensor
    """What is minimised, with its graph."""
    reconstruction: Tensor
    """‖x - x̂‖², detached."""
    sparsity: Tensor
    """The penalty with its coefficient, detached; 0 for architectures without one."""
    auxiliary: Tensor
    """The AuxK loss without its coefficient, or gated's loss of the gate path, detached; 0 where there is none."""
    fired: Tensor
    """int64 [d_sae]: in how many of the B tokens each latent was above 0."""
