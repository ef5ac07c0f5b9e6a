"""Reading features back: pages, filters, one latent, tokens, damaged folders."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from extraction import SMALL, repetitive_tokens, run, sae

from mistudio_sae.errors import ConfigError
from mistudio_sae.features import FeatureFilter, FeatureStore, FeatureStoreError, LatentNotFoundError
from mistudio_sae.features.schema import (
    EXAMPLES,
    EXAMPLES_FILE,
    EXAMPLES_GROUP,
    INFO_FILE,
    STATISTICS,
    STATISTICS_FILE,
    STATISTICS_GROUP,
)
from mistudio_sae.features.store import SortKey

LATENTS = 300


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """More latents than fit a row group of either file."""
    reader = repetitive_tokens(tmp_path_factory.mktemp("tokens"), blocks=30)
    return run(tmp_path_factory.mktemp("features"), reader, SMALL, made=sae(d_sae=LATENTS))


def test_files_have_the_documented_columns_in_row_groups_by_latent(store: FeatureStore) -> None:
    statistics = pq.ParquetFile(store.folder / STATISTICS_FILE)
    examples = pq.ParquetFile(store.folder / EXAMPLES_FILE)
    assert statistics.schema_arrow.names == STATISTICS.names
    assert examples.schema_arrow.names == EXAMPLES.names
    assert statistics.num_row_groups == -(-LATENTS // STATISTICS_GROUP)
    assert examples.num_row_groups == -(-LATENTS // EXAMPLES_GROUP)
    for group in range(examples.num_row_groups):
        latents = examples.read_row_group(group, columns=["latent"]).column("latent").to_pylist()
        assert {latent // EXAMPLES_GROUP for latent in latents} <= {group}
        assert latents == sorted(latents)


def test_every_column_is_documented() -> None:
    from mistudio_sae.features import schema

    for name in (*STATISTICS.names, *EXAMPLES.names):
        assert name in (schema.__doc__ or "")


@pytest.mark.parametrize("key", ["latent", "density", "max_activation", "mean_active", "interestingness"])
def test_pages_follow_each_other_in_order(store: FeatureStore, key: SortKey) -> None:
    pages = [store.list(key, offset=offset, limit=70) for offset in range(0, LATENTS, 70)]
    rows = [row for page in pages for row in page]
    assert sorted(row.latent for row in rows) == list(range(LATENTS))
    expected = sorted(rows, key=lambda row: (-getattr(row, key), row.latent))
    assert [row.latent for row in rows] == [row.latent for row in expected]
    upwards = store.list(key, descending=False, limit=LATENTS)
    assert [row.latent for row in upwards] == [
        row.latent for row in sorted(rows, key=lambda row: (getattr(row, key), row.latent))
    ]


def test_filters_hold_together(store: FeatureStore) -> None:
    rows = store.list(limit=LATENTS)
    dead = [row.latent for row in rows if row.dead]
    assert 3 in dead
    assert store.count(FeatureFilter(dead=True)) == len(dead)
    wanted = FeatureFilter(dead=False, min_density=0.005, max_density=0.05, latents=frozenset(range(0, LATENTS, 2)))
    found = store.list(filters=wanted, limit=LATENTS)
    assert found
    assert {row.latent for row in found} == {
        row.latent for row in rows if not row.dead and 0.005 <= row.density <= 0.05 and row.latent % 2 == 0
    }


def test_one_latent_agrees_with_its_row(store: FeatureStore) -> None:
    for row in store.list(limit=LATENTS):
        feature = store.get(row.latent)
        assert feature.row == row
        assert sum(feature.histogram) == row.fired
        values = [example.value for example in feature.top_examples]
        assert values == sorted(values, reverse=True)
        assert not values or values[0] == row.max_activation


def test_search_finds_each_feature_by_its_best_match(store: FeatureStore) -> None:
    matches = store.search_tokens(" W7 ", limit=LATENTS)
    assert matches
    latents = [match.row.latent for match in matches]
    assert len(set(latents)) == len(latents)
    exact = [match for match in matches if match.token == "w7"]
    assert matches[: len(exact)] == exact
    assert [match.rank for match in exact] == sorted(match.rank for match in exact)
    for match in exact:
        tokens = match.row.top_tokens if match.where == "activating" else match.row.top_logits
        assert tokens[match.rank] == "w7"
    listed = {row.latent for row in store.list(limit=LATENTS) if "w7" in (*row.top_tokens, *row.top_logits)}
    assert {match.row.latent for match in exact} == listed
    assert store.search_tokens("no such token") == []


def test_wrong_questions_are_refused(store: FeatureStore) -> None:
    with pytest.raises(LatentNotFoundError, match="300"):
        store.get(300)
    with pytest.raises(LatentNotFoundError):
        store.get(-1)
    with pytest.raises(ConfigError, match="sort"):
        store.list("colour")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="offset"):
        store.list(offset=-1)
    with pytest.raises(ConfigError, match="text"):
        store.search_tokens("  ")


def test_a_brief_holds_the_best_example_and_the_logits(store: FeatureStore) -> None:
    rows = store.list("latent", descending=False, limit=1000)
    briefs = store.briefs(rows)

    for row, brief in zip(rows, briefs, strict=True):
        whole = store.get(row.latent)
        assert brief.row == row
        assert brief.top_logits == whole.top_logits
        assert brief.best == (None if row.dead else whole.top_examples[0])
    assert store.briefs([]) == []


@pytest.mark.parametrize("name", [INFO_FILE, STATISTICS_FILE, EXAMPLES_FILE])
def test_a_damaged_or_missing_file_is_named(tmp_path: Path, store: FeatureStore, name: str) -> None:
    for path in store.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-10] + b"0123456789")
    with pytest.raises(FeatureStoreError, match="extract"):
        FeatureStore.open(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FeatureStoreError, match="extract"):
        FeatureStore.open(tmp_path)


def test_another_version_is_refused(tmp_path: Path, store: FeatureStore) -> None:
    for path in store.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    info = json.loads((tmp_path / INFO_FILE).read_text())
    (tmp_path / INFO_FILE).write_text(json.dumps({**info, "version": 99}))
    with pytest.raises(FeatureStoreError, match="version 99"):
        FeatureStore.open(tmp_path)
