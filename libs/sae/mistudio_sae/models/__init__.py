"""Language models and the named places in them where activations are read."""

from mistudio_sae.models.forward import capture, run_with_replacement, run_with_splice
from mistudio_sae.models.hook_points import HookPoint, HookSite, resolve
from mistudio_sae.models.language_model import LanguageModel
from mistudio_sae.models.loading import load_model

__all__ = [
    "HookPoint",
    "HookSite",
    "LanguageModel",
    "capture",
    "load_model",
    "resolve",
    "run_with_replacement",
    "run_with_splice",
]
