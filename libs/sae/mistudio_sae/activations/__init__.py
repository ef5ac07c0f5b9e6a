"""From tokens to shuffled batches of activations."""

from mistudio_sae.activations.harvest import Cursor, Harvest
from mistudio_sae.activations.shuffle_buffer import ShuffleBuffer
from mistudio_sae.activations.source import ActivationSource
from mistudio_sae.activations.statistics import activation_scale, geometric_median

__all__ = ["ActivationSource", "Cursor", "Harvest", "ShuffleBuffer", "activation_scale", "geometric_median"]
