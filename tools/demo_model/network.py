"""Build the untrained GPT-2-style model, its optimizers and its schedule."""

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
        attn_pdrop=0.0,
        resid_pdrop=recipe.dropout,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
    )
    model = GPT2LMHeadModel(config)
    # The fused CPU kernel's backward pass is slow for heads this narrow: plain attention takes
    # two thirds of the time. The choice is not stored with the model.
    model.set_attn_implementation("eager")
    return model


def build_optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Return Muon for the blocks' matrices and AdamW for embeddings, norms and biases.

    Muon (Jordan et al. 2024) with its update scaled to AdamW's usual size (Moonshot 2025).
    Each group remembers its peak learning rate as ``initial_lr``.
    """
    blocks = [p for name, p in model.named_parameters() if p.ndim > 1 and ".h." in name]
    chosen = {id(p) for p in blocks}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(
        blocks,
        lr=recipe.matrix_learning_rate,
        weight_decay=recipe.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    adamw = torch.optim.AdamW(rest, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    optimizers: list[torch.optim.Optimizer] = [muon, adamw]
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["initial_lr"] = group["lr"]
    return optimizers


def learning_rate_share(step: int, recipe: Recipe) -> float:
    """Share of the peak learning rate: linear warm-up, then a cosine to ``final_share``."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return recipe.final_share + (1 - recipe.final_share) * cosine
