"""What the demo runs. Every figure of it stands here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mistudio import v1
from mistudio.pipelines import Pipeline


@dataclass(frozen=True)
class Recipe:
    """The figures of one demo."""

    dataset: str = "python-topics"
    """Bundled text."""
    max_rows: int = 0
    """Rows of it; 0 takes all."""
    model: str = "pydocs-gpt2-6l"
    """Bundled language model."""
    context_length: int = 128
    """Tokens a block."""
    validation_fraction: float = 0.15
    """Documents that the SAE never sees; they are what its metrics are measured on."""
    hook_point: str = "layer.3.resid_post"
    """Where the SAE reads."""
    d_sae: int = 2048
    """Latents."""
    k: int = 32
    """Active latents a token, which bounds L0."""
    total_tokens: int = 1_500_000
    """Tokens to train on."""
    batch_tokens: int = 0
    """Tokens a step; 0 takes the default."""
    feature_tokens: int = 0
    """Tokens to look for features in; 0 takes all."""


FULL = Recipe()
"""Ten minutes on two cores."""

SMALL = Recipe(
    max_rows=30, d_sae=128, k=8, total_tokens=8_192, batch_tokens=512, feature_tokens=8_192, context_length=64
)
"""Seconds: too little to be readable, enough to run every step."""

STEPS = ("dataset", "model", "tokens", "sae", "features")


def pipeline(recipe: Recipe) -> Pipeline:
    """Returns the steps from text to features."""
    steps = Pipeline()
    dataset = steps.add("dataset", v1.DownloadDataset(bundled=recipe.dataset, max_rows=recipe.max_rows))
    model = steps.add("model", v1.DownloadModel(bundled=recipe.model))
    tokenize = v1.TokenizeDataset(
        dataset=dataset,
        model=model,
        context_length=recipe.context_length,
        validation_fraction=recipe.validation_fraction,
    )
    tokens = steps.add("tokens", tokenize)
    sae = steps.add("sae", _train(recipe, model, tokens))
    steps.add("features", v1.ExtractFeatures(sae=sae, model=model, tokens=tokens, max_tokens=recipe.feature_tokens))
    return steps


def request_id(steps: Pipeline, generation: int) -> str:
    """Returns an id that is the same for the same pipeline, so that running the demo again takes up what is there.

    `generation` tells pipelines apart whose earlier outputs have been deleted.
    """
    request = v1.SubmitPipelineRequest(steps=steps.steps)
    digest = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
    return f"demo-{digest[:16]}-{generation}"


def _train(recipe: Recipe, model: v1.ArtifactRef, tokens: v1.ArtifactRef) -> v1.TrainSae:
    return v1.TrainSae(
        model=model,
        tokens=tokens,
        hook_points=[recipe.hook_point],
        saes=[v1.SaeSpec(architecture=v1.SAE_ARCHITECTURE_TOPK, d_sae=recipe.d_sae, k=recipe.k)],
        total_tokens=recipe.total_tokens,
        batch_tokens=recipe.batch_tokens,
    )
