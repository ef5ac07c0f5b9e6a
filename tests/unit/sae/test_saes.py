"""The architectures: equations and gradients against a naive float64 reference, and scale folding."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import torch

from mistudio_sae.errors import ConfigError
from mistudio_sae.kernels import Codes, decode
from mistudio_sae.saes import ARCHITECTURES, Sae, SaeConfig, TopKSae, build_sae

D_IN, D_SAE, TOKENS, K = 6, 20, 7, 3
Array = npt.NDArray[np.float64]


def make(architecture: str, **options: object) -> Sae:
    config = SaeConfig(architecture, D_IN, D_SAE, k=K, **options)  # type: ignore[arg-type]
    sae = build_sae(config, torch.Generator().manual_seed(0))
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=noise))
    return sae


def data(tokens: int = TOKENS) -> torch.Tensor:
    return 2 * torch.randn(tokens, D_IN, generator=torch.Generator().manual_seed(2))


@dataclass
class Reference:
    """Loss and gradients written out by hand, token by token, in float64."""

    loss: float
    W_enc: Array
    b_enc: Array
    W_dec: Array
    b_dec: Array


def as_numpy(sae: Sae) -> dict[str, Array]:
    return {name: value.detach().double().numpy() for name, value in sae.named_parameters()}


def zeros() -> Reference:
    return Reference(0.0, np.zeros((D_IN, D_SAE)), np.zeros(D_SAE), np.zeros((D_SAE, D_IN)), np.zeros(D_IN))


def encoder_gradients(total: Reference, p: dict[str, Array], x: Array, dz: Array) -> None:
    total.W_enc += np.outer(x - p["b_dec"], dz)
    total.b_enc += dz
    total.b_dec -= p["W_enc"] @ dz


def standard_reference(p: dict[str, Array], xs: Array, l1: float) -> Reference:
    total, n = zeros(), len(xs)
    norms = np.linalg.norm(p["W_dec"], axis=1)
    for x in xs:
        z = (x - p["b_dec"]) @ p["W_enc"] + p["b_enc"]
        f = np.maximum(z, 0)
        error = f @ p["W_dec"] + p["b_dec"] - x
        total.loss += (error @ error + l1 * (f @ norms)) / n
        d_error = 2 * error / n
        total.W_dec += np.outer(f, d_error) + l1 / n * f[:, None] * p["W_dec"] / norms[:, None]
        total.b_dec += d_error
        encoder_gradients(total, p, x, (p["W_dec"] @ d_error + l1 / n * norms) * (z > 0))
    return total


def topk_reference(p: dict[str, Array], xs: Array, dead: npt.NDArray[np.bool_], alpha: float) -> Reference:
    total, n = zeros(), len(xs)
    for x in xs:
        z = (x - p["b_dec"]) @ p["W_enc"] + p["b_enc"]
        kept = np.zeros(D_SAE, dtype=bool)
        kept[np.argsort(-z)[:K]] = True
        f = np.where(kept, np.maximum(z, 0), 0)
        error = f @ p["W_dec"] + p["b_dec"] - x
        d_error = 2 * error / n
        total.W_dec += np.outer(f, d_error)
        total.b_dec += d_error
        dz = (p["W_dec"] @ d_error) * (f > 0)

        # AuxK: the residual x - x_hat is a constant, and its reconstruction has no b_dec.
        kept_dead = np.zeros(D_SAE, dtype=bool)
        order = np.argsort(-np.where(dead, z, -np.inf))
        kept_dead[order[: min(D_IN // 2, dead.sum())]] = True
        g = np.where(kept_dead & dead, np.maximum(z, 0), 0)
        aux_error = g @ p["W_dec"] + error
        d_aux = 2 * alpha * aux_error / n
        total.W_dec += np.outer(g, d_aux)
        dz += (p["W_dec"] @ d_aux) * (g > 0)

        total.loss += (error @ error + alpha * aux_error @ aux_error) / n
        encoder_gradients(total, p, x, dz)
    return total


def assert_gradients(sae: Sae, loss: torch.Tensor, expected: Reference) -> None:
    loss.backward()
    np.testing.assert_allclose(loss.item(), expected.loss, rtol=1e-5)
    for name, parameter in sae.named_parameters():
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy(), getattr(expected, name), rtol=1e-4, atol=1e-5, err_msg=name)


def test_standard_loss_and_gradients_equal_the_reference() -> None:
    sae, x = make("standard", l1_coefficient=0.7), data()
    terms = sae.training_loss(x, torch.zeros(D_SAE, dtype=torch.bool))
    assert_gradients(sae, terms.loss, standard_reference(as_numpy(sae), x.double().numpy(), 0.7))


def test_a_sparsity_warm_up_scales_the_penalty_alone() -> None:
    sae, x = make("standard", l1_coefficient=0.7), data()
    terms = sae.training_loss(x, torch.zeros(D_SAE, dtype=torch.bool), sparsity_scale=0.5)
    assert_gradients(sae, terms.loss, standard_reference(as_numpy(sae), x.double().numpy(), 0.35))


@pytest.mark.parametrize("dead_count", [0, 2, 12])
def test_topk_loss_and_gradients_equal_the_reference(dead_count: int) -> None:
    sae, x = make("topk", aux_coefficient=0.3), data()
    dead = torch.zeros(D_SAE, dtype=torch.bool)
    dead[:dead_count] = True
    terms = sae.training_loss(x, dead)
    alpha = 0.3 if dead_count else 0.0
    assert_gradients(sae, terms.loss, topk_reference(as_numpy(sae), x.double().numpy(), dead.numpy(), alpha))


def test_the_auxiliary_loss_does_not_count_b_dec_twice() -> None:
    # With nothing for the dead latents to add, reconstructing the residual fails by exactly the residual.
    sae = make("topk")
    with torch.no_grad():
        sae.b_dec.fill_(100.0)
        sae.b_enc[:5] = -1e6
    dead = torch.arange(D_SAE) < 5
    terms = sae.training_loss(data() + 100, dead)
    torch.testing.assert_close(terms.auxiliary, terms.reconstruction)


def test_topk_keeps_at_most_k_and_never_a_negative_value() -> None:
    sae = make("topk")
    f = sae.encode(data(50))
    assert ((f > 0).sum(-1) <= K).all()
    assert (f >= 0).all()
    with torch.no_grad():
        sae.b_enc.fill_(-1e6)
    assert sae.encode(data()).count_nonzero() == 0


@pytest.mark.parametrize("architecture", ["standard", "topk"])
def test_fired_counts_and_leading_dimensions(architecture: str) -> None:
    sae, x = make(architecture), data(12)
    f = sae.encode(x)
    terms = sae.training_loss(x, torch.zeros(D_SAE, dtype=torch.bool))
    assert torch.equal(terms.fired, (f > 0).sum(0))
    torch.testing.assert_close(sae(x.view(3, 4, D_IN)), sae(x).view(3, 4, D_IN))


def test_sparse_and_dense_decoding_agree() -> None:
    sae, x = make("topk"), data()
    assert isinstance(sae, TopKSae)
    codes = Codes.of_rows(*sae.encode_sparse(x))
    torch.testing.assert_close(decode(codes, sae.W_dec) + sae.b_dec, sae(x))


@pytest.mark.parametrize("architecture", ["standard", "topk"])
def test_a_folded_sae_on_raw_activations_equals_the_unfolded_on_scaled_ones(architecture: str) -> None:
    sae, folded, x, scale = make(architecture), make(architecture), data(40), 0.37
    folded.fold_scale(scale)
    torch.testing.assert_close(folded.encode(x), sae.encode(scale * x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(folded(x), sae(scale * x) / scale, rtol=1e-5, atol=1e-6)


def test_folding_decoder_norms_keeps_the_reconstruction() -> None:
    sae, folded, x = make("standard"), make("standard"), data()
    folded.fold_decoder_norm()
    torch.testing.assert_close(folded.W_dec.norm(dim=1), torch.ones(D_SAE))
    torch.testing.assert_close(folded(x), sae(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(folded.encode(x), sae.encode(x) * sae.W_dec.norm(dim=1), rtol=1e-5, atol=1e-6)


def test_folding_a_trained_topk_keeps_which_latents_fire() -> None:
    sae, folded, x = make("topk"), make("topk"), data(40)
    for each in (sae, folded):
        each.after_step()
    folded.fold_scale(0.2)
    folded.fold_decoder_norm()
    assert torch.equal(folded.encode(x) > 0, sae.encode(0.2 * x) > 0)
    torch.testing.assert_close(folded(x), sae(0.2 * x) / 0.2, rtol=1e-5, atol=1e-5)


def test_topk_decoder_stays_on_the_unit_sphere() -> None:
    sae = make("topk")
    sae.after_step()
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(D_SAE))
    sae.training_loss(data(), torch.zeros(D_SAE, dtype=torch.bool)).loss.backward()
    sae.after_backward()
    assert sae.W_dec.grad is not None
    torch.testing.assert_close((sae.W_dec.grad * sae.W_dec).sum(1), torch.zeros(D_SAE), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "norm"), [("standard", 0.1), *((name, 1.0) for name in ARCHITECTURES if name != "standard")]
)
def test_the_encoder_starts_as_the_decoders_transpose(architecture: str, norm: float) -> None:
    sae = build_sae(SaeConfig(architecture, D_IN, D_SAE, k=K), torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert torch.equal(sae.W_enc, sae.W_dec.T)
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.full((D_SAE,), norm))
    again = build_sae(sae.config, torch.Generator().manual_seed(0))
    assert torch.equal(sae.W_dec, again.W_dec)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("k", {"k": D_SAE + 1}),
        ("k", {"k": None}),
        ("k", {"k": 0}),
        ("d_sae", {"d_sae": 0}),
        ("architecture", {"architecture": "dense"}),
        ("l1_coefficient", {"l1_coefficient": float("nan")}),
        ("aux_coefficient", {"aux_coefficient": -1.0}),
        ("learning_rate", {"learning_rate": 0.0}),
        ("b_dec_init", {"b_dec_init": "median"}),
        ("k", {"architecture": "batchtopk", "k": None}),
        ("l0_coefficient", {"l0_coefficient": -1.0}),
        ("bandwidth", {"bandwidth": 0.0}),
        ("jumprelu_penalty", {"jumprelu_penalty": "l2"}),
        ("matryoshka_widths", {"architecture": "matryoshka", "matryoshka_widths": (4, 4, D_SAE)}),
        ("matryoshka_widths", {"architecture": "matryoshka", "matryoshka_widths": (4, D_SAE - 1)}),
        ("dead_window_tokens", {"dead_window_tokens": 0}),
    ],
)
def test_a_bad_configuration_names_its_field(field: str, options: dict[str, object]) -> None:
    values: dict[str, object] = {"architecture": "topk", "d_in": D_IN, "d_sae": D_SAE, "k": K} | options
    with pytest.raises(ConfigError) as caught:
        SaeConfig(**values)  # type: ignore[arg-type]
    assert caught.value.field == field
