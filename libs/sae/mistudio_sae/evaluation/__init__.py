"""How well an SAE reconstructs, and what its reconstruction costs the language model."""

from mistudio_sae.evaluation.metrics import evaluate
from mistudio_sae.evaluation.report import EvaluationReport

__all__ = ["EvaluationReport", "evaluate"]
