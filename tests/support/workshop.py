"""A data home with a tiny real model, real tokens and trained SAEs, and contexts in which jobs are run directly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from mistudio import v1
from mistudio.v1 import ArtifactRef, AttemptReport, SaeSpec, TrainSae
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.jobs import JobContext
from mistudio_runtime.settings import Settings
from mistudio_sae.formats import SaeProvenance, save_saelens
from mistudio_sae.saes import SaeConfig, build_sae
from mistudio_sae.tokens import TokensWriter

VOCAB, D_MODEL, LAYERS, CONTEXT, BOS = 61, 16, 3, 16, 0
HOOK = "layer.1.resid_post"


class RecordedJob(JobContext):
    """A job's context that remembers what is reported; `watch` sees each report and may ask the job to stop."""

    def __init__(self, workshop: Workshop, job_id: str, attempt: int) -> None:
        self.reports: list[AttemptReport] = []
        self.watch: Callable[[AttemptReport], None] = lambda report: None
        super().__init__(
            job_id=job_id, attempt=attempt, store=workshop.store, settings=workshop.settings, emit=self._remember
        )

    @property
    def logs(self) -> list[str]:
        return [report.log.message for report in self.reports if report.HasField("log")]

    @property
    def progressed(self) -> list[v1.Progress]:
        return [report.progress for report in self.reports if report.HasField("progress")]

    @property
    def metrics(self) -> list[v1.MetricPoint]:
        return [report.metric for report in self.reports if report.HasField("metric")]

    def _remember(self, report: AttemptReport) -> None:
        copy = AttemptReport()
        copy.CopyFrom(report)
        self.reports.append(copy)
        self.watch(copy)


class Workshop:
    """One data home."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        self.store = ArtifactStore.open(self.settings.artifacts_url)

    def job(self, job_id: str, attempt: int = 1) -> RecordedJob:
        return RecordedJob(self, job_id, attempt)

    def add_model(
        self, job_id: str = "job-model", *, words: str = "w", seed: int = 0, embedding_scale: float = 1.0
    ) -> str:
        """A randomly initialised GPT-2 whose tokens are `words`1, `words`2, …"""
        model = _model(seed)
        model.transformer.wte.weight.data.mul_(embedding_scale)
        with self.store.draft("model", job_id=job_id, attempt=1) as draft:
            model.save_pretrained(draft.path)
            _tokenizer(words).save_pretrained(draft.path)
            draft.summary = {"name": "tiny", "d_model": D_MODEL, "n_layers": LAYERS}
            return draft.commit()

    def add_dataset(self, job_id: str = "job-dataset") -> str:
        with self.store.draft("dataset", job_id=job_id, attempt=1) as draft:
            (draft.path / "data-00000.parquet").write_bytes(b"")
            draft.summary = {"source": "tiny-text"}
            return draft.commit()

    def add_tokens(
        self,
        model: str,
        job_id: str = "job-tokens",
        *,
        dataset: str = "",
        blocks: int = 64,
        held_out: int = 8,
        vocab_size: int = VOCAB,
    ) -> str:
        """Packed documents of random words: `blocks` for training and `held_out` for validation."""
        with self.store.draft("tokens", job_id=job_id, attempt=1, parents=[p for p in (dataset, model) if p]) as draft:
            _write_tokens(draft.path, {"train": blocks, "validation": held_out}, vocab_size)
            return draft.commit()

    def add_sae(self, model: str, tokens: str, job_id: str = "job-sae", *, d_sae: int = 24, name: str = HOOK) -> str:
        """A topk SAE with random weights; its latent 3 never fires."""
        generator = torch.Generator().manual_seed(0)
        sae = build_sae(SaeConfig(architecture="topk", d_in=D_MODEL, d_sae=d_sae, k=4), generator)
        sae.b_enc.data[3] = -1e6
        provenance = SaeProvenance("tiny", name, context_size=CONTEXT, prepend_bos=True)
        with self.store.draft("sae", job_id=job_id, attempt=1, parents=[p for p in (model, tokens) if p]) as draft:
            save_saelens(draft.path, sae, provenance)
            draft.summary = {"hook_point": name, "d_sae": d_sae}
            return draft.commit()

    def training(self, model: str, tokens: str, **fields: object) -> TrainSae:
        """A small run: 8 steps of 64 tokens, a checkpoint every second step."""
        chosen: dict[str, object] = {
            "hook_points": [HOOK],
            "saes": [SaeSpec(d_sae=24, k=4)],
            "total_tokens": 512,
            "batch_tokens": 64,
            "buffer_tokens": 256,
            "checkpoint_every_tokens": 128,
        }
        reference = {"model": ArtifactRef(artifact_id=model), "tokens": ArtifactRef(artifact_id=tokens)}
        return TrainSae(**reference, **(chosen | fields))


def _model(seed: int) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=VOCAB,
        n_embd=D_MODEL,
        n_layer=LAYERS,
        n_head=2,
        n_positions=32,
        bos_token_id=BOS,
        eos_token_id=BOS,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config).eval()
        for parameter in model.parameters():
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model


def _tokenizer(words: str) -> PreTrainedTokenizerFast:
    vocabulary = {"<bos>": BOS} | {f"{words}{index}": index for index in range(1, VOCAB)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<bos>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<bos>", eos_token="<bos>")


def _write_tokens(folder: Path, splits: dict[str, int], vocab_size: int) -> None:
    rng = np.random.default_rng(0)
    arguments = {"context_length": CONTEXT, "vocab_size": vocab_size, "tokenizer": "tiny", "bos_token_id": BOS}
    with TokensWriter(folder, prepend_bos=True, **arguments) as writer:
        row = 0
        for split, blocks in splits.items():
            left = blocks * CONTEXT
            while left > 0:
                ids = rng.integers(1, vocab_size, rng.integers(5, 30))
                writer.add_document(ids, row, split)
                left -= len(ids) + 1
                row += 1
