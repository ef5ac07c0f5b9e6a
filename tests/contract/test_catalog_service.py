"""CatalogService over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict

from mistudio import v1
from mistudio_curator.service import add_servicers
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.artifacts.notes import ArtifactNotes, edit_notes
from mistudio_runtime.jobs import ServiceContext
from mistudio_runtime.serving.server import MeshServer
from mistudio_runtime.settings import Settings


@pytest.fixture
def store(home: Path) -> ArtifactStore:
    return ArtifactStore.open(Settings(home=home).artifacts_url)


@pytest_asyncio.fixture
async def catalog(store: ArtifactStore, home: Path) -> AsyncIterator[v1.CatalogServiceStub]:
    server = MeshServer()
    names = add_servicers(server.grpc, ServiceContext(Settings(home=home), store))
    port = await server.start("127.0.0.1:0", names)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield v1.CatalogServiceStub(channel)
    await server.stop(0)


def add(store: ArtifactStore, kind: str, number: int, parents: list[str] | None = None) -> str:
    job_id = f"job-{number:03d}"
    with store.draft(kind, job_id=job_id, attempt=1, parents=parents or [], parameters={"k": 32}) as draft:
        (draft.path / "file.bin").write_bytes(b"x" * number)
        draft.summary = {"rows": number, "nested": {"list": [1, "a", None], "share": 0.5}, "k": None}
        return draft.commit()


async def pages(catalog: v1.CatalogServiceStub, **fields: object) -> list[list[str]]:
    found, token = [], ""
    while True:
        answer = await catalog.ListArtifacts(v1.ListArtifactsRequest(page_token=token, **fields))
        found.append([artifact.id for artifact in answer.artifacts])
        token = answer.next_page_token
        if not token:
            return found


async def test_a_kind_of_a_newer_contract_has_no_artifacts_here(
    catalog: v1.CatalogServiceStub, store: ArtifactStore
) -> None:
    add(store, "dataset", 1)
    assert not (await catalog.ListArtifacts(v1.ListArtifactsRequest(kinds=[77]))).artifacts


async def test_newest_first_in_pages(catalog: v1.CatalogServiceStub, store: ArtifactStore) -> None:
    ids = [add(store, "dataset", number) for number in range(7)][::-1]

    assert await pages(catalog) == [ids]
    assert await pages(catalog, page_size=3) == [ids[:3], ids[3:6], ids[6:]]
    assert await pages(catalog, page_size=7) == [ids]
    assert await pages(catalog, page_size=100_000) == [ids]


async def test_pages_do_not_shift(catalog: v1.CatalogServiceStub, store: ArtifactStore) -> None:
    ids = [add(store, "dataset", number) for number in range(4)][::-1]
    first = await catalog.ListArtifacts(v1.ListArtifactsRequest(page_size=2))
    add(store, "dataset", 9)
    store.delete(ids[1])

    second = await catalog.ListArtifacts(v1.ListArtifactsRequest(page_size=2, page_token=first.next_page_token))

    assert [artifact.id for artifact in second.artifacts] == ids[2:]


async def test_kinds_and_labels_choose(catalog: v1.CatalogServiceStub, store: ArtifactStore) -> None:
    dataset, sae, other = add(store, "dataset", 1), add(store, "sae", 2), add(store, "sae", 3)
    edit_notes(store, sae, lambda notes: replace(notes, labels={"team": "a", "good": "yes"}))
    edit_notes(store, dataset, lambda notes: replace(notes, labels={"team": "a"}))
    sae_kind = v1.ArtifactKind.ARTIFACT_KIND_SAE

    assert await pages(catalog, kinds=[sae_kind]) == [[other, sae]]
    assert await pages(catalog, kinds=[sae_kind, v1.ArtifactKind.ARTIFACT_KIND_DATASET]) == [[other, sae, dataset]]
    assert await pages(catalog, labels={"team": "a"}) == [[sae, dataset]]
    assert await pages(catalog, labels={"team": "a", "good": "yes"}, page_size=1) == [[sae]]
    assert await pages(catalog, labels={"team": "b"}) == [[]]


async def test_one_artifact_with_everything(catalog: v1.CatalogServiceStub, store: ArtifactStore) -> None:
    dataset = add(store, "dataset", 5)
    children = [add(store, "tokens", 6, [dataset]), add(store, "tokens", 7, [dataset])]
    edit_notes(store, dataset, lambda _: ArtifactNotes("Näme", "about", {"team": "a"}))

    answer = await catalog.GetArtifact(v1.GetArtifactRequest(artifact_id=dataset))

    artifact = answer.artifact
    assert [*answer.child_ids] == children
    assert artifact.kind == v1.ArtifactKind.ARTIFACT_KIND_DATASET
    assert Path(artifact.uri.removeprefix("file://")) == store.path(dataset)
    assert (artifact.display_name, artifact.description, dict(artifact.labels)) == ("Näme", "about", {"team": "a"})
    assert [(file.path, file.bytes, len(file.sha256)) for file in artifact.files] == [("file.bin", 5, 64)]
    assert artifact.bytes == 5
    assert artifact.create_time.ToNanoseconds() / 1e9 == pytest.approx(store.get(dataset).create_time)
    summary = {"rows": 5, "nested": {"list": [1, "a", None], "share": 0.5}, "k": None}
    assert MessageToDict(artifact.summary) == summary
    assert MessageToDict(artifact.parameters) == {"k": 32}
    listed = await catalog.ListArtifacts(v1.ListArtifactsRequest(kinds=[artifact.kind]))
    assert not listed.artifacts[0].files
    assert listed.artifacts[0].display_name == "Näme"


@pytest.mark.parametrize("artifact_id", ["", "dataset-gone-0", "../secrets", ".notes"])
async def test_what_is_not_there_is_not_found(catalog: v1.CatalogServiceStub, artifact_id: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog.GetArtifact(v1.GetArtifactRequest(artifact_id=artifact_id))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_file_is_read_in_parts(catalog: v1.CatalogServiceStub, store: ArtifactStore) -> None:
    request = v1.ReadArtifactFileRequest(artifact_id=add(store, "dataset", 10), path="file.bin", offset=4, max_bytes=4)
    part = await catalog.ReadArtifactFile(request)
    assert (part.data, part.file_bytes) == (b"xxxx", 10)
    request.offset = 8
    assert (await catalog.ReadArtifactFile(request)).data == b"xx"
    request.offset = 10
    assert not (await catalog.ReadArtifactFile(request)).data
    request.offset = 11
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog.ReadArtifactFile(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("path", ["", "gone", "../file.bin", "./file.bin", "/etc/passwd", "manifest.json"])
async def test_only_files_that_an_artifact_lists_are_read(
    catalog: v1.CatalogServiceStub, store: ArtifactStore, path: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog.ReadArtifactFile(v1.ReadArtifactFileRequest(artifact_id=add(store, "dataset", 1), path=path))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "fields", [{"page_size": -1}, {"page_token": "nonsense"}, {"page_token": "W1tb" * 9_999}, {"page_token": "e30="}]
)
async def test_bad_requests_are_refused(catalog: v1.CatalogServiceStub, fields: dict[str, object]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog.ListArtifacts(v1.ListArtifactsRequest(**fields))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert next(iter(fields)) in (caught.value.details() or "")


async def test_changes_belong_to_the_gateway(catalog: v1.CatalogServiceStub) -> None:
    for call in (
        catalog.UpdateArtifact(v1.UpdateArtifactRequest(artifact_id="sae-a-0")),
        catalog.DeleteArtifact(v1.DeleteArtifactRequest(artifact_id="sae-a-0")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "call it on the gateway" in (caught.value.details() or "")
