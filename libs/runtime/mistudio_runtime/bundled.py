"""What comes with the software, by name, for those who must know it without what reads it."""

BUNDLED_DATASETS = ("python-topics",)
"""Texts that `download_dataset` takes from the installation."""
BUNDLED_MODELS = ("pydocs-gpt2-6l",)
"""Language models that `download_model` takes from the installation."""
