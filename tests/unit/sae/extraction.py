"""A small extraction and the naive reference that it must equal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tiny import BOS, CONTEXT, D_MODEL, VOCAB, language_model

from mistudio_sae.features import FeatureConfig, FeatureStore, extract_features
from mistudio_sae.models import HookPoint, LanguageModel, capture
from mistudio_sae.reporting import Reporter, SilentReporter
from mistudio_sae.saes import KEEPS_K, BatchTopKSae, GatedSae, Sae, SaeConfig, build_sae
from mistudio_sae.tokens import TokensReader, TokensWriter

HOOK = HookPoint.parse("layer.1.resid_post")
D_SAE = 24
SMALL = FeatureConfig(top_k=4, left_tokens=2, right_tokens=1, quantile_bands=2, quantile_examples=2, forward_blocks=4)


def sae(architecture: str = "topk", d_sae: int = D_SAE, seed: int = 0) -> Sae:
    k = 4 if architecture in KEEPS_K else None
    generator = torch.Generator().manual_seed(seed)
    made = build_sae(SaeConfig(architecture=architecture, d_in=D_MODEL, d_sae=d_sae, k=k), generator)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        (made.b_gate if isinstance(made, GatedSae) else made.b_enc)[3] = -1e6  # a dead latent
        if isinstance(made, BatchTopKSae):
            made.threshold.fill_(0.5)
    return made.requires_grad_(requires_grad=False)


def repetitive_tokens(folder: Path, *, shard_blocks: int = 1000, blocks: int = 60) -> TokensReader:
    """Short documents from a small repertoire, so that contexts repeat; many documents begin inside blocks."""
    rng = np.random.default_rng(5)
    repertoire = [rng.integers(1, VOCAB, length) for length in (4, 6, 7, 9, 11, 30)]
    with TokensWriter(
        folder,
        context_length=CONTEXT,
        vocab_size=VOCAB,
        tokenizer="tiny",
        bos_token_id=BOS,
        prepend_bos=True,
        shard_tokens=shard_blocks * CONTEXT,
    ) as writer:
        for document in range(blocks * CONTEXT // 12):
            writer.add_document(repertoire[rng.integers(len(repertoire))], document * 3)
    return TokensReader.open(folder)


def run(
    folder: Path,
    reader: TokensReader,
    config: FeatureConfig,
    *,
    reporter: Reporter | None = None,
    made: Sae | None = None,
) -> FeatureStore:
    lm = language_model()
    extract_features(lm, reader, "train", HOOK, made or sae(), folder, config, reporter or SilentReporter())
    return FeatureStore.open(folder)


@dataclass(frozen=True)
class Dense:
    """All activations in memory."""

    ids: np.ndarray
    latents: np.ndarray
    counted: np.ndarray
    document: np.ndarray

    def window(self, block: int, position: int, left: int, right: int) -> range:
        """Positions around one, as long as they count and belong to the same document."""

        def same(other: int) -> bool:
            inside = 0 <= other < self.ids.shape[1]
            return (
                inside and self.counted[block, other] and self.document[block, other] == self.document[block, position]
            )

        start, end = position, position
        while start > position - left and same(start - 1):
            start -= 1
        while end < position + right and same(end + 1):
            end += 1
        return range(start, end + 1)


def dense(lm: LanguageModel, reader: TokensReader, made: Sae, blocks: int, unit: int) -> Dense:
    ids = torch.from_numpy(reader.blocks("train")[0:blocks])
    parts = []
    for start in range(0, blocks, unit):
        part = ids[start : start + unit]
        filled = torch.cat((part, part[-1:].expand(unit - len(part), -1)))
        x = capture(lm, filled, [HOOK])[HOOK.name]
        parts.append(made.encode(x)[: len(part)])
    rows = [[reader.document_at("train", block, position) for position in range(CONTEXT)] for block in range(blocks)]
    return Dense(ids.numpy(), torch.cat(parts).numpy(), (ids != BOS).numpy(), np.array(rows))
