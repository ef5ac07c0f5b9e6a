"""Language models that ship with the package, for demonstrations and tests without a network.

Each is a folder in the transformers format (safetensors weights, fast tokenizer, model card).
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_MODELS = Path(__file__).parent / "models"


class UnknownBundledModelError(KeyError):
    """No bundled model has this name; the message lists the names there are."""

    def __str__(self) -> str:
        """Return the sentence itself: ``KeyError`` would show it quoted."""
        return str(self.args[0])


def bundled_models() -> Mapping[str, Path]:
    """Return the bundled models' folders by name, in alphabetical order (read-only)."""
    folders = sorted(path.parent for path in _MODELS.glob("*/config.json"))
    return MappingProxyType({folder.name: folder for folder in folders})


def bundled_model(name: str) -> Path:
    """Return the folder of the bundled model ``name``.

    Raises ``UnknownBundledModelError`` (a ``KeyError``) that lists the names there are.
    """
    models = bundled_models()
    if name not in models:
        known = ", ".join(models) or "none"
        raise UnknownBundledModelError(f"no bundled model {name!r}; choose one of: {known}")
    return models[name]
