"""Gated, batch top-k, JumpReLU and Matryoshka SAEs against their equations, written out token by token in float64."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from mistudio_sae.saes import BatchTopKSae, Sae, SaeConfig, build_sae

D_IN, D_SAE, TOKENS, K = 6, 20, 9, 3
Array = npt.NDArray[np.float64]
Parameters = dict[str, Array]
ALIVE = torch.zeros(D_SAE, dtype=torch.bool)


class Sums:
    """The loss and the gradient of each parameter, summed up."""

    def __init__(self, parameters: Parameters) -> None:
        self.loss = 0.0
        self.of: defaultdict[str, Array] = defaultdict(lambda: np.zeros(()))
        self.of.update({name: np.zeros_like(value) for name, value in parameters.items()})

    def encoder(self, p: Parameters, x: Array, du: Array) -> None:
        """Adds what u = (x - b_dec) W_enc passes on."""
        self.of["W_enc"] += np.outer(x - p["b_dec"], du)
        self.of["b_dec"] -= p["W_enc"] @ du

    def decoder(self, p: Parameters, f: Array, d_error: Array) -> Array:
        """Adds what x_hat = f W_dec + b_dec passes on; returns the gradient of f."""
        self.of["W_dec"] += np.outer(f, d_error)
        self.of["b_dec"] += d_error
        return p["W_dec"] @ d_error


def make(architecture: str, **options: object) -> Sae:
    config = SaeConfig(architecture, D_IN, D_SAE, k=K, **options)  # type: ignore[arg-type]
    sae = build_sae(config, torch.Generator().manual_seed(0))
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=noise))
    return sae.double()


def data() -> torch.Tensor:
    return 2 * torch.randn(TOKENS, D_IN, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def parameters(sae: Sae) -> Parameters:
    return {name: value.detach().numpy() for name, value in sae.named_parameters()}


def gated(sae: Sae, xs: Array, _: Array) -> Sums:
    p = parameters(sae)
    total, penalty, n = Sums(p), sae.config.l1_coefficient, len(xs)
    for x in xs:
        u = (x - p["b_dec"]) @ p["W_enc"]
        gate = u + p["b_gate"]
        magnitude = np.exp(p["r_mag"]) * u + p["b_mag"]
        f = np.where((gate > 0) & (magnitude > 0), magnitude, 0)
        opened = np.maximum(gate, 0)
        error, frozen = f @ p["W_dec"] + p["b_dec"] - x, opened @ p["W_dec"] + p["b_dec"] - x
        total.loss += (error @ error + penalty * opened.sum() + frozen @ frozen) / n
        d_magnitude = total.decoder(p, f, 2 * error / n) * (f > 0)
        d_gate = (penalty / n + p["W_dec"] @ (2 * frozen / n)) * (gate > 0)
        total.of["b_mag"] += d_magnitude
        total.of["r_mag"] += d_magnitude * np.exp(p["r_mag"]) * u
        total.of["b_gate"] += d_gate
        total.encoder(p, x, d_magnitude * np.exp(p["r_mag"]) + d_gate)
    return total


def jumprelu(sae: Sae, xs: Array, _: Array) -> Sums:
    p, n, width = parameters(sae), len(xs), sae.config.bandwidth or 0.0
    total, penalty, tanh = Sums(p), sae.config.l0_coefficient, sae.config.jumprelu_penalty == "tanh"
    threshold = np.exp(p["log_threshold"])
    for x in xs:
        z = (x - p["b_dec"]) @ p["W_enc"] + p["b_enc"]
        over, near = z > threshold, np.abs(z - threshold) < width / 2
        f = z * over
        error = f @ p["W_dec"] + p["b_dec"] - x
        d_f = total.decoder(p, f, 2 * error / n)
        d_z, d_threshold = np.zeros(D_SAE), np.zeros(D_SAE)
        if tanh:
            total.loss += (penalty * np.tanh(4 * f).sum() + 3e-6 * np.maximum(threshold - z, 0).sum()) / n
            d_f = d_f + penalty * 4 * (1 - np.tanh(4 * f) ** 2) / n
            d_z, d_threshold = -3e-6 * (z < threshold) / n, 3e-6 * (z < threshold) / n
        else:
            total.loss += penalty * over.sum() / n
            d_threshold = -penalty * near / width / n
        total.loss += error @ error / n
        d_threshold = d_threshold - d_f * near * threshold / width
        total.of["log_threshold"] += d_threshold * threshold
        total.of["b_enc"] += d_f * over + d_z
        total.encoder(p, x, d_f * over + d_z)
    return total


def batchtopk(sae: Sae, xs: Array, dead: Array) -> Sums:
    p, n = parameters(sae), len(xs)
    widths = sae.config.widths if sae.config.architecture == "matryoshka" else (D_SAE,)
    total, coefficient = Sums(p), sae.config.aux_coefficient
    z = (xs - p["b_dec"]) @ p["W_enc"] + p["b_enc"]
    least = np.sort(z.flatten())[-n * K]
    fs = np.where((z >= least) & (z > 0), z, 0)
    for x, pre, f in zip(xs, z, fs, strict=True):
        d_z = np.zeros(D_SAE)
        for prefix in (np.arange(D_SAE) < width for width in widths):
            error = (f * prefix) @ p["W_dec"] + p["b_dec"] - x
            total.loss += error @ error / n
            d_z += total.decoder(p, f * prefix, 2 * error / n) * (f > 0) * prefix
        if dead.any():
            best = np.argsort(-np.where(dead, pre, -np.inf))[: min(D_IN // 2, int(dead.sum()))]
            g = np.where(np.isin(np.arange(D_SAE), best), np.maximum(pre, 0), 0)
            missed = g @ p["W_dec"] + error
            total.loss += coefficient * missed @ missed / n
            total.of["W_dec"] += np.outer(g, 2 * coefficient * missed / n)
            d_z += p["W_dec"] @ (2 * coefficient * missed / n) * (g > 0)
        total.of["b_enc"] += d_z
        total.encoder(p, x, d_z)
    return total


CASES: list[tuple[Sae, Callable[[Sae, Array, Array], Sums], int]] = [
    (make("gated", l1_coefficient=0.7), gated, 0),
    (make("jumprelu", l0_coefficient=0.4, bandwidth=1.5), jumprelu, 0),
    (make("jumprelu", l0_coefficient=0.4, bandwidth=1.5, jumprelu_penalty="tanh"), jumprelu, 0),
    (make("batchtopk", aux_coefficient=0.3), batchtopk, 0),
    (make("batchtopk", aux_coefficient=0.3), batchtopk, 12),
    (make("matryoshka", aux_coefficient=0.3), batchtopk, 12),
    (make("matryoshka", matryoshka_widths=(5, D_SAE)), batchtopk, 0),
]


@pytest.mark.parametrize(
    ("sae", "reference", "dead_count"), CASES, ids=lambda one: one.config.describe() if isinstance(one, Sae) else None
)
def test_loss_and_gradients_equal_the_reference(
    sae: Sae, reference: Callable[[Sae, Array, Array], Sums], dead_count: int
) -> None:
    x, dead = data(), torch.arange(D_SAE) < dead_count
    expected = reference(sae, x.numpy(), dead.numpy().astype(float) > 0)
    sae.zero_grad()
    loss = sae.training_loss(x, dead).loss
    loss.backward()
    np.testing.assert_allclose(loss.item(), expected.loss, rtol=1e-10)
    for name, parameter in sae.named_parameters():
        assert parameter.grad is not None, name
        np.testing.assert_allclose(parameter.grad.numpy(), expected.of[name], rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("architecture", ["gated", "jumprelu"])
def test_a_sparsity_warm_up_leaves_out_the_penalty(architecture: str) -> None:
    sae, x = make(architecture), data()
    assert sae.training_loss(x, ALIVE, sparsity_scale=0.0).sparsity == 0
    assert sae.training_loss(x, ALIVE).sparsity > 0


def test_a_batch_keeps_k_a_token_on_the_mean_and_not_each() -> None:
    sae, x = make("batchtopk"), data()
    x[0] *= 10
    terms = sae.training_loss(x, ALIVE)
    assert terms.fired.sum() <= TOKENS * K
    assert isinstance(sae, BatchTopKSae)
    kept = sae._keep(sae.pre_activations(x))
    assert len(torch.bincount(kept.tokens[kept.values > 0], minlength=TOKENS).unique()) > 1


def test_without_a_batch_the_threshold_decides_as_the_batch_did() -> None:
    sae, x = make("batchtopk"), data()
    assert isinstance(sae, BatchTopKSae)
    terms = sae.training_loss(x, ALIVE)
    active = sae.encode(x) > 0
    assert terms.fired.sum() - active.sum() == 1  # the smallest that was kept is the threshold itself
    alone = torch.cat([sae.encode(one[None]) for one in x])
    torch.testing.assert_close(alone, sae.encode(x))


def test_the_threshold_is_a_running_mean() -> None:
    sae, x = make("batchtopk"), data()
    assert isinstance(sae, BatchTopKSae)
    sae.training_loss(x, ALIVE)
    first = float(sae.threshold)
    sae.training_loss(10 * x, ALIVE)
    kept = sae._keep(sae.pre_activations(10 * x)).values.detach()
    second = float(kept[kept > 0].min())
    assert float(sae.threshold) == pytest.approx(0.99 * first + 0.01 * second)


@pytest.mark.parametrize("architecture", ["gated", "batchtopk", "jumprelu", "matryoshka"])
def test_a_folded_sae_on_raw_activations_equals_the_unfolded_on_scaled_ones(architecture: str) -> None:
    sae, folded, x, scale = make(architecture), make(architecture), data(), 0.37
    for each in (sae, folded):
        each.after_step()
        each.training_loss(x, ALIVE)  # moves the threshold
    folded.fold_scale(scale)
    folded.fold_decoder_norm()
    torch.testing.assert_close(folded.W_dec.norm(dim=1), torch.ones(D_SAE, dtype=torch.float64))
    torch.testing.assert_close(folded.encode(x), sae.encode(scale * x) / scale)
    torch.testing.assert_close(folded(x), sae(scale * x) / scale)


@pytest.mark.parametrize("architecture", ["gated", "jumprelu"])
def test_folding_decoder_norms_keeps_the_reconstruction(architecture: str) -> None:
    sae, folded, x = make(architecture), make(architecture), data()
    folded.fold_decoder_norm()
    torch.testing.assert_close(folded.W_dec.norm(dim=1), torch.ones(D_SAE, dtype=torch.float64))
    torch.testing.assert_close(folded(x), sae(x))
