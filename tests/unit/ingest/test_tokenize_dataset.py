from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_gpt2 import byte_level_tokenizer
from transformers import AutoTokenizer

from mistudio.v1 import ArtifactRef, AttemptReport, DownloadDataset, TokenizeDataset
from mistudio_ingest import download_dataset, tokenize_dataset
from mistudio_runtime.jobs import JobStoppedError, PermanentFailure, Stop
from mistudio_sae.tokens import TokensReader
from support.workshop import Workshop

Bring = Callable[..., str]
TEXTS = [f"Document {i}: the cat sat on the mat, for example. " * (1 + i % 7) for i in range(200)]


@pytest.fixture
def dataset(data: Path, bring: Bring) -> str:
    pq.write_table(pa.table({"text": [*TEXTS, "", None]}), data / "texts.parquet")
    return bring(data / "texts.parquet")


def ask(dataset: str, model: str, **fields: object) -> TokenizeDataset:
    return TokenizeDataset(dataset=ArtifactRef(artifact_id=dataset), model=ArtifactRef(artifact_id=model), **fields)


def test_every_block_is_the_tokenizers_own_stream(workshop: Workshop, dataset: str, model: str) -> None:
    job = workshop.job("job-tokens")
    artifact_id = tokenize_dataset.run(ask(dataset, model, context_length=32, validation_fraction=0.25), job)[0]

    reader = TokensReader.open(workshop.store.path(artifact_id))
    tokenizer = AutoTokenizer.from_pretrained(workshop.store.path(model))
    seen: dict[str, set[int]] = {}
    for split in ("train", "validation"):
        stream = reader.blocks(split)[:].reshape(-1).tolist()
        rows = [reader.document_at(split, i // 32, i % 32) for i in range(len(stream))]
        seen[split] = set(rows)
        expected = [
            id_ for row in dict.fromkeys(rows) for id_ in [*tokenizer(TEXTS[row])["input_ids"], tokenizer.eos_token_id]
        ]
        assert stream == expected[: len(stream)]
    assert not seen["train"] & seen["validation"]
    assert 30 <= len(seen["validation"]) <= 70
    summary = workshop.store.get(artifact_id).summary
    assert summary["tokens"] == summary["train_tokens"] + summary["validation_tokens"] == 32 * summary["blocks"]
    assert summary["dropped"]["empty_documents"] == 2
    assert summary["documents"] <= 200
    assert summary["context_length"] == 32
    assert summary["tokenizer"] == "tiny-gpt2"
    assert workshop.store.get(artifact_id).parents == (dataset, model)
    assert job.progressed[-1].done == 202
    assert job.metrics[-1].name == "tokens"


def test_the_split_follows_from_the_text_alone(workshop: Workshop, data: Path, model: str, bring: Bring) -> None:
    pq.write_table(pa.table({"text": TEXTS[::-1] + TEXTS[:50]}), data / "shuffled.parquet")
    held_out = []
    for number, dataset in enumerate([bring(data / "shuffled.parquet")]):
        spec = ask(dataset, model, context_length=16, validation_fraction=0.3)
        artifact_id = tokenize_dataset.run(spec, workshop.job(f"job-{number}"))[0]
        reader = TokensReader.open(workshop.store.path(artifact_id))
        texts = TEXTS[::-1] + TEXTS[:50]
        for split in ("train", "validation"):
            rows = {
                reader.document_at(split, block, p) for block in range(len(reader.blocks(split))) for p in range(16)
            }
            held_out.append({texts[row] for row in rows})

    assert not held_out[0] & held_out[1], "the same text is in both splits"


def test_a_second_delivery_makes_the_same_bytes(workshop: Workshop, dataset: str, model: str) -> None:
    spec = ask(dataset, model, context_length=16)
    first = workshop.store.get(tokenize_dataset.run(spec, workshop.job("job-one"))[0])
    again = workshop.store.get(tokenize_dataset.run(spec, workshop.job("job-two"))[0])

    assert [entry.sha256 for entry in first.files] == [entry.sha256 for entry in again.files]


def test_bos_begins_every_block_and_document(workshop: Workshop, dataset: str, model: str) -> None:
    spec = ask(dataset, model, context_length=32, prepend_bos=True, validation_fraction=0)

    reader = TokensReader.open(workshop.store.path(tokenize_dataset.run(spec, workshop.job("job-bos"))[0]))

    blocks = reader.blocks("train")[:]
    assert (blocks[:, 0] == 0).all()
    assert not ((blocks[:, :-1] == 0) & (blocks[:, 1:] == 0)).any(), (
        "the end mark and the beginning mark are the same token"
    )
    assert list(reader.info.splits) == ["train"]


def test_the_token_budget_is_kept(workshop: Workshop, dataset: str, model: str) -> None:
    job = workshop.job("job-budget")
    spec = ask(dataset, model, context_length=16, max_tokens=1600, validation_fraction=0)

    summary = workshop.store.get(tokenize_dataset.run(spec, job)[0]).summary

    assert summary["tokens"] == 1600
    assert (job.progressed[-1].done, job.progressed[-1].total, job.progressed[-1].unit) == (1600, 1600, "tokens")


def test_defaults_fit_a_short_model(workshop: Workshop, dataset: str, model: str) -> None:
    summary = workshop.store.get(tokenize_dataset.run(ask(dataset, model), workshop.job("job-default"))[0]).summary

    assert summary["context_length"] == 64


def test_truncation_and_padding_of_the_tokenizer_are_ignored(
    workshop: Workshop, dataset: str, model: str, model_folder: Path
) -> None:
    plain = tokenize_dataset.run(ask(dataset, model, context_length=16), workshop.job("job-plain"))[0]
    tokenizer = byte_level_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=50)
    tokenizer.backend_tokenizer.save(str(workshop.store.path(model) / "tokenizer.json"))

    cut = tokenize_dataset.run(ask(dataset, model, context_length=16), workshop.job("job-cut"))[0]

    for name in ("train-00000.npy", "validation-00000.npy"):
        ours, theirs = (np.load(workshop.store.path(artifact) / name) for artifact in (plain, cut))
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"context_length": 65}, "context_length 65 is above the 64 tokens of tiny-gpt2"),
        ({"context_length": 1}, "too short"),
        ({"validation_fraction": 1.0}, "validation_fraction 1.0 is no share"),
        ({"validation_fraction": -0.5}, "is no share"),
        ({"text_column": "body"}, "no text column 'body'"),
        ({"max_tokens": 20, "context_length": 32}, "tokens for train, less than one block of 32; .* raise max_tokens"),
        ({"validation_fraction": 1e-9}, "0 tokens for validation, less than one block of 64; .* or set it to 0"),
    ],
)
def test_what_cannot_be_is_said(
    workshop: Workshop, dataset: str, model: str, fields: dict[str, object], says: str
) -> None:
    with pytest.raises(PermanentFailure, match=says):
        tokenize_dataset.run(ask(dataset, model, **fields), workshop.job("job-bad"))
    assert not workshop.store.exists("tokens-bad-0")
    assert not [*workshop.store.drafts.iterdir()]


def test_wrong_artifacts_are_refused(workshop: Workshop, dataset: str, model: str) -> None:
    job = workshop.job("job-bad")
    with pytest.raises(PermanentFailure, match="there is no artifact 'model-gone-0'"):
        tokenize_dataset.run(ask(dataset, "model-gone-0"), job)
    with pytest.raises(PermanentFailure, match="is of kind model; name one of kind dataset"):
        tokenize_dataset.run(ask(model, model), job)


def test_a_model_without_a_tokenizer_is_refused(workshop: Workshop, dataset: str, model: str) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (workshop.store.path(model) / name).unlink()

    with pytest.raises(PermanentFailure, match="tiny-gpt2 has no fast tokenizer"):
        tokenize_dataset.run(ask(dataset, model), workshop.job("job-bad"))


def test_a_dataset_without_text_is_refused(workshop: Workshop, data: Path, model: str, bring: Bring) -> None:
    pq.write_table(pa.table({"text": ["", None]}, schema=pa.schema([("text", pa.string())])), data / "e.parquet")

    with pytest.raises(PermanentFailure, match="gives 0 tokens for train"):
        tokenize_dataset.run(ask(bring(data / "e.parquet"), model), workshop.job("job-bad"))


def test_a_dataset_whose_files_are_gone_is_refused(workshop: Workshop, dataset: str, model: str) -> None:
    (workshop.store.path(dataset) / "data-00000.parquet").write_bytes(b"broken")
    with pytest.raises(PermanentFailure, match="cannot be read; download it again"):
        tokenize_dataset.run(ask(dataset, model), workshop.job("job-bad"))
    (workshop.store.path(dataset) / "data-00000.parquet").unlink()
    with pytest.raises(PermanentFailure, match="holds no Parquet file"):
        tokenize_dataset.run(ask(dataset, model), workshop.job("job-bad"))


def test_a_paused_job_stops_between_batches(workshop: Workshop, model: str) -> None:
    topics = download_dataset.run(DownloadDataset(bundled="python-topics"), workshop.job("job-topics"))[0]
    job = workshop.job("job-tokens")

    def pause(report: AttemptReport) -> None:
        job.request_stop(Stop.PAUSE)

    job.watch = pause
    with pytest.raises(JobStoppedError):
        tokenize_dataset.run(ask(topics, model), job)
    assert not workshop.store.exists("tokens-tokens-0")
