"""What an extraction looks at."""

from __future__ import annotations

from dataclasses import dataclass

from mistudio_sae.models import HookPoint, LanguageModel
from mistudio_sae.saes import Sae
from mistudio_sae.tokens import TokensReader


@dataclass(frozen=True)
class Subject:
    """An SAE with the activations that it reads."""

    lm: LanguageModel
    reader: TokensReader
    split: str
    hook: HookPoint
    sae: Sae
