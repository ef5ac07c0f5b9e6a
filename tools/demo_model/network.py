"""Build the untrained GPT-2-style model, its optimizer and its schedule."""

import math

import torch
from recipe import Recipe
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel


def build_model(recipe: Recipe) -> GPT2LMHeadModel:
    """Return a GPT-2 with tied embeddings, initialised from torch's global seed."""
    config = GPT2Config(
        vocab_size=recipe.vocab_size,
        n_positions=recipe.context_length,
        n_embd=recipe.d_model,
        n_layer=recipe.n_layers,
        n_head=recipe.n_heads,
        # One fused kernel on CPU; GPT-2's own "gelu_new" is the same function in six operations.
        activation_function="gelu_pytorch_tanh",
        embd_pdrop=recipe.dropout,
        attn_pdrop=recipe.dropout,
        resid_pdrop=recipe.dropout,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
    )
    return GPT2LMHeadModel(config)


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices only (biases and norms stay free)."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine down to ``final_share`` of the peak."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return recipe.learning_rate * (recipe.final_share + (1 - recipe.final_share) * cosine)
