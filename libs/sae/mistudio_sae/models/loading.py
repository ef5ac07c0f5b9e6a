"""Loads a language model from a local folder in the transformers layout."""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.activations import NewGELUActivation
from transformers.utils.logging import disable_progress_bar

from mistudio_sae.errors import ModelLoadError
from mistudio_sae.models.language_model import LanguageModel

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, StrictDataclassError)
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


def load_model(path: str | Path, *, dtype: str = "float32", device: str = "cpu") -> LanguageModel:
    """Load model and fast tokenizer from `path`, frozen and in evaluation mode, onto `device`.

    Nothing is downloaded, no code from the folder runs, and weights must be safetensors. Raises ModelLoadError when
    the folder, its weights or its tokenizer are missing or unusable, or when `dtype` is unknown.
    """
    folder = Path(path)
    if dtype not in _DTYPES:
        raise ModelLoadError(f"dtype {dtype!r} is unknown; choose one of {', '.join(_DTYPES)}.")
    if not (folder / "config.json").is_file():
        raise ModelLoadError(f"{folder} holds no config.json; give a model folder in the transformers layout.")
    model = _load_weights(folder, _DTYPES[dtype])
    tokenizer = _load_tokenizer(folder)
    lm = LanguageModel(model, tokenizer)
    if len(tokenizer) > lm.vocab_size:
        raise ModelLoadError(
            f"the tokenizer in {folder} has {len(tokenizer)} ids but the model embeds {lm.vocab_size}; "
            "put the tokenizer that the model was trained with beside it."
        )
    model.requires_grad_(requires_grad=False)
    _fuse_activations(model)
    torch.nn.Module.eval(model)
    torch.nn.Module.to(model, device)
    return lm


def _fuse_activations(model: torch.nn.Module) -> None:
    """Replace GELU's tanh form that is written out in eight operations, as GPT-2 has it, by torch's own in one."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))


def _load_weights(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    disable_progress_bar()  # type: ignore[no-untyped-call]  # a service's output is its log
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (*_UNREADABLE, RuntimeError, SafetensorError) as err:
        raise ModelLoadError(f"{folder} cannot be loaded as a causal language model: {_first_line(err)}") from err
    model, report = loaded
    # transformers fills absent weights with random numbers and goes on, which would train an SAE on noise.
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelLoadError(f"{folder} lacks {len(missing)} weights, first {missing[0]!r}; download the model again.")
    if not isinstance(model, PreTrainedModel):
        raise ModelLoadError(f"{folder} is no transformers model.")
    return model


def _load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    # transformers makes an empty tokenizer out of an absent one, so its absence is ours to notice.
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelLoadError(f"{folder} holds no tokenizer; add its tokenizer.json.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True, trust_remote_code=False)
    except (*_UNREADABLE, ImportError) as err:
        raise ModelLoadError(f"{folder} holds no usable tokenizer: {_first_line(err)}") from err
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelLoadError(f"{folder} holds no fast tokenizer; add its tokenizer.json.")
    return tokenizer


def _first_line(err: Exception) -> str:
    return (str(err).strip() or type(err).__name__).splitlines()[0]
