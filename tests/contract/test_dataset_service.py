"""DatasetService over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2, status_pb2
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mistudio import v1
from mistudio_ingest.service import add_servicers
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.jobs import ServiceContext
from mistudio_runtime.serving.server import MeshServer
from mistudio_runtime.settings import Settings

LONG = "x" * 5000


@pytest.fixture
def store(home: Path) -> ArtifactStore:
    return ArtifactStore.open(Settings(home=home).artifacts_url)


@pytest_asyncio.fixture
async def datasets(store: ArtifactStore, home: Path) -> AsyncIterator[v1.DatasetServiceStub]:
    server = MeshServer()
    names = add_servicers(server.grpc, ServiceContext(Settings(home=home), store))
    port = await server.start("127.0.0.1:0", names)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield v1.DatasetServiceStub(channel)
    await server.stop(0)


@pytest.fixture
def dataset(store: ArtifactStore) -> str:
    with store.draft("dataset", job_id="job-data", attempt=1) as draft:
        for number in range(2):
            texts = [f"row {300 * number + i}" for i in range(299)] + [LONG if number else None]
            table = pa.table({"n": range(300), "body": texts})
            pq.write_table(table, draft.path / f"data-{number:05d}.parquet", row_group_size=70)
        draft.summary = {"text_column": "body"}
        return draft.commit()


@pytest.fixture
def model(store: ArtifactStore) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["the cat sat on the mat"] * 5, trainer)
    tokenizer.enable_truncation(3)
    with store.draft("model", job_id="job-model", attempt=1) as draft:
        tokenizer.save(str(draft.path / "tokenizer.json"))
        return draft.commit()


def violations(error: grpc.aio.AioRpcError) -> list[str]:
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    bad = error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(details).details:
        detail.Unpack(bad)
    return [violation.field for violation in bad.field_violations]


async def test_rows_are_shown_from_anywhere(datasets: v1.DatasetServiceStub, dataset: str) -> None:
    answer = await datasets.PreviewDataset(v1.PreviewDatasetRequest(artifact_id=dataset))
    assert [row.text for row in answer.rows] == [f"row {i}" for i in range(10)]
    assert answer.total_rows == 600

    across = await datasets.PreviewDataset(v1.PreviewDatasetRequest(artifact_id=dataset, offset=298, rows=4))
    assert [(row.index, row.text) for row in across.rows] == [
        (298, "row 298"),
        (299, ""),
        (300, "row 300"),
        (301, "row 301"),
    ]

    last = await datasets.PreviewDataset(v1.PreviewDatasetRequest(artifact_id=dataset, offset=599, rows=100))
    assert [(len(row.text), row.truncated) for row in last.rows] == [(2000, True)]
    beyond = await datasets.PreviewDataset(v1.PreviewDatasetRequest(artifact_id=dataset, offset=10_000))
    assert not beyond.rows


async def test_a_text_is_split_as_the_model_does(datasets: v1.DatasetServiceStub, model: str) -> None:
    text = "the cat sat — café"
    answer = await datasets.PreviewTokenization(v1.PreviewTokenizationRequest(model_artifact_id=model, text=text))

    plain = [token for token in answer.tokens if "\ufffd" not in token.text]
    assert "".join(token.text for token in answer.tokens).startswith("the cat sat ")
    assert all(text[token.start : token.end] == token.text for token in plain)
    assert answer.tokens[-1].end == len(text)
    empty = await datasets.PreviewTokenization(v1.PreviewTokenizationRequest(model_artifact_id=model))
    assert not empty.tokens


async def test_limits_are_named(datasets: v1.DatasetServiceStub, dataset: str, model: str) -> None:
    calls = [
        (datasets.PreviewDataset(v1.PreviewDatasetRequest(artifact_id=dataset, rows=101)), "rows"),
        (datasets.PreviewDataset(v1.PreviewDatasetRequest(artifact_id=model)), "artifact_id"),
        (
            datasets.PreviewTokenization(v1.PreviewTokenizationRequest(model_artifact_id=model, text="x" * 20_001)),
            "text",
        ),
        (
            datasets.PreviewTokenization(v1.PreviewTokenizationRequest(model_artifact_id=dataset, text="x")),
            "model_artifact_id",
        ),
    ]
    for call, field in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert violations(caught.value) == [field]


async def test_what_is_not_there_is_not_found(datasets: v1.DatasetServiceStub) -> None:
    for artifact_id in ("dataset-gone-0", "../../etc", ""):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await datasets.PreviewDataset(v1.PreviewDatasetRequest(artifact_id=artifact_id))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_model_without_tokenizer_cannot_be_previewed(
    datasets: v1.DatasetServiceStub, store: ArtifactStore, model: str
) -> None:
    (store.path(model) / "tokenizer.json").write_text("{}")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await datasets.PreviewTokenization(v1.PreviewTokenizationRequest(model_artifact_id=model, text="x"))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
