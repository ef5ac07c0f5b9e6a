"""Feature extraction: what each latent of an SAE responds to and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from mistudio_sae.errors import ConfigError
from mistudio_sae.evaluation.inputs import check_inputs
from mistudio_sae.features.accumulator import FeatureAccumulator
from mistudio_sae.features.config import FeatureConfig
from mistudio_sae.features.documents import DocumentIndex
from mistudio_sae.features.example_writer import ExampleWriter
from mistudio_sae.features.latents import LatentSource
from mistudio_sae.features.logit_lens import LogitLens, logit_lens, no_logit_lens
from mistudio_sae.features.look import join, look
from mistudio_sae.features.neighbours import decoder_neighbours
from mistudio_sae.features.schema import (
    EXAMPLES_FILE,
    EXAMPLES_GROUP,
    INFO_FILE,
    STATISTICS_FILE,
    VOCABULARY,
    VOCABULARY_FILE,
)
from mistudio_sae.features.statistics_table import Findings, statistics_table, write_statistics
from mistudio_sae.features.subject import Subject
from mistudio_sae.features.summary import FeatureSummary, Progress, summarize
from mistudio_sae.features.vocabulary import token_texts
from mistudio_sae.features.windows_table import by_value, example_table
from mistudio_sae.models import HookPoint, LanguageModel
from mistudio_sae.reporting import Reporter, Stopped, StopRequest
from mistudio_sae.saes import Sae
from mistudio_sae.tokens import TokensReader


def extract_features(  # noqa: PLR0917 - the arguments have no natural groups, and each is one thing
    lm: LanguageModel,
    tokens_reader: TokensReader,
    split: str,
    hook: HookPoint,
    sae: Sae,
    out_dir: str | Path,
    config: FeatureConfig,
    reporter: Reporter,
) -> FeatureSummary:
    """Describe every (asked) latent over the tokens of a split and write the folder that `FeatureStore` reads.

    One pass over the tokens, in memory that depends on latents, examples and window only. On one machine and thread
    count the files are the same bytes for any `batch_blocks` and however the tokens are cut into shards. On FINISH
    the result covers what was read so far. Raises `Stopped` for other stop requests, `ConfigError` for a latent that
    the SAE does not have, and the errors of `check_inputs`.
    """
    check_inputs(lm, tokens_reader, split, hook, sae)
    if config.latents is not None and max(config.latents) >= sae.config.d_sae:
        raise ConfigError("features.latents", f"must lie below d_sae = {sae.config.d_sae}.")
    subject = Subject(lm, tokens_reader, split, hook, sae)
    source = LatentSource(subject, config)
    counted = FeatureAccumulator(source.latents, lm.vocab_size, config)
    blocks = _accumulate(source, counted, config, reporter)
    reporter.progress("write", 0, len(source.latents), "latents")
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    table = statistics_table(counted, _findings(subject, counted, config, folder), config.neighbours)
    write_statistics(table, folder / STATISTICS_FILE)
    pq.write_table(pa.table({"text": token_texts(lm)}, schema=VOCABULARY), folder / VOCABULARY_FILE, compression="zstd")
    progress = Progress(counted.tokens, blocks, complete=blocks == source.total_blocks)
    summary = summarize(subject, config, progress, table)
    (folder / INFO_FILE).write_text(json.dumps(summary.as_dict(), indent=1) + "\n", encoding="utf-8")
    reporter.progress("write", len(source.latents), len(source.latents), "latents")
    return summary


def _accumulate(source: LatentSource, counted: FeatureAccumulator, config: FeatureConfig, reporter: Reporter) -> int:
    """Stream the tokens; returns the number of blocks read."""
    passes = -(-config.batch_blocks // source.forward_blocks)
    step = passes * source.forward_blocks
    for start in range(0, source.total_blocks, step):
        request = reporter.should_stop()
        if request is StopRequest.FINISH and start > 0:
            return start
        if request is not None and request is not StopRequest.FINISH:
            raise Stopped(request)
        stop = min(start + step, source.total_blocks)
        for batch in source.batches(start, stop):
            counted.add(batch)
        reporter.progress("extract", stop * source.context, source.total_blocks * source.context, "tokens")
    return source.total_blocks


@torch.no_grad()
def _findings(subject: Subject, counted: FeatureAccumulator, config: FeatureConfig, folder: Path) -> Findings:
    """Write the examples, and look at them, at the decoder and at the unembedding."""
    looks = []
    blocks = subject.reader.blocks(subject.split)
    documents = DocumentIndex(subject.reader, subject.split)
    with ExampleWriter(folder / EXAMPLES_FILE, blocks.context_length, documents, config) as writer:
        for start in range(0, len(counted.latents), EXAMPLES_GROUP):
            rows = slice(start, start + EXAMPLES_GROUP)
            top = example_table(counted.examples.top, rows, blocks, config.left_tokens)
            sample = by_value(example_table(counted.examples.sample, rows, blocks, config.left_tokens))
            writer.write(counted.latents[rows].numpy(), top, sample)
            looks.append(look(top, sample, config.left_tokens, counted.token_bits()))
    nearest = decoder_neighbours(subject.sae.W_dec.detach().cpu(), counted.latents, config.neighbours)
    return Findings(_lens(subject, counted.latents, config.logit_k), nearest, join(looks))


def _lens(subject: Subject, latents: Tensor, count: int) -> LogitLens:
    if subject.sae.config.d_in != subject.lm.d_model:
        return no_logit_lens(len(latents))
    unembedding, norm_weight = subject.lm.unembedding()
    # Rows beyond the tokenizer pad the matrix and mean nothing.
    unembedding = unembedding[:, : len(subject.lm.tokenizer)].cpu()
    decoder = subject.sae.W_dec.detach().cpu().float()[latents]
    return logit_lens(decoder, unembedding, None if norm_weight is None else norm_weight.cpu(), count)
