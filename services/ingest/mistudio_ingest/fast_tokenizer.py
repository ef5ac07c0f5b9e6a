"""The fast tokenizer of a model folder."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from mistudio_runtime.jobs import PermanentFailure

TOKENIZER_FILE = "tokenizer.json"
VOCABULARY_FILES = (TOKENIZER_FILE, "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")
"""Without any of these transformers invents a tokenizer that knows no word."""


def load_fast_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerFast:
    """Loads it from files alone. Raises PermanentFailure, naming the model, if there is none or it cannot be read."""
    if not any((folder / file).is_file() for file in VOCABULARY_FILES):
        raise _without(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True, trust_remote_code=False)
    # tokenizers raises bare Exception for a file that it cannot parse, and converters whatever they stumble over.
    except Exception as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PermanentFailure(
            f"the tokenizer of {name} cannot be loaded ({why}); put a valid {TOKENIZER_FILE} into its folder",
            reason="NO_FAST_TOKENIZER",
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise _without(name)
    return tokenizer


def id_count(tokenizer: PreTrainedTokenizerFast) -> int:
    """Returns one more than the largest token id."""
    return 1 + max(tokenizer.get_vocab().values())


def _without(name: str) -> PermanentFailure:
    return PermanentFailure(
        f"{name} has no fast tokenizer; add its {TOKENIZER_FILE} (AutoTokenizer.save_pretrained writes it), "
        "or choose another model",
        reason="NO_FAST_TOKENIZER",
    )
