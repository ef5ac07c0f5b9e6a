"""Evaluation against a naive float64 reference written from the definitions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that torch users know
from extraction import HOOK, sae
from tiny import BOS, CONTEXT, VOCAB, language_model, write_tokens

from mistudio_sae.errors import ConfigError, DivergenceError, TokensFormatError
from mistudio_sae.evaluation import EvaluationReport, evaluate
from mistudio_sae.evaluation.density import EDGES, DensityMeter
from mistudio_sae.evaluation.reconstruction import ReconstructionMeter
from mistudio_sae.models import HookPoint, capture, run_with_replacement
from mistudio_sae.reporting import SilentReporter, Stopped, StopRequest
from mistudio_sae.saes import TRANSCODES, Sae
from mistudio_sae.tokens import TokensReader, TokensWriter


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> TokensReader:
    return write_tokens(tmp_path_factory.mktemp("tokens"))


def _hook(made: Sae) -> HookPoint:
    return HookPoint.parse("layer.1.mlp_in") if made.config.architecture in TRANSCODES else HOOK


def _evaluate(reader: TokensReader, made: Sae, *, max_tokens: int = 10**6, batch_blocks: int = 8) -> EvaluationReport:
    return evaluate(
        language_model(),
        reader,
        "train",
        _hook(made),
        made,
        max_tokens=max_tokens,
        batch_blocks=batch_blocks,
        reporter=SilentReporter(),
    )


def _naive(reader: TokensReader, made: Sae) -> dict[str, float]:
    """Everything at once in float64, from the formulas."""
    lm = language_model()
    ids = torch.from_numpy(reader.blocks("train")[:])
    counted = ids != BOS
    target = HookPoint.parse("layer.1.mlp_out") if made.config.architecture in TRANSCODES else HOOK
    read, x = (capture(lm, ids, [hook])[hook.name] for hook in (_hook(made), target))
    clean = lm.model(ids).logits.double()
    f = made.encode(read)
    x_hat = made.decode(f) + read @ made.state_dict().get("W_skip", torch.zeros(16, 16))
    replaced = torch.where(counted[..., None], x_hat, x)
    spliced = run_with_replacement(lm, ids, target, lambda _: replaced).double()
    zero = run_with_replacement(lm, ids, target, torch.zeros_like).double()

    def loss(logits: torch.Tensor) -> float:
        log_probabilities = logits.log_softmax(-1)[:, :-1].gather(2, ids[:, 1:, None]).squeeze(2)
        return float(-log_probabilities[counted[:, :-1]].mean())

    x, x_hat, f = x[counted].double(), x_hat[counted].double(), f[counted]
    p, q = clean[counted].softmax(-1), spliced[counted].softmax(-1)
    fvu = float((x - x_hat).square().sum() / (x - x.mean(0)).square().sum())
    return {
        "tokens": len(x),
        "l0": float((f > 0).double().sum(1).mean()),
        "fvu": fvu,
        "explained_variance": 1 - fvu,
        "cosine_similarity": float(F.cosine_similarity(x, x_hat).mean()),
        "l2_ratio": float((x_hat.norm(dim=1) / x.norm(dim=1)).mean()),
        "ce_clean": loss(clean),
        "ce_spliced": loss(spliced),
        "ce_zero": loss(zero),
        "ce_recovered": (loss(zero) - loss(spliced)) / (loss(zero) - loss(clean)),
        "kl": float((p * (p / q).log()).sum(-1).mean()),
        "dead_fraction": float((f > 0).any(0).logical_not().double().mean()),
    }


@pytest.mark.parametrize("architecture", ["topk", "standard", "transcoder", "skip_transcoder"])
@pytest.mark.parametrize("batch_blocks", [1, 7, 100])
def test_equals_the_definitions(reader: TokensReader, architecture: str, batch_blocks: int) -> None:
    made = sae(architecture)
    report = _evaluate(reader, made, batch_blocks=batch_blocks).as_dict()
    for name, expected in _naive(reader, made).items():
        # Rounding of float32 log-probabilities shows where the tiny model's losses nearly cancel.
        slack = 1e-4 if name == "ce_recovered" else 0
        assert report[name] == pytest.approx(expected, rel=1e-5, abs=slack), name


def test_a_perfect_reconstruction_costs_nothing(reader: TokensReader) -> None:
    made = sae("standard", d_sae=32)
    with torch.no_grad():
        made.W_enc.copy_(torch.cat((torch.eye(16), -torch.eye(16)), 1))
        made.W_dec.copy_(made.W_enc.T)
        made.b_enc.zero_()
        made.b_dec.zero_()
    report = _evaluate(reader, made)
    assert report.explained_variance == pytest.approx(1, abs=1e-6)
    assert report.ce_recovered == pytest.approx(1, abs=1e-5)
    assert report.kl == pytest.approx(0, abs=1e-6)
    assert report.l2_ratio == pytest.approx(1, abs=1e-6)


def test_variance_survives_a_large_mean() -> None:
    """With mean 1e6 and spread 1, E[x^2] - E[x]^2 has lost every digit in float32 and most in float64."""
    x = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    meter = ReconstructionMeter(4)
    for part in (x + 1e6).split(37):
        meter.add(part, part + 0.5, torch.zeros(len(part), 1))
    assert meter.fvu() == pytest.approx(float(0.25 * x.numel() / (x - x.mean(0)).square().sum()), rel=1e-9)


def test_density_histogram_counts_living_latents() -> None:
    meter = DensityMeter(4)
    f = torch.zeros(1000, 4)
    f[:, 0], f[:100, 1], f[:1, 2] = 1, 1, 1
    meter.add(f[:300])
    meter.add(f[300:])
    counts = dict(zip(EDGES, meter.histogram(), strict=False))
    assert {edge: count for edge, count in counts.items() if count} == {-3.0: 1, -1.0: 1, -0.25: 1}
    assert meter.dead_fraction() == 0.25


def test_the_budget_is_rounded_down_to_blocks(reader: TokensReader) -> None:
    report = _evaluate(reader, sae(), max_tokens=3 * CONTEXT + 5)
    assert report.tokens == int((reader.blocks("train")[0:3] != BOS).sum())
    assert _evaluate(reader, sae(), max_tokens=1).tokens > 0


def test_the_logits_of_a_large_vocabulary_bound_the_batch(
    reader: TokensReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _evaluate(reader, sae(), batch_blocks=8)
    lm, seen = language_model(), set[int]()
    monkeypatch.setattr("mistudio_sae.evaluation.metrics._LOGIT_BYTES", 3 * 4 * CONTEXT * VOCAB)
    with lm.model.get_output_embeddings().register_forward_hook(lambda *args: seen.add(len(args[2]))):
        report = evaluate(lm, reader, "train", HOOK, sae(), max_tokens=10**6, batch_blocks=8, reporter=SilentReporter())
    assert max(seen) == 3
    assert report.ce_spliced == pytest.approx(expected.ce_spliced, rel=1e-6)


def test_tokens_of_which_none_counts_are_refused(tmp_path: Path) -> None:
    with TokensWriter(tmp_path, context_length=CONTEXT, vocab_size=VOCAB, tokenizer="tiny", bos_token_id=BOS) as writer:
        writer.add_document([BOS] * CONTEXT, 0)
    with pytest.raises(TokensFormatError, match="counts"):
        _evaluate(TokensReader.open(tmp_path), sae())


def test_a_report_is_json(reader: TokensReader) -> None:
    report = _evaluate(reader, sae())
    back = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert back["density_counts"] == list(report.density_counts)
    assert sum(report.density_counts) == round((1 - report.dead_fraction) * 24)


class _Stop(SilentReporter):
    def __init__(self, request: StopRequest) -> None:
        self.polls, self.request = 0, request

    def should_stop(self) -> StopRequest | None:
        self.polls += 1
        return self.request if self.polls > 2 else None


def test_stops_between_batches(reader: TokensReader) -> None:
    def attempt(request: StopRequest) -> EvaluationReport:
        lm, reporter = language_model(), _Stop(request)
        return evaluate(lm, reader, "train", HOOK, sae(), max_tokens=10**6, batch_blocks=4, reporter=reporter)

    with pytest.raises(Stopped):
        attempt(StopRequest.CANCEL)
    assert attempt(StopRequest.FINISH) == _evaluate(reader, sae(), max_tokens=8 * CONTEXT, batch_blocks=4)


def test_misfits_are_refused(reader: TokensReader, tmp_path: Path) -> None:
    lm, made = language_model(), sae()
    hook = HookPoint.parse("transformer.h.0.mlp.c_fc")
    with pytest.raises(ConfigError, match="reads 16 dimensions"):
        evaluate(lm, reader, "train", hook, made, max_tokens=1, batch_blocks=1, reporter=SilentReporter())
    with torch.no_grad():
        made.b_enc[0] = torch.inf
    with pytest.raises(DivergenceError):
        _evaluate(reader, made)
    empty = write_tokens(tmp_path, blocks=2)
    with pytest.raises(TokensFormatError):
        evaluate(lm, empty, "test", HOOK, sae(), max_tokens=1, batch_blocks=1, reporter=SilentReporter())
