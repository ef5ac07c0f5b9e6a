"""The tokens artifact: packing, boundaries, memory mapping, damage."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mistudio_sae.errors import TokensFormatError
from mistudio_sae.tokens import TokensReader, TokensWriter


def write(folder: Path, documents: list[list[int]], **options: object) -> TokensReader:
    settings = {"context_length": 4, "vocab_size": 50, "tokenizer": "t", **options}
    with TokensWriter(folder, **settings) as writer:  # type: ignore[arg-type]
        for row, ids in enumerate(documents):
            writer.add_document(ids, row * 10)
    return TokensReader.open(folder)


def test_documents_follow_each_other_and_the_tail_is_dropped_and_counted(tmp_path: Path) -> None:
    reader = write(tmp_path, [[1, 2, 3], [4, 5], [], [6, 7, 8, 9]])
    assert reader.blocks("train")[:].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    split = reader.info.split("train")
    assert (split.blocks, split.tokens, split.documents, split.dropped_tokens) == (2, 8, 3, 1)


def test_every_block_and_document_begins_with_bos_when_asked(tmp_path: Path) -> None:
    reader = write(tmp_path, [[1, 2, 3, 4, 5], [0, 6]], bos_token_id=0, prepend_bos=True)
    assert reader.blocks("train")[:].tolist() == [[0, 1, 2, 3], [0, 4, 5, 0]]
    mask = reader.special_mask(torch.from_numpy(reader.blocks("train")[:]))
    assert mask.tolist() == [[False, True, True, True], [False, True, True, False]]


def test_document_at_matches_a_naive_packing_across_shards(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    documents = [rng.integers(0, 50, rng.integers(1, 30)).tolist() for _ in range(40)]
    reader = write(tmp_path, documents, shard_tokens=12)
    assert len(reader.info.split("train").shards) > 10
    owners = [row * 10 for row, ids in enumerate(documents) for _ in ids]
    ids = [token for document in documents for token in document]
    blocks = reader.blocks("train")
    assert blocks[:].reshape(-1).tolist() == ids[: len(blocks) * 4]
    found = [reader.document_at("train", block, position) for block in range(len(blocks)) for position in range(4)]
    assert found == owners[: len(found)]
    stored_starts = {owners[i] for i in range(len(found))}
    assert reader.info.split("train").documents == len(stored_starts)


def test_blocks_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    reader = write(tmp_path, [list(range(48))], shard_tokens=8)
    blocks = reader.blocks("train")
    order = np.array([11, 0, 5, 5])
    assert blocks[order].tolist() == [blocks[:].tolist()[i] for i in order]
    assert blocks[order].dtype == np.int64
    with pytest.raises(IndexError):
        blocks[np.array([12])]


def test_ids_are_stored_in_the_narrowest_dtype(tmp_path: Path) -> None:
    assert write(tmp_path / "a", [[1] * 8], vocab_size=65_536).info.dtype == "uint16"
    reader = write(tmp_path / "b", [[65_536] * 8], vocab_size=65_537)
    assert reader.info.dtype == "uint32"
    assert reader.blocks("train")[:1].tolist() == [[65_536] * 4]


def test_a_writer_that_fails_leaves_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(TokensFormatError, match="outside"):
        write(tmp_path, [[1, 2, 3, 4], [50]])
    with pytest.raises(TokensFormatError, match="tokenize the dataset first"):
        TokensReader.open(tmp_path)


def test_bos_without_a_bos_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokensFormatError, match="no BOS token"):
        write(tmp_path, [[1]], prepend_bos=True)


def test_an_absent_split_is_named_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(TokensFormatError, match=r"\['train'\]"):
        write(tmp_path, [[1] * 8]).blocks("test")


def damage_json(folder: Path, **changes: object) -> None:
    path = folder / "tokens.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes", [{"version": 2}, {"splits": {"train": {}}}, {"dtype": "float32"}, {"context_length": 8}]
)
def test_a_damaged_description_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    write(tmp_path, [[1] * 8])
    damage_json(tmp_path, **changes)
    with pytest.raises(TokensFormatError):
        TokensReader.open(tmp_path)


def test_a_shard_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    reader = write(tmp_path, [[1] * 8])
    raw = json.loads((reader.folder / "tokens.json").read_text())
    raw["splits"]["train"]["shards"][0]["tokens"] = "../elsewhere.npy"
    damage_json(tmp_path, splits=raw["splits"])
    with pytest.raises(TokensFormatError, match="damaged"):
        TokensReader.open(tmp_path)


def test_a_truncated_shard_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [[1] * 8])
    shard = tmp_path / "train-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(TokensFormatError, match="cannot be read"):
        TokensReader.open(tmp_path)
