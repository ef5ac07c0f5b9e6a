"""The recipe's numbers, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the trained weights, besides the corpus and the machine."""

    seed: int = 1991
    """Seed of the initial weights, the dropout and the order of the data."""
    vocab_size: int = 4096
    """Tokens of the byte-level BPE, the boundary token included."""
    context_length: int = 128
    """Tokens a window, and positions of the model."""
    d_model: int = 256
    """Width of the residual stream."""
    n_layers: int = 6
    """Transformer blocks."""
    n_heads: int = 8
    """Attention heads a block."""
    dropout: float = 0.0
    """Dropout after the embedding and on each block's outputs; a few epochs need none."""
    steps: int = 900
    """Optimizer steps."""
    batch: int = 32
    """Windows a step."""
    learning_rate: float = 3e-3
    """Peak for AdamW: embeddings, norms and biases."""
    matrix_learning_rate: float = 4e-3
    """Peak for Muon: the blocks' matrices."""
    final_share: float = 0.02
    """The schedule ends at this share of the peak."""
    warmup: int = 40
    """Steps of linear warm-up before the cosine."""
    weight_decay: float = 0.1
    """Muon's decay; AdamW's parameters have none."""
    evaluate_every: int = 100
    """Steps between two validation losses; the best checkpoint is kept."""
    patience: int = 4
    """Validation losses in a row that may fail to improve before the training stops."""
