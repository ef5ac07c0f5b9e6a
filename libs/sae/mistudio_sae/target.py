"""What an SAE reconstructs."""

from mistudio_sae.models import HookPoint
from mistudio_sae.saes import TRANSCODES, SaeConfig


def target_of(config: SaeConfig, hook: HookPoint) -> HookPoint:
    """Return the hook point whose activations an SAE that reads `hook` reconstructs: that one, or the MLP's output.

    Raises HookPointError for a transcoder that does not read the input of an MLP.
    """
    return hook.mlp_output() if config.architecture in TRANSCODES else hook
