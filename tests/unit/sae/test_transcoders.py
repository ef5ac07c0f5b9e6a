"""Transcoders: equations and gradients against a naive float64 reference, folding, training, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from recording import RecordingReporter
from tiny import CONTEXT, D_MODEL, language_model, write_tokens

from mistudio_sae.errors import ConfigError, HookPointError
from mistudio_sae.models import HookPoint, capture
from mistudio_sae.saes import Sae, SaeConfig, SkipTranscoder, build_sae
from mistudio_sae.training import TrainedSae, TrainingConfig, train
from mistudio_sae.training.trainee import Trainee

D_IN, D_SAE, TOKENS, K = 6, 20, 9, 3
BOTH = ["transcoder", "skip_transcoder"]
MLP_IN, MLP_OUT = HookPoint.parse("layer.1.mlp_in"), HookPoint.parse("layer.1.mlp_out")
RUN = TrainingConfig(
    total_tokens=64 * 120, batch_tokens=64, buffer_tokens=512, learning_rate=4e-3, evaluation_tokens=CONTEXT * 8
)
Array = npt.NDArray[np.float64]


def make(architecture: str, **options: object) -> Sae:
    sae = build_sae(SaeConfig(architecture, D_IN, D_SAE, k=K, **options), torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=noise))
    return sae


def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    rows = 2 * torch.randn(2, TOKENS, D_IN, generator=torch.Generator().manual_seed(2))
    return rows[0], rows[1] + 1


def reference(p: dict[str, Array], xs: Array, ys: Array, dead: Array, alpha: float) -> tuple[float, dict[str, Array]]:
    """Loss and gradients, token by token; W_skip is zero where there is none."""
    skip, n = p.get("W_skip", np.zeros((D_IN, D_IN))), len(xs)
    loss, grads = 0.0, {name: np.zeros_like(value) for name, value in {**p, "W_skip": skip}.items()}
    for x, y in zip(xs, ys, strict=True):
        z = x @ p["W_enc"] + p["b_enc"]
        f = np.where(np.isin(np.arange(D_SAE), np.argsort(-z)[:K]), np.maximum(z, 0), 0)
        error = f @ p["W_dec"] + x @ skip + p["b_dec"] - y
        # AuxK: the residual is a constant, and neither bias nor skip path takes part in its reconstruction.
        best = np.argsort(-np.where(dead, z, -np.inf))[: min(D_IN // 2, int(dead.sum()))]
        g = np.where(np.isin(np.arange(D_SAE), best), np.maximum(z, 0), 0)
        missed = g @ p["W_dec"] + error if dead.any() else np.zeros(D_IN)
        loss += (error @ error + alpha * missed @ missed) / n
        d_error, d_missed = 2 * error / n, 2 * alpha * missed / n
        dz = (p["W_dec"] @ d_error) * (f > 0) + (p["W_dec"] @ d_missed) * (g > 0)
        grads["W_dec"] += np.outer(f, d_error) + np.outer(g, d_missed)
        grads["b_dec"] += d_error
        grads["W_skip"] += np.outer(x, d_error)
        grads["W_enc"] += np.outer(x, dz)
        grads["b_enc"] += dz
    return loss, grads


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize("dead_count", [0, 2, 12])
@pytest.mark.parametrize("double", [True, False], ids=["plain torch", "compiled loops"])
def test_loss_and_gradients_equal_the_reference(architecture: str, dead_count: int, *, double: bool) -> None:
    sae, (x, y), dead = make(architecture, aux_coefficient=0.3), pairs(), torch.arange(D_SAE) < dead_count
    kind = torch.float64 if double else torch.float32
    tolerance = {"rtol": 1e-8, "atol": 1e-10} if double else {"rtol": 1e-4, "atol": 1e-5}
    p = {name: value.detach().double().numpy() for name, value in sae.named_parameters()}
    loss, grads = reference(p, x.double().numpy(), y.double().numpy(), dead.double().numpy() > 0, 0.3)
    terms = sae.to(kind).paired_loss(x.to(kind), y.to(kind), dead)
    terms.loss.backward()
    np.testing.assert_allclose(terms.loss.item(), loss, rtol=1e-5)
    assert ("W_skip" in p) == (architecture == "skip_transcoder")
    for name, parameter in sae.named_parameters():
        assert parameter.grad is not None, name
        np.testing.assert_allclose(parameter.grad.numpy(), grads[name], err_msg=name, **tolerance)


@pytest.mark.parametrize("architecture", BOTH)
def test_what_training_minimises_is_what_the_transcoder_returns(architecture: str) -> None:
    sae, (x, y) = make(architecture), pairs()
    terms = sae.paired_loss(x, y, torch.zeros(D_SAE, dtype=torch.bool))
    torch.testing.assert_close(terms.reconstruction, (y - sae(x)).square().sum() / TOKENS)
    assert torch.equal(terms.fired, (sae.encode(x) > 0).sum(0))
    assert terms.fired.sum() > 0
    assert ((sae.encode(x) > 0).sum(1) <= K).all()


@pytest.mark.parametrize("architecture", BOTH)
def test_folded_scales_map_raw_inputs_to_raw_targets(architecture: str) -> None:
    sae, folded, (x, _) = make(architecture), make(architecture), pairs()
    for each in (sae, folded):
        each.after_step()
    folded.fold_scale(0.37, 5.0)
    torch.testing.assert_close(folded.encode(x), sae.encode(0.37 * x), rtol=1e-5, atol=1e-6)
    folded.fold_decoder_norm()
    torch.testing.assert_close(folded.W_dec.norm(dim=1), torch.ones(D_SAE))
    torch.testing.assert_close(folded(x), sae(0.37 * x) / 5.0, rtol=1e-5, atol=1e-6)


def test_the_skip_path_starts_at_zero() -> None:
    sae = build_sae(SaeConfig("skip_transcoder", D_IN, D_SAE, k=K), torch.Generator())
    assert isinstance(sae, SkipTranscoder)
    assert sae.W_skip.count_nonzero() == 0


def test_input_and_target_have_a_scale_each_and_b_dec_starts_in_the_target() -> None:
    config = SaeConfig("transcoder", D_IN, D_SAE, k=K, b_dec_init="mean")
    x, y = pairs()
    trainee = Trainee(MLP_IN, config, RUN, 10 * x, 0.01 * y)
    root = D_IN**0.5
    assert (trainee.scale * 10 * x).norm(dim=1).mean().item() == pytest.approx(root, rel=1e-5)
    assert (trainee.target_scale * 0.01 * y).norm(dim=1).mean().item() == pytest.approx(root, rel=1e-5)
    torch.testing.assert_close(trainee.sae.b_dec.detach(), trainee.target_scale * 0.01 * y.mean(0))


def trained(tmp_path: Path, architecture: str, reporter: RecordingReporter | None = None) -> TrainedSae:
    saes = (SaeConfig(architecture, D_MODEL, 64, k=8, dead_window_tokens=500),)  # type: ignore[arg-type]
    tokens = write_tokens(tmp_path / "tokens")
    return train(
        language_model(), tokens, (MLP_IN,), saes, RUN, tmp_path / architecture, reporter or RecordingReporter()
    )[0]


@pytest.mark.parametrize("architecture", BOTH)
def test_a_trained_transcoder_maps_raw_inputs_to_raw_outputs_of_the_mlp(tmp_path: Path, architecture: str) -> None:
    reporter = RecordingReporter()
    result = trained(tmp_path, architecture, reporter)
    tokens = write_tokens(tmp_path / "tokens")
    ids = torch.from_numpy(tokens.blocks("validation")[:])
    rows = capture(language_model(), ids, [MLP_IN, MLP_OUT])
    x, y = (rows[hook.name][tokens.special_mask(ids)] for hook in (MLP_IN, MLP_OUT))
    fvu = float((y - result.sae(x)).square().sum() / (y - y.mean(0)).square().sum())
    assert result.metrics["evaluation/fvu"] == pytest.approx(fvu, rel=1e-3)
    assert fvu < 0.7
    assert result.metrics["fvu"] < 0.8 * reporter.metrics["fvu", "0", 10]
    assert result.metrics["evaluation/ce_recovered"] > 0.3
    assert 0 < result.metrics["evaluation/l0"] <= 8
    torch.testing.assert_close(result.sae.W_dec.norm(dim=1), torch.ones(64))


def test_a_skip_path_that_has_learned_explains_more(tmp_path: Path) -> None:
    plain, skipping = (trained(tmp_path, architecture) for architecture in BOTH)
    assert isinstance(skipping.sae, SkipTranscoder)
    assert skipping.sae.W_skip.norm() > 0
    assert skipping.metrics["evaluation/fvu"] < plain.metrics["evaluation/fvu"]


@pytest.mark.parametrize(
    ("name", "advice"),
    [("layer.1.resid_post", "layer.1.mlp_in"), ("layer.2.mlp_out", "layer.2.mlp_in"), ("transformer.wte", "layer.<i>")],
)
def test_a_transcoder_of_something_else_says_what_to_name(tmp_path: Path, name: str, advice: str) -> None:
    saes = (SaeConfig("topk", D_MODEL, 32, k=4), SaeConfig("transcoder", D_MODEL, 32, k=4))
    tokens, hooks = write_tokens(tmp_path / "tokens"), (HookPoint.parse(name),)
    with pytest.raises(HookPointError, match=f"reads the input of an MLP; name {advice}"):
        train(language_model(), tokens, hooks, saes, RUN, tmp_path / "checkpoints", RecordingReporter())


def test_a_target_of_another_width_is_refused() -> None:
    config = SaeConfig("transcoder", D_IN, D_SAE, k=K)
    with pytest.raises(ConfigError, match=r"layer\.1\.mlp_out is 5 wide"):
        Trainee(MLP_IN, config, RUN, pairs()[0], pairs()[1][:, :5])
