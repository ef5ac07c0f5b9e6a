"""SAE layouts: exact keys and shapes, round trips, foreign options, damaged files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from extraction import sae
from safetensors.torch import load_file, save_file
from tiny import D_MODEL

from mistudio_sae.errors import SaeFormatError
from mistudio_sae.formats import SaeProvenance, load_saelens, load_sparsify, save_saelens

PROVENANCE = SaeProvenance("gpt2", "layer.1.resid_post", 128, prepend_bos=True, dataset="topics")
X = torch.randn(40, D_MODEL, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", ["topk", "standard"])
def test_a_round_trip_keeps_everything(tmp_path: Path, architecture: str) -> None:
    made, sparsity = sae(architecture), torch.linspace(-6, 0, 24)
    save_saelens(tmp_path, made, PROVENANCE, sparsity)
    loaded = load_saelens(tmp_path)
    assert loaded.config == made.config
    assert loaded.provenance == PROVENANCE
    assert loaded.sparsity is not None
    assert torch.equal(loaded.sparsity, sparsity)
    assert torch.equal(loaded.sae.encode(X), made.encode(X))
    assert torch.equal(loaded.sae(X), made(X))
    assert not any(parameter.requires_grad for parameter in loaded.sae.parameters())


@pytest.mark.parametrize("architecture", ["gated", "jumprelu"])
def test_a_round_trip_keeps_what_an_architecture_has_of_its_own(tmp_path: Path, architecture: str) -> None:
    made = sae(architecture)
    save_saelens(tmp_path, made, PROVENANCE)
    loaded = load_saelens(tmp_path)
    assert loaded.config == made.config
    for name, value in made.state_dict().items():
        torch.testing.assert_close(loaded.sae.state_dict()[name], value)
    torch.testing.assert_close(loaded.sae.encode(X), made.encode(X))


@pytest.mark.parametrize("architecture", ["batchtopk", "matryoshka"])
def test_what_has_one_threshold_is_written_as_jumprelu(tmp_path: Path, architecture: str) -> None:
    made = sae(architecture)
    save_saelens(tmp_path, made, PROVENANCE)
    assert json.loads((tmp_path / "cfg.json").read_text())["architecture"] == "jumprelu"
    assert load_file(tmp_path / "sae_weights.safetensors")["threshold"].tolist() == [0.5] * 24
    loaded = load_saelens(tmp_path)
    assert loaded.config.architecture == "jumprelu"
    assert made.encode(X).count_nonzero() > 0
    torch.testing.assert_close(loaded.sae.encode(X), made.encode(X))


@pytest.mark.parametrize("architecture", ["gated", "jumprelu"])
def test_an_encoder_without_the_decoders_bias_is_folded(tmp_path: Path, architecture: str) -> None:
    made = sae(architecture)
    save_saelens(tmp_path, made, PROVENANCE)
    path = tmp_path / "cfg.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"apply_b_dec_to_input": False}))
    torch.testing.assert_close(load_saelens(tmp_path).sae.encode(X), made.encode(X + made.b_dec), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ["topk", "standard"])
def test_keys_and_shapes_are_those_of_saelens(tmp_path: Path, architecture: str) -> None:
    save_saelens(tmp_path, sae(architecture), PROVENANCE, torch.zeros(24))
    config = json.loads((tmp_path / "cfg.json").read_text())
    base = {
        "d_in": 16,
        "d_sae": 24,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "architecture": architecture,
    }
    metadata = config.pop("metadata")
    assert config == base | ({"k": 4, "rescale_acts_by_decoder_norm": False} if architecture == "topk" else {})
    assert metadata["sae_lens_version"] == "6.54.12"
    assert metadata["hook_name"] == "blocks.1.hook_resid_post"
    assert (metadata["model_name"], metadata["context_size"], metadata["prepend_bos"]) == ("gpt2", 128, True)
    shapes = {name: tuple(tensor.shape) for name, tensor in load_file(tmp_path / "sae_weights.safetensors").items()}
    assert shapes == {"W_enc": (16, 24), "W_dec": (24, 16), "b_enc": (24,), "b_dec": (16,)}
    assert set(load_file(tmp_path / "sparsity.safetensors")) == {"sparsity"}


def _edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "cfg.json").read_text())
    change(config)
    (folder / "cfg.json").write_text(json.dumps(config))


def test_options_outside_the_weights_are_folded_in(tmp_path: Path) -> None:
    """The right-hand sides are SAELens' own forward passes for these options."""
    made = sae("topk")
    save_saelens(tmp_path, made, PROVENANCE)
    _edit(tmp_path, lambda config: config.update(apply_b_dec_to_input=False, rescale_acts_by_decoder_norm=True))
    loaded = load_saelens(tmp_path).sae
    norms = made.W_dec.norm(dim=1)
    hidden = (X @ made.W_enc + made.b_enc) * norms
    values, indices = hidden.topk(4, dim=-1)
    latents = torch.zeros_like(hidden).scatter_(-1, indices, values.relu())
    assert torch.allclose(loaded.encode(X), latents, atol=1e-5)
    assert torch.allclose(loaded(X), (latents / norms) @ made.W_dec + made.b_dec, atol=1e-5)


def test_the_layout_before_version_6_is_read(tmp_path: Path) -> None:
    made = sae("topk")
    save_saelens(tmp_path, made, PROVENANCE)
    old = {
        "architecture": "standard",
        "d_in": 16,
        "d_sae": 24,
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": 4},
        "apply_b_dec_to_input": True,
        "model_name": "gpt2-small",
        "hook_name": "blocks.8.hook_resid_pre",
        "context_size": 64,
        "prepend_bos": False,
    }
    (tmp_path / "cfg.json").write_text(json.dumps(old))
    loaded = load_saelens(tmp_path)
    assert loaded.provenance == SaeProvenance("gpt2-small", "layer.8.resid_pre", 64, prepend_bos=False)
    assert torch.equal(loaded.sae.encode(X), made.encode(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(architecture="temporal"), "'temporal' cannot be read"),
        (lambda c: c.update(normalize_activations="layer_norm"), "fold it into the weights"),
        (lambda c: c.update(d_sae=25), r"W_enc has shape \[16, 24\] but .* \[16, 25\]"),
        (lambda c: c.update(d_in="16"), "d_in must be a positive integer"),
        (lambda c: c.pop("k"), "k must be a positive integer"),
        (lambda c: c.update(k=99), "between 1 and d_sae"),
        (lambda c: c["metadata"]["mistudio_config"].update(colour=1), "colour"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(tmp_path: Path, change: Any, message: str) -> None:
    save_saelens(tmp_path, sae("topk"), PROVENANCE)
    _edit(tmp_path, change)
    with pytest.raises(SaeFormatError, match=message):
        load_saelens(tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SaeFormatError, match=r"cfg\.json is missing"):
        load_saelens(tmp_path)
    save_saelens(tmp_path, sae("topk"), PROVENANCE)
    weights = tmp_path / "sae_weights.safetensors"
    tensors = load_file(weights)
    save_file({**tensors, "b_dec": torch.full((16,), torch.nan)}, weights)
    with pytest.raises(SaeFormatError, match="b_dec holds NaN"):
        load_saelens(tmp_path)
    tensors.pop("b_enc")
    save_file(tensors, weights)
    with pytest.raises(SaeFormatError, match=r"'b_enc'.* is needed"):
        load_saelens(tmp_path)
    weights.write_bytes(b"garbage")
    with pytest.raises(SaeFormatError, match="not a readable safetensors"):
        load_saelens(tmp_path)
    (tmp_path / "cfg.json").write_text("[1")
    with pytest.raises(SaeFormatError, match="not readable JSON"):
        load_saelens(tmp_path)


def _write_sparsify(folder: Path, **changes: object) -> None:
    folder.mkdir()
    made = sae("topk")
    config = {"activation": "topk", "expansion_factor": 2, "normalize_decoder": True, "num_latents": 0, "k": 4}
    config |= {"multi_topk": False, "skip_connection": False, "transcode": False, "d_in": 16, **changes}
    (folder / "cfg.json").write_text(json.dumps(config))
    weights = {"encoder.weight": made.W_enc.T, "encoder.bias": made.b_enc, "W_dec": made.W_dec, "b_dec": made.b_dec}
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / "sae.safetensors")


def test_sparsify_is_read_whatever_num_latents_says(tmp_path: Path) -> None:
    _write_sparsify(tmp_path / "layers.5")
    loaded = load_sparsify(tmp_path / "layers.5", "pythia-70m")
    assert (loaded.config.d_sae, loaded.config.k) == (24, 4)
    assert loaded.provenance == SaeProvenance("pythia-70m", "layer.5.resid_post")
    assert torch.allclose(loaded.sae(X), sae("topk")(X), atol=1e-6)


@pytest.mark.parametrize("changes", [{"skip_connection": True}, {"activation": "groupmax"}, {"d_in": 17}])
def test_other_sparsify_kinds_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    _write_sparsify(tmp_path / "layers.5", **changes)
    with pytest.raises(SaeFormatError):
        load_sparsify(tmp_path / "layers.5")
