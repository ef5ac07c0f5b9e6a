"""Job kind tokenize_dataset: packs a dataset into token blocks for a model."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict

from mistudio.v1 import TokenizeDataset
from mistudio_ingest.dataset_texts import DatasetTexts
from mistudio_ingest.fast_tokenizer import id_count, load_fast_tokenizer
from mistudio_ingest.inputs import Input, artifact_input
from mistudio_ingest.packing import Packing, packing
from mistudio_ingest.quiet_libraries import quiet_libraries
from mistudio_ingest.token_stream import TokenStream
from mistudio_runtime.jobs import JobContext, PermanentFailure
from mistudio_sae.tokens import TokensInfo, TokensWriter
from mistudio_sae.tokens.info import load_info


def run(spec: TokenizeDataset, context: JobContext) -> list[str]:
    """Commits a tokens artifact and returns its id.

    Raises PermanentFailure if dataset or model cannot be used, or a split would not fill a single block.
    """
    quiet_libraries()
    context.stages({"load": 1, "tokenize": 20})
    dataset, model = (
        artifact_input(spec.dataset, "dataset", context),
        artifact_input(spec.model, "model", context),
    )
    column = spec.text_column or str(dataset.manifest.summary.get("text_column") or "")
    texts = DatasetTexts(dataset.folder, column, dataset.name)
    tokenizer = load_fast_tokenizer(model.folder, model.name)
    plan = packing(spec, model, tokenizer)
    context.progress("load", 1, 1, "tokenizers")
    parameters = MessageToDict(spec, preserving_proto_field_name=True)
    parents = [dataset.manifest.id, model.manifest.id]
    with context.draft("tokens", parents=parents, parameters=parameters) as draft:
        writer = TokensWriter(
            draft.path,
            context_length=plan.context_length,
            vocab_size=id_count(tokenizer),
            tokenizer=model.name,
            bos_token_id=plan.bos,
            eos_token_id=plan.eos,
            prepend_bos=plan.prepend_bos,
        )
        stream = TokenStream(tokenizer, plan)
        with writer:
            _pack(texts, stream, writer, context)
        info = load_info(draft.path)
        _check(info, plan, dataset)
        draft.summary.update(_summary(info, stream))
        context.log("info", f"{draft.summary['tokens']} tokens in {draft.summary['blocks']} blocks")
        return [draft.commit()]


def _pack(texts: DatasetTexts, stream: TokenStream, writer: TokensWriter, context: JobContext) -> None:
    limit = stream.plan.max_tokens
    for batch in texts.batches():
        context.raise_if_stopped()
        for document, ids, split in stream.encode(batch):
            writer.add_document(ids, document, split)
        if limit:
            context.progress("tokenize", stream.tokens, limit, "tokens")
        else:
            context.progress("tokenize", stream.rows, texts.rows, "rows")
        context.metric("tokens", stream.tokens, step=stream.rows, tokens=stream.tokens)
        if stream.full:
            break


def _check(info: TokensInfo, plan: Packing, dataset: Input) -> None:
    wanted = ["train", "validation"] if plan.validation_fraction else ["train"]
    for name in wanted:
        split = info.splits.get(name)
        if split is None or not split.blocks:
            tokens = split.dropped_tokens if split else 0
            held_out = ", raise validation_fraction or set it to 0" if name == "validation" else ", raise max_tokens"
            raise PermanentFailure(
                f"{dataset.name} gives {tokens} tokens for {name}, less than one block of {plan.context_length}; "
                f"give more text, lower context_length{held_out}",
                reason="TOO_FEW_TOKENS",
            )


def _summary(info: TokensInfo, stream: TokenStream) -> dict[str, Any]:
    splits = info.splits
    return {
        "tokens": sum(split.tokens for split in splits.values()),
        "train_tokens": splits["train"].tokens,
        "validation_tokens": splits["validation"].tokens if "validation" in splits else 0,
        "blocks": sum(split.blocks for split in splits.values()),
        "documents": sum(split.documents for split in splits.values()),
        "context_length": info.context_length,
        "vocab_size": info.vocab_size,
        "tokenizer": info.tokenizer,
        "dropped": {
            "empty_documents": stream.empty,
            "tail_tokens": sum(split.dropped_tokens for split in splits.values()),
        },
    }
