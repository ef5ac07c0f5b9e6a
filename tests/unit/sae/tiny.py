"""Tiny randomly initialised models of every supported family, and tokens to run them on."""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from mistudio_sae.models import LanguageModel
from mistudio_sae.tokens import TokensReader, TokensWriter

VOCAB, D_MODEL, LAYERS, CONTEXT, BOS = 61, 16, 3, 16, 0

_LLAMA_SHAPE = {
    "vocab_size": VOCAB,
    "hidden_size": D_MODEL,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "bos_token_id": BOS,
    "eos_token_id": BOS,
    "pad_token_id": None,
}

# Two layers in three see a window of 4 tokens only, less than the sequences of the tests.
_GEMMA3_SHAPE = _LLAMA_SHAPE | {
    "head_dim": 8,
    "sliding_window": 4,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
}

CONFIGS: dict[str, PretrainedConfig] = {
    "gpt2": GPT2Config(
        vocab_size=VOCAB, n_embd=D_MODEL, n_layer=LAYERS, n_head=2, n_positions=64, bos_token_id=BOS, eos_token_id=BOS
    ),
    "gpt_neox": GPTNeoXConfig(
        vocab_size=VOCAB,
        hidden_size=D_MODEL,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        bos_token_id=BOS,
        eos_token_id=BOS,
    ),
    "llama": LlamaConfig(**_LLAMA_SHAPE),
    "mistral": MistralConfig(**_LLAMA_SHAPE),
    "qwen2": Qwen2Config(**_LLAMA_SHAPE),
    "qwen3": Qwen3Config(**_LLAMA_SHAPE, head_dim=8),
    "gemma2": Gemma2Config(**_LLAMA_SHAPE, head_dim=8),
    "gemma3": Gemma3TextConfig(**_GEMMA3_SHAPE),
    "gemma3_with_images": Gemma3Config(
        text_config=_GEMMA3_SHAPE,
        vision_config={
            "hidden_size": D_MODEL,
            "intermediate_size": D_MODEL,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 16,
            "patch_size": 8,
        },
        mm_tokens_per_image=4,
    ),
}


def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {f"w{i}": i for i in range(1, VOCAB)} | {"<bos>": BOS}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<bos>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<bos>", eos_token="<bos>")


def language_model(family: str = "gpt2", seed: int = 0) -> LanguageModel:
    """A model with weights large enough that its layers differ from each other."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(CONFIGS[family]).eval()
        for parameter in model.parameters():
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    return LanguageModel(model.requires_grad_(requires_grad=False), tokenizer())


def write_tokens(folder: Path, *, blocks: int = 64, seed: int = 0, prepend_bos: bool = True) -> TokensReader:
    """Documents of random lengths and ids, about `blocks` training blocks and 8 validation blocks."""
    rng = np.random.default_rng(seed)
    with TokensWriter(
        folder, context_length=CONTEXT, vocab_size=VOCAB, tokenizer="tiny", bos_token_id=BOS, prepend_bos=prepend_bos
    ) as writer:
        for split, wanted in (("train", blocks * CONTEXT), ("validation", 8 * CONTEXT)):
            for document, length in enumerate(rng.integers(3, 40, wanted // 20)):
                writer.add_document(rng.integers(1, VOCAB, length), document, split)
    return TokensReader.open(folder)
