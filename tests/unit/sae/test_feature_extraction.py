"""Extraction equals a naive reference that holds everything in memory, however the tokens are cut."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from extraction import D_SAE, HOOK, SMALL, Dense, dense, repetitive_tokens, run, sae
from tiny import BOS, CONTEXT, VOCAB, language_model

from mistudio_sae.errors import ConfigError, ScienceError, TokensFormatError
from mistudio_sae.features import Feature, FeatureConfig, FeatureStore, extract_features
from mistudio_sae.features.schema import EXAMPLES_FILE, INFO_FILE, STATISTICS_FILE
from mistudio_sae.models import HookPoint
from mistudio_sae.reporting import SilentReporter, Stopped, StopRequest
from mistudio_sae.tokens import TokensReader


class StopAfter(SilentReporter):
    """Asks to stop once `polls` polls have been answered; remembers progress."""

    def __init__(self, polls: int, request: StopRequest) -> None:
        self.polls, self.request = polls, request
        self.seen: list[tuple[str, int, int]] = []

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        self.seen.append((stage, done, total))

    def should_stop(self) -> StopRequest | None:
        self.polls -= 1
        return self.request if self.polls < 0 else None


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> TokensReader:
    return repetitive_tokens(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, reader: TokensReader) -> FeatureStore:
    return run(tmp_path_factory.mktemp("features"), reader, SMALL)


@pytest.fixture(scope="module")
def everything(reader: TokensReader) -> Dense:
    return dense(language_model(), reader, sae(), len(reader.blocks("train")), SMALL.forward_blocks)


def _peaks(all_: Dense, latent: int) -> list[tuple[float, int, int, tuple[int, ...], tuple[float, ...]]]:
    """(value, block, position, window ids, window activations) of each block's peak, best first."""
    found = []
    for block in range(len(all_.ids)):
        values = np.where(all_.counted[block], all_.latents[block, :, latent], 0)
        position = int(values.argmax())
        if values[position] > 0:
            window = all_.window(block, position, SMALL.left_tokens, SMALL.right_tokens)
            ids = tuple(int(all_.ids[block, p]) for p in window)
            found.append((float(values[position]), block, position, ids, tuple(float(values[p]) for p in window)))
    return sorted(found, key=lambda peak: (-peak[0], peak[1]))


def _distinct(peaks: list) -> list:
    kept: dict[tuple[int, ...], tuple] = {}
    for peak in peaks:
        kept.setdefault(peak[3], peak)
    return list(kept.values())


def _as_tuples(feature: Feature, kind: str) -> list:
    examples = feature.top_examples if kind == "top" else feature.quantile_examples
    return [
        (e.value, e.block, e.position, tuple(t.token_id for t in e.tokens), tuple(t.value for t in e.tokens))
        for e in examples
    ]


@pytest.mark.parametrize("latent", range(D_SAE))
def test_equals_a_naive_reference(store: FeatureStore, everything: Dense, latent: int) -> None:
    feature = store.get(latent)
    values = everything.latents[..., latent][everything.counted]
    active = values[values > 0]
    assert feature.row.fired == len(active)
    assert feature.row.density == len(active) / len(values)
    assert feature.row.dead == (len(active) == 0)
    assert feature.row.max_activation == (active.max() if len(active) else 0)
    assert feature.row.mean_active == pytest.approx(active.astype(np.float64).mean() if len(active) else 0, rel=1e-8)
    edges = np.linspace(0, feature.histogram_max, SMALL.histogram_bins + 1)
    assert feature.histogram == tuple(np.histogram(active, bins=edges)[0])
    assert _as_tuples(feature, "top") == _distinct(_peaks(everything, latent))[: SMALL.top_k]


def test_there_is_something_to_compare(store: FeatureStore, everything: Dense) -> None:
    alive = [latent for latent in range(D_SAE) if not store.get(latent).row.dead]
    assert len(alive) > D_SAE / 2
    assert store.get(3).row.dead
    duplicated = [n for n in alive if len(_distinct(_peaks(everything, n))) < len(_peaks(everything, n))]
    assert duplicated
    full = [latent for latent in alive if len(store.get(latent).top_examples) == SMALL.top_k]
    assert full


def test_quantile_examples_are_a_sample_of_the_distinct_contexts(store: FeatureStore, everything: Dense) -> None:
    for latent in range(D_SAE):
        population = _distinct(_peaks(everything, latent))
        sample = _as_tuples(store.get(latent), "quantile")
        assert len(sample) == min(SMALL.sample_size, len(population))
        assert set(sample) <= set(population)
        assert [value for value, *_ in sample] == sorted(value for value, *_ in sample)
        bands = [example.band for example in store.get(latent).quantile_examples]
        assert bands == sorted(bands)
        if len(sample) == SMALL.sample_size:
            assert bands == [0, 0, 1, 1]


def test_examples_name_their_document_and_never_show_bos(store: FeatureStore, reader: TokensReader) -> None:
    for latent in range(D_SAE):
        feature = store.get(latent)
        for example in (*feature.top_examples, *feature.quantile_examples):
            assert example.document == reader.document_at("train", example.block, example.position)
            assert BOS not in [token.token_id for token in example.tokens]
            assert example.tokens[example.peak].value == example.value
            here = reader.blocks("train")[example.block : example.block + 1][0, example.position]
            assert example.tokens[example.peak].token_id == here


def _bytes(store: FeatureStore) -> list[bytes]:
    return [(store.folder / name).read_bytes() for name in (STATISTICS_FILE, EXAMPLES_FILE)]


@pytest.mark.parametrize("batch_blocks", [1, 7, 1000])
def test_batch_size_changes_no_byte(
    tmp_path: Path, reader: TokensReader, store: FeatureStore, batch_blocks: int
) -> None:
    other = run(tmp_path, reader, dataclasses.replace(SMALL, batch_blocks=batch_blocks))
    assert _bytes(other) == _bytes(store)


@pytest.mark.parametrize("shard_blocks", [11, 29])
def test_shard_count_changes_no_byte(tmp_path: Path, store: FeatureStore, shard_blocks: int) -> None:
    reader = repetitive_tokens(tmp_path / "tokens", shard_blocks=shard_blocks)
    assert len(reader.info.split("train").shards) > 1
    assert _bytes(run(tmp_path / "features", reader, SMALL)) == _bytes(store)


def test_forward_shape_moves_values_by_rounding_only(tmp_path: Path, reader: TokensReader, store: FeatureStore) -> None:
    """`forward_blocks` may change the last bits of a matrix product: what is promised for it is closeness."""
    other = run(tmp_path, reader, dataclasses.replace(SMALL, forward_blocks=1))
    for latent in range(D_SAE):
        mine, theirs = store.get(latent).row, other.get(latent).row
        assert theirs.max_activation == pytest.approx(mine.max_activation, abs=1e-5)
        assert theirs.mean_active == pytest.approx(mine.mean_active, abs=1e-4)


def test_asked_latents_only_and_the_same_as_among_all(
    tmp_path: Path, reader: TokensReader, store: FeatureStore
) -> None:
    some = run(tmp_path, reader, dataclasses.replace(SMALL, latents=(9, 2, 17)))
    assert len(some) == 3
    assert [row.latent for row in some.list("latent", descending=False)] == [2, 9, 17]
    for latent in (2, 9, 17):
        mine, theirs = some.get(latent), store.get(latent)
        assert mine.top_examples == theirs.top_examples
        assert mine.quantile_examples == theirs.quantile_examples
        assert mine.histogram == theirs.histogram
        assert mine.neighbours == theirs.neighbours


def test_the_lens_and_the_neighbours_equal_their_formulas(store: FeatureStore) -> None:
    lm, made = language_model(), sae()
    unembedding, weight = lm.unembedding()
    decoder = made.W_dec.numpy()
    logits = (decoder * weight.numpy()) @ unembedding.numpy()
    directions = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    for latent in range(D_SAE):
        feature = store.get(latent)
        ranked = np.argsort(-logits[latent], kind="stable")
        assert [t.token_id for t in feature.top_logits] == list(ranked[: SMALL.logit_k])
        assert [t.token_id for t in feature.bottom_logits] == list(ranked[::-1][: SMALL.logit_k])
        assert [t.value for t in feature.top_logits] == pytest.approx(logits[latent][ranked[: SMALL.logit_k]], abs=1e-5)
        cosine = directions @ directions[latent]
        cosine[latent] = -2
        assert [n.latent for n in feature.neighbours] == list(np.argsort(-cosine)[: SMALL.neighbours])


def test_cooccurrence_is_the_jaccard_index_of_sampled_tokens(store: FeatureStore, everything: Dense) -> None:
    active = (everything.latents * everything.counted[..., None]).reshape(-1, D_SAE)[:: SMALL.cooccurrence_stride] > 0
    for latent in range(D_SAE):
        both = (active & active[:, [latent]]).sum(0)
        either = (active | active[:, [latent]]).sum(0)
        for partner in store.get(latent).coactive:
            assert partner.latent != latent
            assert partner.similarity == pytest.approx(both[partner.latent] / either[partner.latent])


def test_a_token_budget_is_rounded_down_to_blocks(tmp_path: Path, reader: TokensReader) -> None:
    summary = extract_features(
        language_model(),
        reader,
        "train",
        HOOK,
        sae(),
        tmp_path,
        dataclasses.replace(SMALL, max_tokens=5 * CONTEXT + 3),
        SilentReporter(),
    )
    ids = reader.blocks("train")[0:5]
    assert (summary.blocks, summary.tokens, summary.complete) == (5, int((ids != BOS).sum()), True)


@pytest.mark.parametrize("request_", [StopRequest.CANCEL, StopRequest.PAUSE, StopRequest.DRAIN])
def test_a_stop_is_answered_at_the_next_batch_and_writes_nothing(
    tmp_path: Path, reader: TokensReader, request_: StopRequest
) -> None:
    reporter = StopAfter(2, request_)
    with pytest.raises(Stopped) as stopped:
        run(tmp_path, reader, dataclasses.replace(SMALL, batch_blocks=4), reporter=reporter)
    assert stopped.value.request is request_
    assert [done for _, done, _ in reporter.seen] == [4 * CONTEXT, 8 * CONTEXT]
    assert not list(tmp_path.iterdir())


def test_finish_writes_what_was_read(tmp_path: Path, reader: TokensReader) -> None:
    reporter = StopAfter(2, StopRequest.FINISH)
    early = run(tmp_path / "early", reader, dataclasses.replace(SMALL, batch_blocks=4), reporter=reporter)
    assert (early.info["complete"], early.info["blocks"]) == (False, 8)
    budget = dataclasses.replace(SMALL, batch_blocks=4, max_tokens=8 * CONTEXT)
    assert _bytes(early) == _bytes(run(tmp_path / "budget", reader, budget))


def test_state_does_not_grow_with_tokens(tmp_path: Path, reader: TokensReader) -> None:
    import torch

    from mistudio_sae.features.accumulator import FeatureAccumulator
    from mistudio_sae.features.latents import LatentSource
    from mistudio_sae.features.subject import Subject

    source = LatentSource(Subject(language_model(), reader, "train", HOOK, sae()), SMALL)
    counted = FeatureAccumulator(source.latents, VOCAB, SMALL)

    def size() -> int:
        parts = (counted, counted.sums, counted.histogram, counted.examples.top, counted.examples.sample)
        return sum(t.nbytes for part in parts for t in vars(part).values() if isinstance(t, torch.Tensor))

    before = size()
    for batch in source.batches(0, source.total_blocks):
        counted.add(batch)
        assert size() == before


def test_long_contexts_of_a_wide_sae_go_through_in_fewer_blocks(
    reader: TokensReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mistudio_sae.features.latents import LatentSource
    from mistudio_sae.features.subject import Subject

    monkeypatch.setattr("mistudio_sae.features.latents._LATENTS_HELD", 2 * CONTEXT * D_SAE)
    source = LatentSource(Subject(language_model(), reader, "train", HOOK, sae()), SMALL)
    batches = list(source.batches(0, source.total_blocks))
    assert source.forward_blocks == 2 < SMALL.forward_blocks
    assert max(len(batch.ids) for batch in batches) == 2
    assert sum(len(batch.ids) for batch in batches) == source.total_blocks


def test_misfits_are_refused_with_what_to_change(tmp_path: Path, reader: TokensReader) -> None:
    lm, made = language_model(), sae()

    def attempt(**changes: object) -> None:
        split = str(changes.get("split", "train"))
        hook = changes.get("hook", HOOK)
        config = changes.get("config", SMALL)
        extract_features(lm, reader, split, hook, made, tmp_path, config, SilentReporter())  # type: ignore[arg-type]

    with pytest.raises(TokensFormatError, match="no split"):
        attempt(split="test")
    with pytest.raises(ScienceError, match="layers 0 to 2"):
        attempt(hook=HookPoint.parse("layer.9.resid_post"))
    with pytest.raises(ConfigError, match=r"reads 16 dimensions but .* has 64"):
        attempt(hook=HookPoint.parse("transformer.h.0.mlp.c_fc"))
    with pytest.raises(ConfigError, match="below d_sae = 24"):
        attempt(config=FeatureConfig(latents=(24,)))


@pytest.mark.parametrize(
    "fields",
    [
        {"top_k": 0},
        {"histogram_bins": 48},
        {"max_tokens": 0},
        {"batch_blocks": 0},
        {"left_tokens": -1},
        {"latents": ()},
        {"latents": (1, 1)},
        {"latents": (-1,)},
    ],
)
def test_config_names_the_field_that_is_wrong(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as error:
        FeatureConfig(**fields)  # type: ignore[arg-type]
    assert error.value.field == f"features.{next(iter(fields))}"


def test_the_summary_is_the_stored_info(tmp_path: Path, reader: TokensReader) -> None:
    import json

    summary = extract_features(language_model(), reader, "train", HOOK, sae(), tmp_path, SMALL, SilentReporter())
    stored = json.loads((tmp_path / INFO_FILE).read_text())
    assert stored == json.loads(json.dumps(summary.as_dict()))
    assert stored["dead"] == sum(FeatureStore.open(tmp_path).get(latent).row.dead for latent in range(D_SAE))
