"""Write the model card beside the weights."""

import math
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template

import torch
from recipe import Recipe

TEMPLATE = Path(__file__).with_name("card.md")


@dataclass(frozen=True)
class Outcome:
    """What a training run gave, measured on the stored weights."""

    parameters: int
    train_documents: int
    train_characters: int
    train_tokens: int
    validation_documents: int
    validation_tokens: int
    validation_bytes: int
    tokens_seen: int
    train_loss: float
    """Nats a token, dropout off, on windows spread over the training text."""
    validation_loss: float
    """Nats a token, on all held-out windows."""

    @property
    def bits_per_byte(self) -> float:
        """Validation loss in bits a byte of text: loss / ln 2 · tokens / bytes."""
        return self.validation_loss / math.log(2) * self.validation_tokens / self.validation_bytes


def write_card(folder: Path, recipe: Recipe, outcome: Outcome, threads: int, seconds: float) -> None:
    """Fill ``card.md`` with the run's figures and write it as the folder's ``README.md``."""
    fields = {
        **asdict(recipe),
        **{name: _shown(value) for name, value in asdict(outcome).items()},
        "name": folder.name,
        "perplexity": f"{math.exp(outcome.validation_loss):.1f}",
        "uniform": f"{math.log(recipe.vocab_size):.2f}",
        "bits_per_byte": f"{outcome.bits_per_byte:.3f}",
        "epochs": f"{outcome.tokens_seen / outcome.train_tokens:.1f}",
        "minutes": f"{seconds / 60:.0f}",
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    card = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(fields)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _shown(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
