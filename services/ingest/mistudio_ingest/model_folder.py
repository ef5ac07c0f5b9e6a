"""A folder in the transformers layout: which of its files are wanted, and what they say."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PretrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from mistudio_ingest.fast_tokenizer import VOCABULARY_FILES, id_count, load_fast_tokenizer
from mistudio_runtime.jobs import PermanentFailure

_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_INDEX = "model.safetensors.index.json"
_OTHERS = {
    "config.json",
    "generation_config.json",
    _INDEX,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
    "README.md",
    "LICENSE",
    *VOCABULARY_FILES,
}


@dataclass(frozen=True)
class ModelFacts:
    """What a manifest tells about a model."""

    architecture: str
    """transformers' model_type, e.g. "gpt2"."""
    n_layers: int
    d_model: int
    vocab_size: int
    """Rows of the embedding."""
    context_length: int
    """Longest sequence in tokens; 0 if its configuration names none."""
    parameters: int
    """Numbers in the weight files."""
    has_fast_tokenizer: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Returns it as JSON."""
        return asdict(self)


def wanted_files(names: Iterable[str], model: str) -> list[str]:
    """Returns those of a model's top-level files that are taken: weights as safetensors, configuration, tokenizer.

    Raises PermanentFailure if there is no configuration or there are no such weights.
    """
    wanted = sorted(name for name in names if name in _OTHERS or _WEIGHTS.fullmatch(name))
    if "config.json" not in wanted:
        raise _bad(f"{model} has no config.json; give a model in the transformers layout")
    if not any(_WEIGHTS.fullmatch(name) for name in wanted):
        raise _bad(
            f"{model} has no model.safetensors, and pickled weights are never loaded; "
            "give a revision with safetensors, or save the model again with save_pretrained"
        )
    return wanted


def inspect_model(folder: Path, model: str) -> ModelFacts:
    """Reads configuration, headers of the weights and tokenizer; no weight is loaded and no code of it runs.

    Raises PermanentFailure if something is missing, broken or does not fit.
    """
    names = wanted_files((file.name for file in folder.iterdir() if file.is_file()), model)
    config = _config(folder, model)
    parameters = _parameters(folder, [name for name in names if _WEIGHTS.fullmatch(name)], model)
    tokens = id_count(load_fast_tokenizer(folder, model))
    text = config.get_text_config()
    if tokens > text.vocab_size:
        raise _bad(f"the tokenizer of {model} has {tokens} ids but the model {text.vocab_size}; give its own tokenizer")
    return ModelFacts(
        architecture=config.model_type,
        n_layers=text.num_hidden_layers,
        d_model=text.hidden_size,
        vocab_size=text.vocab_size,
        context_length=getattr(text, "max_position_embeddings", None) or 0,
        parameters=parameters,
    )


def _config(folder: Path, model: str) -> PretrainedConfig:
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    # A configuration class raises whatever its fields stumble over.
    except Exception as error:
        raise _bad(
            f"config.json of {model} cannot be used; give a model that this version of transformers knows"
        ) from error
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise _bad(f"{model} is a {config.model_type}, which is no causal language model; give one")
    return config


def _parameters(folder: Path, names: list[str], model: str) -> int:
    if missing := sorted(_indexed(folder, model) - set(names)):
        raise _bad(f"{model} lacks {', '.join(missing)}, which its index names; download it completely")
    total = 0
    for name in names:
        try:
            with safe_open(folder / name, framework="numpy") as weights:
                total += sum(math.prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise _bad(f"{name} of {model} is no readable safetensors file; download it again") from error
    return total


def _indexed(folder: Path, model: str) -> set[str]:
    try:
        return set(json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values())
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad(f"{_INDEX} of {model} is broken; download it again") from error


def _bad(message: str) -> PermanentFailure:
    return PermanentFailure(message, reason="INVALID_MODEL")
