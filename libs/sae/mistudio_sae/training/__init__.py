"""Training: hook points x SAE configurations from one harvest, with checkpoints that resume bit for bit."""

from mistudio_sae.training.config import TrainingConfig
from mistudio_sae.training.result import TrainedSae
from mistudio_sae.training.run import train

__all__ = ["TrainedSae", "TrainingConfig", "train"]
